"""Simulation of every strategy in every replication, in this process or in several."""

from __future__ import annotations

import glob
import re
import time
from collections.abc import Callable, Collection, Iterator
from itertools import product
from os import PathLike
from pathlib import Path

from edgesim.errors import InputError, TraceError
from edgesim.runner.prepared import Prepared, RunFinished
from edgesim.runner.preparing import check_edited, check_trained
from edgesim.runner.provenance import facts, save_inputs
from edgesim.runner.resuming import complete_runs
from edgesim.runner.sampling import check_interval
from edgesim.runner.simulating import RUN_NOTE, simulate_to_folder
from edgesim.runner.workers import simulated_in_workers
from edgesim.trace.reader import Trace
from edgesim.trace.writer import RUN_FILE, TraceFolder

__all__ = ["free_folder", "run", "unfinished_folder"]


def run(
    prepared: Prepared,
    out: str | PathLike[str],
    *,
    jobs: int = 1,
    replace: bool = False,
    resume: bool = False,
    on_progress: Callable[[RunFinished], None] | None = None,
    counters_s: float | None = None,
) -> Trace:
    """Simulate every strategy in every replication, and write the trace.

    Replaced parts of `prepared` are simulated as they are.

    Parameters
    ----------
    out
        Folder of the trace; it is created after all checks have passed.
    jobs
        Number of processes; the trace is identical to the byte for any number.
    replace
        Whether to overwrite an earlier trace in `out`.
    resume
        Whether to continue an unfinished run in `out`: complete parts are kept, the rest is simulated, and
        the data files are the same as those of an uninterrupted run.
    on_progress
        Called after each replication, in the order in which they end; also for those already complete.
    counters_s
        Sampling interval of the table ``counters`` [s]; None: no such table.

    Raises
    ------
    InputError
        If the folder cannot be used, or `resume` finds a run of another study there.
    Exception
        Any exception of a strategy. The status in ``run.json`` is then ``failed`` with the reason, or
        ``stopped`` after an interrupt; finished parts are kept.
    """
    if jobs < 1:
        raise InputError(f"jobs: expected at least 1 process, got {jobs}")
    if counters_s is not None:
        check_interval("counters", counters_s)
    check_edited(prepared)
    check_trained(prepared)
    if resume and replace:
        raise InputError("'resume' keeps an earlier trace, and 'replace' removes it; give only one of them")
    about, whole = facts(prepared), set[tuple[str, int]]()
    if counters_s is not None:
        about["counters"] = {"every_s": counters_s}
    wanted = list(product(prepared.strategies, range(prepared.scenario.replications)))
    folder = TraceFolder.resumed(Path(out)) if resume else TraceFolder(Path(out), replace=replace)
    report = on_progress or _report_nothing
    with folder.locked():
        if resume:
            whole = complete_runs(folder, about, wanted)
        try:
            folder.write_run({**about, "status": "running"})
            save_inputs(prepared, folder.path)
            began_s = time.perf_counter()
            for label, replication in sorted(whole):
                report(RunFinished(label, replication, 0.0))
            for ran in _work(prepared, folder.path, jobs, whole, counters_s):
                report(ran)
        except BaseException as error:
            folder.end({**about, "status": _status(error)})
            if isinstance(error, InputError) and not resume:
                folder.abandon()
            raise
        took_s = round(time.perf_counter() - began_s, 3)
        folder.write_run({**about, "status": "complete", "simulating_took_s": took_s})
    return Trace(folder.path, is_own=True)


def _report_nothing(ran: RunFinished) -> None:
    pass


def _status(error: BaseException) -> str:
    """Return the status of a run that an exception ended."""
    if not isinstance(error, Exception):
        return "stopped"
    where = "".join(f" ({note})" for note in getattr(error, "__notes__", ()) if note.startswith(RUN_NOTE))
    return f"failed: {type(error).__name__}: {error}{where}"


def free_folder(parent: Path, name: str) -> Path:
    """Return the first folder of ``name``, ``name-2``, ``name-3``, ... that does not exist."""
    number = 1
    while (folder := parent / (name if number == 1 else f"{name}-{number}")).exists():
        number += 1
    return folder


def unfinished_folder(parent: Path, name: str) -> Path:
    """Return the newest folder with an unfinished run among the names of :func:`free_folder`.

    Raises
    ------
    TraceError
        If there is none.
    """
    numbered = [
        folder
        for folder in parent.glob(f"{glob.escape(name)}*")
        if re.fullmatch(r"(-\d+)?", folder.name.removeprefix(name)) and (folder / RUN_FILE).is_file()
    ]
    traces = [Trace(folder) for folder in numbered]
    left = [trace.path for trace in traces if not trace.is_complete]
    if not left:
        raise TraceError(f"{parent / name}: no unfinished run to resume; name the folder of one")
    return max(left, key=lambda folder: (folder / RUN_FILE).stat().st_mtime)


def _work(
    prepared: Prepared,
    out: Path,
    jobs: int,
    whole: Collection[tuple[str, int]],
    counters_s: float | None,
) -> Iterator[RunFinished]:
    left = [
        (label, replication)
        for replication in range(prepared.scenario.replications)
        for label in prepared.strategies
        if (label, replication) not in whole
    ]
    if min(jobs, len(left)) > 1:
        yield from simulated_in_workers(prepared, out, left, min(jobs, len(left)), counters_s)
        return
    for label, replication in left:
        yield simulate_to_folder(prepared, out, label, replication, counters_s)
