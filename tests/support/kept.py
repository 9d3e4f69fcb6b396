"""A run whose trace is kept on disk, with what run.json says of a world, so that all laws apply."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgesim.engine.simulation import simulate
from edgesim.trace.reader import Trace
from edgesim.trace.writer import TraceFolder
from edgesim.world.fleet import Fleet
from edgesim.world.routes import kind_of, via_of
from edgesim.world.world import World


def kept(world: World, strategy: Any, path: Path, label: str = "one") -> Trace:
    """Run a strategy where it places itself, into an empty folder."""
    links = {
        via_of(link): {
            "rate_bps": link.rate_bps if isinstance(link.rate_bps, int | float) else None,
            "latency_s": link.latency_s,
            "is_shared": link.radio is not None,
            "kind": kind_of(link).value,
        }
        for link in world.links
    }
    failing = set() if world.faults is None else set(world.faults.devices)
    may_fail = failing | {id_ for id_, device in world.devices.items() if device.battery is not None}
    folder = TraceFolder(path)
    folder.write_run(
        {
            "status": "complete",
            "strategies": [label],
            "replications": 1,
            "horizon_s": world.horizon_s,
            "links": links,
            "may_fail": sorted(may_fail),
            "retries": world.retry is not None,
            "links_may_fail": [] if world.faults is None else sorted(world.faults.links),
            "model": {"name": world.model.name, "dtype": "float32", "n_blocks": world.model.n_blocks},
        }
    )
    placement = strategy.place(world.model, Fleet.of(world))
    simulate(world, strategy, placement, placement.holdings, folder.parts(label, 0).write)
    return Trace(path)
