"""Runs that do not come to their end: what stays, what run.json says, and how they are finished."""

from __future__ import annotations

import errno
import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa
import pytest

from edgesim.errors import InputError, TraceError
from edgesim.report.comparison import about, comparison
from edgesim.report.notes import headline
from edgesim.runner import Prepared, RunFinished, prepare, run, unfinished_folder
from edgesim.scenario.load import load
from edgesim.strategies.local import Local
from edgesim.strategy import Cluster, LiveRequest, Placement, Serving
from edgesim.trace import writer
from edgesim.trace.reader import Trace
from edgesim.trace.writer import TraceFolder

QUICK = ("profile=analytic", "horizon=5 s", "replications=3")


@pytest.fixture(scope="module")
def prepared() -> Prepared:
    return prepare(load("first_steps", QUICK))


@pytest.fixture(scope="module")
def undisturbed(prepared: Prepared, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return digests(run(prepared, tmp_path_factory.mktemp("whole") / "trace").path)


def digests(folder: Path) -> dict[str, str]:
    files = sorted(folder.rglob("*.parquet"))
    return {str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def stopping(after: int, error: BaseException) -> Callable[[RunFinished], None]:
    """Raise after so many runs."""
    n_left = [after]

    def told(ran: RunFinished) -> None:
        n_left[0] -= 1
        if not n_left[0]:
            raise error

    return told


def status(folder: Path) -> str:
    return str(json.loads((folder / "run.json").read_text())["status"])


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (KeyboardInterrupt(), "stopped"),
        (SystemExit(143), "stopped"),
        (RuntimeError("no bread"), "failed: RuntimeError: no bread"),
    ],
)
@pytest.mark.parametrize("n_done", [1, 5])
def test_what_was_finished_stays_and_the_rest_is_made_up_for(
    prepared: Prepared,
    undisturbed: dict[str, str],
    tmp_path: Path,
    error: BaseException,
    said: str,
    n_done: int,
) -> None:
    folder = tmp_path / "trace"
    with pytest.raises(type(error)):
        run(prepared, folder, on_progress=stopping(n_done, error))
    assert status(folder) == said
    kept = digests(folder)
    assert kept.items() < undisturbed.items()
    seen: list[tuple[str, int]] = []
    finished = run(
        prepared, folder, resume=True, on_progress=lambda ran: seen.append((ran.strategy, ran.replication))
    )
    assert finished.is_complete
    assert digests(folder) == undisturbed
    assert sorted(seen) == sorted((label, r) for label in prepared.strategies for r in range(3))


def test_a_run_that_is_whole_is_resumed_to_itself(
    prepared: Prepared, undisturbed: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = run(prepared, tmp_path / "trace").path
    monkeypatch.setattr("edgesim.runner.running.simulate_to_folder", None)  # nothing is simulated
    assert run(prepared, folder, resume=True).is_complete
    assert digests(folder) == undisturbed


def test_parts_that_are_cut_short_or_half_written_are_made_anew(
    prepared: Prepared, undisturbed: dict[str, str], tmp_path: Path
) -> None:
    folder = run(prepared, tmp_path / "trace").path
    spans, requests = (folder / name / "strategy=local" for name in ("spans", "requests"))
    part = next((spans / "replication=0").glob("*.parquet"))
    part.write_bytes(part.read_bytes()[:-20])
    (requests / "replication=1" / "part-00000.parquet.tmp").write_bytes(b"PAR1")
    next((folder / "devices" / "strategy=local" / "replication=2").glob("*")).unlink()
    run(prepared, folder, resume=True)
    assert digests(folder) == undisturbed
    assert not list(folder.rglob("*.tmp"))


@pytest.mark.parametrize(
    ("override", "what"),
    [
        ("seed=2", "seed was 1, and is now 2"),
        ("replications=4", "replications was 3, and is now 4"),
        ("topology.devices.phone.kind=jetson-orin-nx", "scenario.digest was"),
    ],
)
def test_another_scenario_is_not_resumed(
    prepared: Prepared, tmp_path: Path, override: str, what: str
) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(prepared, tmp_path / "trace", on_progress=stopping(1, KeyboardInterrupt()))
    before = digests(tmp_path)
    other = prepare(load("first_steps", [*QUICK, override]))
    with pytest.raises(TraceError, match="this study differs from the one that was started") as caught:
        run(other, tmp_path / "trace", resume=True)
    assert what in str(caught.value)
    assert digests(tmp_path) == before


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda facts: facts["versions"].update(numpy="1.0"), 'versions.numpy was "1.0"'),
        (lambda facts: facts.update(profile={"digest": "abc", "file": "x"}), "profile was"),
        (lambda facts: facts["options"]["local"].update(device="x"), "options.local.device was"),
    ],
)
def test_another_version_profile_or_option_is_not_resumed(
    prepared: Prepared, tmp_path: Path, change: Callable[[dict[str, Any]], None], what: str
) -> None:
    folder = run(prepared, tmp_path / "trace").path
    facts = json.loads((folder / "run.json").read_text())
    change(facts)
    (folder / "run.json").write_text(json.dumps(facts | {"machine": {"system": "another"}}))
    with pytest.raises(TraceError, match="cannot be resumed") as caught:
        run(prepared, folder, resume=True)
    assert what in str(caught.value)


