"""A run that counts over time: in one process or two, stopped and resumed, refused where it cannot be."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

import edgesim
from edgesim.errors import InputError, TraceError
from edgesim.runner import Prepared, RunFinished, interval_s, prepare, run
from edgesim.scenario.load import load
from edgesim.trace.reader import Trace

LAWFUL = Path(__file__).parents[1] / "trace" / "lawful.yaml"


def digests(folder: Path) -> dict[str, str]:
    files = sorted(folder.rglob("*.parquet"))
    return {str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def stopped_after(n_runs: int) -> Callable[[RunFinished], None]:
    left = iter(range(n_runs, 0, -1))

    def told(_: RunFinished) -> None:
        if next(left) == 1:
            raise KeyboardInterrupt

    return told


@pytest.fixture(scope="module")
def prepared() -> Prepared:
    return prepare(load("first_steps", ("profile=analytic", "horizon=5 s", "replications=3")))


@pytest.fixture(scope="module")
def counted(prepared: Prepared, tmp_path_factory: pytest.TempPathFactory) -> Trace:
    return run(prepared, tmp_path_factory.mktemp("counted") / "trace", counters_s=0.5)


def test_the_files_of_all_other_tables_are_the_same_to_the_byte(
    prepared: Prepared, counted: Trace, tmp_path: Path
) -> None:
    plain = digests(run(prepared, tmp_path / "trace").path)
    mine = digests(counted.path)
    assert {file: sha for file, sha in mine.items() if not file.startswith("counters/")} == plain
    assert len(mine) - len(plain) == 3 * len(counted.strategies)
    assert counted.check() == []
    assert counted.run["counters"] == {"every_s": 0.5}
    assert "counters" not in Trace(tmp_path / "trace").run
    assert len(Trace(tmp_path / "trace").counters(counted.strategies[0], 0)) == 0


def test_two_processes_and_a_resumed_run_give_the_same_files(
    prepared: Prepared, counted: Trace, tmp_path: Path
) -> None:
    expected = digests(counted.path)
    assert digests(run(prepared, tmp_path / "two", jobs=2, counters_s=0.5).path) == expected
    with pytest.raises(KeyboardInterrupt):
        run(prepared, tmp_path / "cut", counters_s=0.5, on_progress=stopped_after(4))
    # As if it had been killed in the middle of a replication: counters are there, devices are not.
    cut = next((tmp_path / "cut" / "devices").rglob("part-*.parquet"))
    cut.unlink()
    assert digests(run(prepared, tmp_path / "cut", resume=True, counters_s=0.5).path) == expected


@pytest.mark.parametrize("other", [None, 0.25])
def test_a_run_that_counts_otherwise_is_not_resumed(
    other: float | None, prepared: Prepared, tmp_path: Path
) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(prepared, tmp_path / "cut", counters_s=0.5, on_progress=stopped_after(2))
    with pytest.raises(TraceError, match="counters"):
        run(prepared, tmp_path / "cut", resume=True, counters_s=other)


def test_replacing_a_trace_removes_its_counters(prepared: Prepared, counted: Trace, tmp_path: Path) -> None:
    shutil.copytree(counted.path, tmp_path / "trace")
    run(prepared, tmp_path / "trace", replace=True)
    assert not (tmp_path / "trace" / "counters").exists()


@pytest.mark.parametrize("text", ["0 s", "-1 s", "fast", "1 m", "inf s"])
def test_what_is_no_time_is_refused(text: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="counters"):
        interval_s("--counters", text)
    with pytest.raises(InputError, match="counters"):
        edgesim.run("first_steps", tmp_path / "trace", counters=text)
    assert not (tmp_path / "trace").exists()


def test_python_counts_too(tmp_path: Path) -> None:
    overrides = ["profile=analytic", "horizon=2 s", "replications=1"]
    result = edgesim.run("first_steps", tmp_path / "t", overrides=overrides, counters="100 ms", quiet=True)
    assert set(result.trace.counters(result.strategies[0], 0)["name"]) == {"resident_bytes", "kv_bytes"}


def test_batteries_radio_and_failures_are_lawful(tmp_path: Path) -> None:
    trace = run(prepare(load(str(LAWFUL))), tmp_path / "trace", counters_s=0.5)
    assert trace.check() == []
    counted = pd.concat(
        [trace.counters(s, r) for s in trace.strategies for r in trace.replications(s)], ignore_index=True
    )
    assert {"kv_bytes", "snr_db"} <= set(counted["name"])
