"""`edgesim export`: files that stand up to strict checks, refusals in one sentence, and its page."""

from __future__ import annotations

import gzip
import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from perfetto_checks import normal, shown_by_events, shown_by_packets

from edgesim.runner import prepare, run
from edgesim.scenario.load import load
from edgesim.trace.reader import Trace

PAGE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "look-into-a-trace.md"


@pytest.fixture(scope="module")
def trace(tmp_path_factory: pytest.TempPathFactory) -> Trace:
    asked = load("first_steps", ["profile=analytic", "horizon=10 s", "replications=2"])
    return run(prepare(asked), tmp_path_factory.mktemp("export") / "trace")


def test_both_formats_show_the_same(edgesim: Any, trace: Trace, tmp_path: Path) -> None:
    last = trace.strategies[-1]
    words = ("export", trace.path, "--strategy", last, "--replication", 1, "--perfetto")
    for name in ("a.pftrace", "deep/a.json", "a.json.gz", "a.pb", "a.perfetto-trace"):
        said = edgesim(*words, tmp_path / name)
        assert said.status == 0, said.err
        assert said.out == ""
        assert said.err == f"{last}, replication 1: {tmp_path / name}\n"
    packets = (tmp_path / "a.pftrace").read_bytes()
    assert packets == (tmp_path / "a.pb").read_bytes() == (tmp_path / "a.perfetto-trace").read_bytes()
    text = (tmp_path / "deep" / "a.json").read_text(encoding="utf-8")
    assert gzip.decompress((tmp_path / "a.json.gz").read_bytes()).decode() == text
    assert normal(shown_by_packets(packets)) == normal(shown_by_events(text))


def test_the_first_strategy_is_taken_and_named(edgesim: Any, trace: Trace, tmp_path: Path) -> None:
    said = edgesim("export", trace.path, "--perfetto", tmp_path / "a.json")
    assert said.err.startswith(f"{trace.strategies[0]}, replication 0: ")
    assert edgesim("export", trace.path, "--perfetto", tmp_path / "a.json", "--replace", "--quiet").err == ""


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ((), "no format is given; choose one with --perfetto FILE"),
        (("--perfetto", "a.txt"), "expected a name that ends in .pftrace or .json"),
        (("--perfetto", "there.json"), "exists already; name another file, or add --replace"),
        (("--perfetto", "."), "is a folder; name a file in it"),
        (("--perfetto", "a.json", "--strategy", "none"), "has no strategy 'none'; there are"),
        (
            ("--perfetto", "a.json", "--replication", "9"),
            "no complete replication 9 of 'local'; complete are 0, 1",
        ),
    ],
)
def test_what_cannot_be_is_refused(
    words: tuple[str, ...],
    says: str,
    edgesim: Any,
    trace: Trace,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("there.json").touch()
    said = edgesim("export", trace.path, *words)
    assert (said.status, said.out) == (2, "")
    assert says in said.err
    assert len(said.err.splitlines()) == 1
    assert [file.name for file in tmp_path.iterdir()] == ["there.json"]


def test_a_foreign_or_broken_trace_is_refused(edgesim: Any, trace: Trace, tmp_path: Path) -> None:
    def refused(folder: Path) -> str:
        said = edgesim("export", folder, "--perfetto", tmp_path / "a.pftrace")
        assert said.status == 2
        assert len(said.err.splitlines()) == 1
        assert not (tmp_path / "a.pftrace").exists()
        return str(said.err)

    assert "no trace here" in refused(tmp_path)
    broken = tmp_path / "broken"
    shutil.copytree(trace.path, broken)
    next((broken / "spans" / "strategy=local" / "replication=0").iterdir()).write_bytes(b"PAR1")
    assert "cannot be read" in refused(broken)
    part = next((broken / "requests" / "strategy=local" / "replication=0").iterdir())
    shutil.copytree(trace.path, broken, dirs_exist_ok=True)
    table = pq.ParquetFile(part).read()
    for column, value, says in (
        ("arrived_at_s", -1.0, "requests.arrived_at_s, row 0 (request 0): found -1.0, expected 0 or more"),
        ("arrived_at_s", 1e300, "expected an instant within the run"),
        ("request_id", None, "expected a value"),
        ("outcome", "odd", "expected one of"),
        ("outcome", 3, "found values of type int64, expected names"),
    ):
        values = pa.array([value] * table.num_rows)
        changed = values.dictionary_encode() if isinstance(value, str) else values
        if value is None:
            changed = values.cast(pa.int64())
        pq.write_table(table.set_column(table.column_names.index(column), column, changed), part)
        assert says in refused(broken)
    pq.write_table(table.drop_columns("outcome"), part)
    assert "missing column(s) outcome" in refused(broken)
    pq.write_table(table, part)
    shutil.rmtree(broken / "spans")
    assert "spans: found no table" in refused(broken)
    for table in ("requests", "devices"):
        shutil.rmtree(broken / table)
    assert "requests, strategy=local: found no replication" in refused(broken)


def test_an_unfinished_run_s_whole_replications_are_exported(
    edgesim: Any, trace: Trace, tmp_path: Path
) -> None:
    folder = tmp_path / "cut"
    shutil.copytree(trace.path, folder)
    facts = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps(facts | {"status": "running"}))
    assert edgesim("export", folder, "--perfetto", tmp_path / "a.pftrace").status == 0


def test_the_page_s_commands_run_as_they_stand(tmp_path: Path) -> None:
    text = PAGE.read_text(encoding="utf-8")
    (commands,) = re.findall(r"```bash\n(.*?)```", text, re.DOTALL)
    (script,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    short = [
        "--set",
        "profile=analytic",
        "--set",
        "horizon=20 s",
    ]  # measuring and waiting have tests elsewhere
    for line in commands.splitlines():
        words = shlex.split(line)[1:]
        done = call("-m", "edgesim", *words, *(short if words[0] == "run" else []), cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    shown = shown_by_packets((tmp_path / "look.pftrace").read_bytes())
    assert ("phone (raspberry-pi-4b)", "KV caches") in shown.values
    done = call("-W", "error", "-c", script, cwd=tmp_path)
    assert re.fullmatch(r"most KV caches at once: [1-9]\d+ bytes\n", done.stdout), done.stderr


def call(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *words], cwd=cwd, capture_output=True, text=True, timeout=120, check=False
    )