def test_there_must_be_something_to_resume(prepared: Prepared, tmp_path: Path) -> None:
    with pytest.raises(TraceError, match="no trace to resume"):
        run(prepared, tmp_path / "trace", resume=True)
    with pytest.raises(InputError, match="give only one of them"):
        run(prepared, tmp_path / "trace", resume=True, replace=True)
    with pytest.raises(TraceError, match="no unfinished run to resume"):
        unfinished_folder(tmp_path, "first-steps")


def test_the_newest_unfinished_run_of_a_name_is_found(prepared: Prepared, tmp_path: Path) -> None:
    run(prepared, tmp_path / "first-steps")
    for name in ("first-steps-2", "first-steps-other"):
        with pytest.raises(KeyboardInterrupt):
            run(prepared, tmp_path / name, on_progress=stopping(1, KeyboardInterrupt()))
    assert unfinished_folder(tmp_path, "first-steps").name == "first-steps-2"


class Failing(Local):
    """Fails in the second replication that it meets."""

    met: ClassVar[list[Cluster]] = []

    def serve(self, request: LiveRequest, cluster: Cluster, placement: Placement) -> Serving:
        if cluster not in self.met:
            self.met.append(cluster)
        if len(self.met) > 1:
            raise ZeroDivisionError("by design")
        yield from super().serve(request, cluster, placement)


def test_a_strategy_that_fails_leaves_what_was_finished(prepared: Prepared, tmp_path: Path) -> None:
    failing = Failing.model_validate(prepared.strategies["local"].model_dump())
    edited = replace(prepared, strategies={**prepared.strategies, "local": failing})
    with pytest.raises(ZeroDivisionError):
        run(edited, tmp_path / "trace")
    trace = Trace(tmp_path / "trace")
    assert trace.run["status"] == ("failed: ZeroDivisionError: by design (strategy 'local', replication 1)")
    assert trace.incomplete is not None
    assert f"3 of {3 * len(prepared.strategies)} runs are complete" in trace.incomplete
    with pytest.raises(TraceError, match="3 of 9 runs are complete"):
        trace.complete()
    assert "INCOMPLETE (FAILED" in headline(comparison(trace), about(trace))


def test_a_folder_that_is_removed_is_not_made_anew(prepared: Prepared, tmp_path: Path) -> None:
    folder = tmp_path / "trace"
    with pytest.raises(TraceError, match="was removed during the run"):
        run(prepared, folder, on_progress=lambda ran: shutil.rmtree(folder))
    assert not folder.exists()


def test_a_full_disk_is_survived(
    prepared: Prepared, undisturbed: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the tenth part on nothing can be written, run.json included."""
    write, n_parts = writer.pq.write_table, [0]

    def full(table: pa.Table, where: Path, **how: Any) -> None:
        n_parts[0] += 1
        if n_parts[0] < 10:
            write(table, where, **how)
            return
        where.write_bytes(b"PAR1")
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(writer.pq, "write_table", full)
        with pytest.raises(TraceError, match="No space left on device"):
            run(prepared, tmp_path / "trace")
    assert digests(tmp_path / "trace").items() < undisturbed.items()
    run(prepared, tmp_path / "trace", resume=True)
    assert digests(tmp_path / "trace") == undisturbed


def test_one_process_at_a_time_writes_a_trace(prepared: Prepared, tmp_path: Path) -> None:
    folder = run(prepared, tmp_path / "trace").path
    before = digests(folder)
    next((folder / "devices").rglob("*.parquet")).unlink()
    kept = digests(folder)
    with TraceFolder.resumed(folder).locked():
        for how in ({"resume": True}, {"replace": True}):
            with pytest.raises(TraceError, match="another process is writing"):
                run(prepared, folder, **how)
            assert digests(folder) == kept
    run(prepared, folder, resume=True)
    assert digests(folder) == before
    assert not (folder / ".lock").exists()


def test_what_belongs_to_no_run_is_removed_and_a_lost_table_made_anew(
    prepared: Prepared, undisturbed: dict[str, str], tmp_path: Path
) -> None:
    folder = run(prepared, tmp_path / "trace").path
    shutil.copytree(folder / "devices" / "strategy=local", folder / "devices" / "strategy=zz")
    shutil.rmtree(folder / "requests" / "strategy=local" / "replication=0")
    run(prepared, folder, resume=True)
    assert digests(folder) == undisturbed


def test_a_file_that_the_scenario_names_must_be_what_it_was(tmp_path: Path) -> None:
    rates = tmp_path / "rate.csv"
    rates.write_text("t,up_mbps,down_mbps\n0,50,50\n1,40,40\n")
    wire = "topology.links[0]={between: [phone, box], recorded: {file: " + str(rates) + "}}"
    asked = prepare(load("first_steps", [*QUICK, wire]))
    run(asked, tmp_path / "trace")
    rates.write_text("t,up_mbps,down_mbps\n0,5,5\n1,4,4\n")
    with pytest.raises(TraceError, match="files"):
        run(prepare(load("first_steps", [*QUICK, wire])), tmp_path / "trace", resume=True)
