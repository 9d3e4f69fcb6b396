"""What the documentation shows of Python: the notebook runs, and what pages import is public."""

from __future__ import annotations

import ast
import json
import re
import warnings
from importlib import import_module
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import edgesim

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGES = sorted(DOCS.glob("how-to/*.md"))
NOTEBOOKS = sorted(DOCS.glob("**/*.ipynb"))

# Words of a command line: a program's name before a command, and options.
COMMANDS = re.compile(
    r"edgesim (run|check|list|show|profile|quality|plot|report|sweep|schema)\b|(^|\s)--[a-z]", re.M
)


def imports(code: str) -> list[tuple[str, list[str]]]:
    found = [node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.ImportFrom)]
    return [(node.module or "", [alias.name for alias in node.names]) for node in found]


def python_blocks(page: Path) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_what_pages_import_is_public_and_documented(page: Path) -> None:
    reference = (DOCS / "reference" / "api.md").read_text(encoding="utf-8")
    named = re.findall(r"^::: ([\w.]+)", reference, re.MULTILINE)
    for module, names in (one for block in python_blocks(page) for one in imports(block)):
        if module.partition(".")[0] != "edgesim":
            continue
        assert set(names) <= set(import_module(module).__all__), module
        assert module == "edgesim" or any(
            name in (module, f"{module}.{names[0]}") or name.startswith(f"{module}.") for name in named
        ), f"{module} is not in the reference"


def test_names_that_plug_ins_need_are_at_the_door() -> None:
    for name in edgesim.__all__:
        assert getattr(edgesim, name) is not None
    assert {"DeviceDown", "MessageLost", "Observation", "Seconds", "Joules", "statistics", "Result"} <= set(
        edgesim.__all__
    )
    assert set(dir(edgesim)) == set(edgesim.__all__)
    from edgesim import fields

    quantities = {
        name
        for name in fields.__all__
        if name[0].isupper() and name not in ("AS_WRITTEN", "OWN_MESSAGE", "Quantity")
    }
    assert quantities <= set(edgesim.__all__)


def executed(page: Path) -> tuple[dict[str, Any], list[object]]:
    """Run a notebook's cells as Jupyter does; what they define, and the values that they show."""
    cells = json.loads(page.read_text(encoding="utf-8"))["cells"]
    known: dict[str, Any] = {"__name__": "notebook"}
    shown: list[object] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what the notes say of a profile
        for cell in cells:
            text = "".join(cell["source"])
            assert not COMMANDS.search(text), text
            if cell["cell_type"] == "code":
                body = ast.parse(text).body
                last = body.pop() if isinstance(body[-1], ast.Expr) else None
                exec(compile(ast.Module(body, []), page.name, "exec"), known)
                if isinstance(last, ast.Expr):
                    shown.append(eval(compile(ast.Expression(last.value), page.name, "eval"), known))
    return known, shown


@pytest.mark.slow
@pytest.mark.parametrize("page", NOTEBOOKS, ids=lambda page: page.stem)
def test_notebooks_run_from_a_scenario_to_a_table_and_a_figure(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    monkeypatch.chdir(tmp_path)
    known, shown = executed(page)
    result = known["result"]
    assert isinstance(shown[0], edgesim.Result)
    assert "<pre" in shown[0]._repr_html_()
    assert "offload" in repr(shown[0])
    tables = [table for table in shown if isinstance(table, pd.DataFrame)]
    assert len(tables) == 2
    assert all(len(table) > 0 for table in tables)
    assert len(known["axes"].lines) == len(result.strategies)
    known["figure"].savefig(tmp_path / "figure.png")
    says_what_its_text_says(page.stem, known)


def says_what_its_text_says(name: str, known: dict[str, Any]) -> None:
    means = known["result"].compare().xs("e2e_mean_s", level="metric")
    if name == "first-steps":
        ratios = known["ratios"]
        assert ratios[0.005] < 1 < ratios[0.5]
    if name == "compare-strategies":
        assert means.loc["spill-20", "ratio_high"] < 1
        assert means["mean"].isna()["spill-3"]
