"""The run: every strategy in every replication, in this process or in several."""

from __future__ import annotations

import glob
import re
import time
from collections.abc import Callable, Collection, Iterator
from itertools import product
from os import PathLike
from pathlib import Path

from edgesim.errors import InputError, TraceError
from edgesim.runner.prepared import Prepared, Ran
from edgesim.runner.preparing import check_edited, check_trained
from edgesim.runner.provenance import facts, save_inputs
from edgesim.runner.resuming import whole_runs
from edgesim.runner.sampling import check_interval
from edgesim.runner.simulating import RUN_NOTE, simulated
from edgesim.runner.workers import shared_out
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
    on_progress: Callable[[Ran], None] | None = None,
    counters_s: float | None = None,
) -> Trace:
    """Simulate every strategy in every replication, and write the trace.

    What is simulated is what `prepared` says, also where parts of it were replaced.

    Parameters
    ----------
    out
        The trace's folder; it is made once nothing can be refused any more.
    jobs
        Processes to share the work; the trace is the same to the byte for any number.
    replace
        Whether an earlier trace in `out` may be overwritten.
    resume
        Whether to go on with a run in `out` that did not come to its end: what is whole stays, the rest is
        simulated, and the data files are those of a run that nothing had disturbed.
    on_progress
        Called after each replication, in the order in which they end; also for those that are whole already.
    counters_s
        How often to sample what is counted over time [s], into the table ``counters``; None: there is none.

    Raises
    ------
    InputError
        If the folder cannot be used, or `resume` finds there what was begun of something else.
    Exception
        Whatever a strategy raises. ``run.json`` then says ``failed`` and why, or ``stopped`` after an
        interrupt; what was finished stays.
    """
    if jobs < 1:
        raise InputError(f"jobs: expected at least 1 process, got {jobs}")
    if counters_s is not None:
        check_interval("counters", counters_s)
    check_edited(prepared)
    check_trained(prepared)
    if resume and replace:
        raise InputError("'resume' keeps what is there, and 'replace' removes it; give one of them")
    about, whole = facts(prepared), set[tuple[str, int]]()
    if counters_s is not None:
        about["counters"] = {"every_s": counters_s}
    asked = list(product(prepared.strategies, range(prepared.scenario.replications)))
    folder = TraceFolder.resumed(Path(out)) if resume else TraceFolder(Path(out), replace=replace)
    report = on_progress or _report_nothing
    with folder.held():
        if resume:
            whole = whole_runs(folder, about, asked)
        try:
            folder.write_run({**about, "status": "running"})
            save_inputs(prepared, folder.path)
            began_s = time.perf_counter()
            for label, replication in sorted(whole):
                report(Ran(label, replication, 0.0))
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


def _report_nothing(ran: Ran) -> None:
    pass


def _status(error: BaseException) -> str:
    """How a run ended that did not come to its end."""
    if not isinstance(error, Exception):
        return "stopped"
    where = "".join(f" ({note})" for note in getattr(error, "__notes__", ()) if note.startswith(RUN_NOTE))
    return f"failed: {type(error).__name__}: {error}{where}"


def free_folder(parent: Path, name: str) -> Path:
    """Find the first of ``name``, ``name-2``, ``name-3``, ... that is not there yet."""
    number = 1
    while (folder := parent / (name if number == 1 else f"{name}-{number}")).exists():
        number += 1
    return folder


def unfinished_folder(parent: Path, name: str) -> Path:
    """Find the newest of the folders that :func:`free_folder` names whose run did not come to its end.

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
        raise TraceError(
            f"{parent / name}: no run is unfinished there, so there is none to resume; name its folder"
        )
    return max(left, key=lambda folder: (folder / RUN_FILE).stat().st_mtime)


def _work(
    prepared: Prepared,
    out: Path,
    jobs: int,
    whole: Collection[tuple[str, int]],
    counters_s: float | None,
) -> Iterator[Ran]:
    left = [
        (label, replication)
        for replication in range(prepared.scenario.replications)
        for label in prepared.strategies
        if (label, replication) not in whole
    ]
    if min(jobs, len(left)) > 1:
        yield from shared_out(prepared, out, left, min(jobs, len(left)), counters_s)
        return
    for label, replication in left:
        yield simulated(prepared, out, label, replication, counters_s)
