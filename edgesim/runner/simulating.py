"""One strategy's one replication: from a study to the parts of a trace."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa

from edgesim.engine.simulation import simulate
from edgesim.runner.prepared import Prepared, Ran
from edgesim.trace.writer import TraceFolder

__all__ = ["RUN_NOTE", "simulate_run", "simulated"]

RUN_NOTE = "strategy"  # how the note begins that says which run an error ended
_COLLECTED_EVERY = 16  # replications of a strategy; one holds on to some 0.7 MB, a collection takes 0.1 s


def simulated(prepared: Prepared, out: Path, label: str, replication: int) -> Ran:
    """Simulate it, and write its parts."""
    began_s = time.perf_counter()
    simulate_run(prepared, label, replication, TraceFolder.reopen(out).parts(label, replication).write)
    return Ran(label, replication, time.perf_counter() - began_s)


def simulate_run(
    prepared: Prepared, label: str, replication: int, write: Callable[[str, pa.Table], None]
) -> None:
    """Simulate it, and hand each part of its tables to `write`, with the table's name.

    Raises
    ------
    Exception
        Whatever the strategy raises, with a note of which run it ended.
    """
    placement = prepared.placements[label]
    world = prepared.world(replication)
    try:
        simulate(world, prepared.strategies[label], placement, placement.holdings, write)
    except Exception as error:
        error.add_note(f"{RUN_NOTE} {label!r}, replication {replication}")
        raise
    if replication % _COLLECTED_EVERY == _COLLECTED_EVERY - 1:
        gc.collect()  # a run's parts refer to one another; left to itself, the collector lets many pile up
