"""The run: every strategy in every replication, in this process or in several."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from os import PathLike
from pathlib import Path

from edgesim.errors import InputError
from edgesim.runner.prepared import Prepared, Ran
from edgesim.runner.preparing import check_edited, check_trained
from edgesim.runner.provenance import facts, save_inputs
from edgesim.runner.simulating import simulated
from edgesim.runner.workers import shared_out
from edgesim.trace.reader import Trace
from edgesim.trace.writer import TraceFolder

__all__ = ["free_folder", "run"]


def run(
    prepared: Prepared,
    out: str | PathLike[str],
    *,
    jobs: int = 1,
    replace: bool = False,
    told: Callable[[Ran], None] | None = None,
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
    told
        Called after each replication, in the order in which they end.
    """
    if jobs < 1:
        raise InputError(f"jobs: expected at least 1 process, got {jobs}")
    check_edited(prepared)
    check_trained(prepared)
    about = facts(prepared)
    folder = TraceFolder(Path(out), replace=replace)
    try:
        folder.write_run({**about, "status": "running"})
        save_inputs(prepared, folder.path)
        began_s = time.perf_counter()
        for ran in _work(prepared, folder.path, jobs):
            if told is not None:
                told(ran)
    except InputError:
        folder.abandon()
        raise
    took_s = round(time.perf_counter() - began_s, 3)
    folder.write_run({**about, "status": "complete", "simulating_took_s": took_s})
    return Trace(folder.path)


def free_folder(parent: Path, name: str) -> Path:
    """Find the first of ``name``, ``name-2``, ``name-3``, ... that is not there yet."""
    number = 1
    while (folder := parent / (name if number == 1 else f"{name}-{number}")).exists():
        number += 1
    return folder


def _work(prepared: Prepared, out: Path, jobs: int) -> Iterator[Ran]:
    n_runs = prepared.scenario.replications * len(prepared.strategies)
    if min(jobs, n_runs) > 1:
        yield from shared_out(prepared, out, min(jobs, n_runs))
        return
    for replication in range(prepared.scenario.replications):
        for label in prepared.strategies:
            yield simulated(prepared, out, label, replication)
