"""Simulation of one replication of one strategy, written as parts of a trace."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa

from edgesim.engine.simulation import simulate
from edgesim.runner.prepared import Prepared, RunFinished
from edgesim.trace.writer import TraceFolder

__all__ = ["RUN_NOTE", "simulate_run", "simulate_to_folder"]

RUN_NOTE = "strategy"  # prefix of the note that names the run in which an error occurred
_COLLECTED_EVERY = 16  # replications of a strategy; each keeps about 0.7 MB, a collection takes 0.1 s


def simulate_to_folder(
    prepared: Prepared, out: Path, label: str, replication: int, counters_s: float | None = None
) -> RunFinished:
    """Simulate one replication of a strategy and write its parts, with counters if `counters_s` is given."""
    began_s = time.perf_counter()
    parts = TraceFolder.reopen(out).parts(label, replication)
    simulate_run(prepared, label, replication, parts.write, counters_s)
    return RunFinished(label, replication, time.perf_counter() - began_s)


def simulate_run(
    prepared: Prepared,
    label: str,
    replication: int,
    write: Callable[[str, pa.Table], None],
    counters_s: float | None = None,
) -> None:
    """Simulate one replication of a strategy, and call `write` with table name and part for each part.

    Raises
    ------
    Exception
        Any exception of the strategy, with a note that names the run.
    """
    placement = prepared.placements[label]
    world = prepared.world(replication)
    try:
        strategy, holdings = prepared.strategies[label], placement.holdings
        simulate(world, strategy, placement, holdings, write, counters_s=counters_s)
    except Exception as error:
        error.add_note(f"{RUN_NOTE} {label!r}, replication {replication}")
        raise
    if replication % _COLLECTED_EVERY == _COLLECTED_EVERY - 1:
        gc.collect()  # a run's objects form reference cycles, many of which would otherwise accumulate
