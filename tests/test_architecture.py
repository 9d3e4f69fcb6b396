"""What holds for the code as a whole: directions, names, units, exports, and what an import may cost."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import networkx as nx
import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "edgesim"
MODULES = sorted(PACKAGE.rglob("*.py"))
MOST_LINES = 500

# Endings that name a dimension and no unit. Sizes of a model (hidden_size) count numbers, and stay.
DIMENSIONED = re.compile(
    r"(^|_)(time|duration|latency|delay|interval|period|deadline|horizon|memory|bandwidth|frequency|rate"
    r"|power|energy|distance|overhead|budget)$"
)


def ids(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def exported(module: ast.Module) -> list[str] | None:
    for node in module.body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        if any(isinstance(target, ast.Name) and target.id == "__all__" for target in targets):
            return list(ast.literal_eval(node.value))  # type: ignore[union-attr]
    return None


def public_definitions(module: ast.Module) -> Iterator[str]:
    """Classes and functions defined at the top of a module, under a name without an underscore."""
    for node in module.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and not node.name.startswith("_"):
            yield node.name


def bound_names(module: ast.Module) -> set[str]:
    names = set()
    for node in ast.walk(module):
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            names.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names.update(alias.asname or alias.name for alias in node.names)
    return names


def run_python(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def drawn_house() -> dict[str, list[list[str]]]:
    """By container, the floors that CONTRIBUTING draws, from the top; folders with their stroke.

    What is indented below a floor stands in the first folder of that floor.
    """
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    lines = text.partition("```text\nedgesim/\n")[2].partition("```")[0].splitlines()
    drawn: dict[str, list[list[str]]] = {"edgesim": []}
    for line in lines:
        names = line.strip().split("  ")[0].split(" | ")
        if line.startswith("    "):
            room = f"edgesim.{drawn['edgesim'][-1][0].rstrip('/')}"
            drawn.setdefault(room, []).append(names)
        else:
            drawn["edgesim"].append(names)
    return drawn


def layers(container: str) -> list[list[str]]:
    """The floors of a layers contract, from the top."""
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = project["tool"]["importlinter"]["contracts"]
    (found,) = [one["layers"] for one in contracts if one.get("containers") == [container]]
    return [[name for name in floor.split(" | ") if "(" not in name] for floor in found]


def test_contributing_draws_the_house_as_it_stands() -> None:
    drawn = drawn_house()
    assert set(drawn) == {"edgesim", "edgesim.scenario", "edgesim.engine", "edgesim.radio"}
    for container, there in drawn.items():
        names = {name for floor in there for name in floor}
        folder = ROOT.joinpath(*container.split("."))
        built = {f"{p.name}/" for p in folder.iterdir() if (p / "__init__.py").is_file()}
        built |= {p.stem for p in folder.glob("*.py") if p.stem != "__init__"}
        assert names == built, f"{container}: CONTRIBUTING draws {names ^ built} otherwise"
        there = [[name.rstrip("/") for name in floor] for floor in there]
        assert [sorted(floor) for floor in there] == [sorted(floor) for floor in layers(container)]


def test_contributing_says_where_things_are_decided() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    table = text.partition("## Where is it decided?")[2].partition("## ")[0]
    named = re.findall(r"`([\w/]+\.py)`", table)
    assert len(re.findall(r"^\| (?!what \|)", table, re.MULTILINE)) >= 22
    assert [file for file in named if not (PACKAGE / file).is_file()] == []


def test_no_module_imports_itself_by_way_of_others() -> None:
    # The contract on circles compares siblings; it would not see a room in a circle with its own files.
    modules = {".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in MODULES}
    modules = {name.removesuffix(".__init__"): path for name, path in modules.items()}
    graph: nx.DiGraph[str] = nx.DiGraph()
    for name, path in modules.items():
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.ImportFrom) and node.module in modules:
                inner = {f"{node.module}.{alias.name}" for alias in node.names} & modules.keys()
                graph.add_edges_from((name, other) for other in inner or {node.module})
    graph.remove_node("edgesim")  # it hands names on when they are first asked for
    assert [sorted(group) for group in nx.strongly_connected_components(graph) if len(group) > 1] == []


def test_no_folder_is_crowded() -> None:
    modules = Counter(path.parent for path in MODULES if path.name != "__init__.py")
    assert {ids(folder): n for folder, n in modules.items() if n > 25} == {}


def test_no_module_is_long() -> None:
    lengths = {ids(path): len(path.read_text(encoding="utf-8").splitlines()) for path in MODULES}
    assert {name: n for name, n in lengths.items() if n > MOST_LINES} == {}


def test_import_contracts_hold() -> None:
    # Without its cache, which keeps what a module imported before the imported one was there.
    lint = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True))"
    done = subprocess.run(
        [sys.executable, "-c", lint], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def mistakes_of_exports(path: Path) -> Iterator[str]:
    module = tree(path)
    names = exported(module)
    if len(module.body) <= 1 and ast.get_docstring(module):
        return  # a package that only says what lives in it
    if names is None:
        yield "no __all__"
        return
    yield from (f"{name} twice" for name, n in Counter(names).items() if n > 1)
    yield from (f"{name} is exported, but not there" for name in set(names) - bound_names(module))
    if path.name != "__main__.py":
        for name in set(public_definitions(module)) - set(names):
            yield f"{name} is public by its name: export it or give it an underscore"


def test_every_module_lists_what_it_exports() -> None:
    # That the list is sorted is ruff's RUF022; that it is there and complete, no other check's.
    assert [f"{ids(path)}: {mistake}" for path in MODULES for mistake in mistakes_of_exports(path)] == []


def test_no_module_is_a_drawer_for_odds_and_ends() -> None:
    forbidden = {"utils", "util", "helpers", "helper", "common", "misc", "base", "core", "lib"}
    named_so = [ids(path) for path in MODULES if {path.stem.strip("_"), path.parent.name} & forbidden]
    assert named_so == []


def numeric_fields(path: Path) -> Iterator[tuple[str, str]]:
    """Classes of a module, each with the name of one of its fields that are numbers."""
    for node in ast.walk(tree(path)):
        for field in node.body if isinstance(node, ast.ClassDef) else ():
            if not (isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)):
                continue
            if re.search(r"\b(float|int|FloatArray|IntArray)\b", ast.unparse(field.annotation)):
                yield node.name, field.target.id


def test_dimensioned_fields_say_their_unit() -> None:
    offending = [
        f"{ids(path)}: {where}.{name}"
        for path in MODULES
        for where, name in numeric_fields(path)
        if DIMENSIONED.search(name)
    ]
    assert offending == [], "a dimensioned name without its unit"


def test_the_factor_between_bytes_and_bits_is_written_once() -> None:
    def is_eight(node: ast.expr) -> bool:
        return isinstance(node, ast.Constant) and type(node.value) in (int, float) and node.value == 8

    sites = [
        f"{ids(path)}:{node.lineno}"
        for path in MODULES
        for node in ast.walk(tree(path))
        if isinstance(node, ast.BinOp)
        and isinstance(node.op, ast.Mult | ast.Div | ast.FloorDiv)
        and (is_eight(node.left) or is_eight(node.right))
    ]
    assert [site.split(":")[0] for site in sites] == ["edgesim/units.py"], sites


def test_nothing_prints() -> None:
    # ruff's T20 says the same; this holds where ruff is not run, and where a noqa would hide it.
    calls = [
        f"{ids(path)}:{node.lineno}"
        for path in MODULES
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    ]
    assert calls == []


def imported_by(path: Path) -> set[str]:
    """Modules that a file imports."""
    found = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
        elif isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
    return found


def test_analysis_reads_traces_only() -> None:
    may = (
        "edgesim.trace",
        "edgesim.statistics",
        "edgesim.report.plots",  # figures of traces
        "edgesim.report.listings",
        "edgesim.planning.splitting.utility",  # judged as trained
        "edgesim.errors",
        "edgesim.units",
    )
    scripts = sorted((ROOT / "analysis").glob("*.py"))
    assert scripts
    offending = [
        f"{ids(path)} imports {name}"
        for path in scripts
        for name in imported_by(path)
        if (name.partition(".")[0] == "edgesim" and not name.startswith(may))
        or name.partition(".")[0] in ("simpy", "torch", "transformers")
    ]
    assert offending == []


@pytest.mark.parametrize("module", ["edgesim", "edgesim.cli", "edgesim.testing", "edgesim.measure.cache"])
def test_importing_costs_no_torch(module: str) -> None:
    heavy = run_python(
        f"import sys, {module}; sys.stdout.write(' '.join({{'torch', 'transformers'}} & sys.modules.keys()))"
    )
    assert heavy == ""


def test_version_is_one() -> None:
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"\nversion: {project['version']}\n" in citation
    assert f"\n## [{project['version']}]" in changelog
    assert run_python("import sys, edgesim; sys.stdout.write(edgesim.__version__)") == project["version"]
