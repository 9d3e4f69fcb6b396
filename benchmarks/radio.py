"""What the radio costs: the smart city on its radio links, and on wires of equal rates, in one process.

    python benchmarks/radio.py [--repeats 5] [--horizon '10 min']

Both runs have the same devices, requests and strategies, and both build their world and write their trace as
`edgesim run` does; in the second, a wire of the same mean goodput stands for every radio link. The ratio of
the medians is what the channel, the shared band, link adaptation and repetitions cost. Exit status 1 above
2.5.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from edgesim.engine.simulation import simulate
from edgesim.model.scaling import AnalyticTiming
from edgesim.scenario.build import build_world, kinds_used
from edgesim.scenario.check import architecture
from edgesim.scenario.load import load
from edgesim.scenario.strategy_labels import strategies_by_label
from edgesim.strategy import Strategy
from edgesim.trace.writer import TraceFolder
from edgesim.world.fleet import Fleet
from edgesim.world.world import World

LIMIT = 2.5


def wired(world: World) -> World:
    """The world with a wire of the same mean rate in the place of every radio link.

    A terminal that changes cells keeps the one that serves it at time zero.
    """
    kept = []
    for link in world.links:
        if link.radio is not None:
            roams = world.roaming.get(link.radio.terminal)
            if roams is not None and roams.serving.cell(0.0) != link.radio.station:
                continue
        kept.append(replace(link, radio=None))
    return replace(world, links=tuple(kept), media={}, roaming={})


def run_s(world: World, label: str, strategy: Strategy, folder: TraceFolder) -> float:
    """Time of one strategy's replication, its trace written."""
    placement = strategy.place(world.model, Fleet.of(world))
    began_s = time.perf_counter()
    simulate(world, strategy, placement, placement.holdings, folder.parts(label, 0).write)
    return time.perf_counter() - began_s


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--horizon", default="10 min")
    asked = parser.parse_args()
    scenario = load("smart_city", ["profile=analytic", f"horizon='{asked.horizon}'"])
    timings = {
        name: AnalyticTiming(architecture(scenario), kind.ceilings("bfloat16"))
        for name, kind in kinds_used(scenario).items()
    }
    strategies = strategies_by_label(scenario)
    took: dict[str, dict[str, list[float]]] = {label: {"wired": [], "radio": []} for label in strategies}
    whole: dict[str, list[float]] = {"wired": [], "radio": []}
    for _ in range(asked.repeats):
        for name, times in whole.items():
            with tempfile.TemporaryDirectory() as place:
                folder = TraceFolder(Path(place) / "trace")
                began_s = time.perf_counter()
                # Built from scratch each time and shared by the strategies, as a run does: channels remember.
                world = build_world(scenario, 0, timings)
                met = wired(world) if name == "wired" else world
                for label, strategy in strategies.items():
                    took[label][name].append(run_s(met, label, strategy, folder))
                times.append(time.perf_counter() - began_s)
    for label, each in (*took.items(), ("the whole run", whole)):
        medians = {name: statistics.median(times) for name, times in each.items()}
        ratio = medians["radio"] / medians["wired"]
        print(
            f"{label:20s} wired {medians['wired']:7.3f} s   radio {medians['radio']:7.3f} s   "
            f"ratio {ratio:5.2f}   ({min(each['radio']):.3f} to {max(each['radio']):.3f} s)"
        )
    print(f"limit {LIMIT}: {'met' if ratio <= LIMIT else 'MISSED'}")
    return 0 if ratio <= LIMIT else 1


if __name__ == "__main__":
    raise SystemExit(main())
