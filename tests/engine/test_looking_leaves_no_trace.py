"""Runs with and without somebody who looks at everything: the same tables, to the bit, on every medium."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgesim.engine.fleet import Fleet
from edgesim.engine.simulation import simulate
from edgesim.engine.world import World
from edgesim.runner import prepare
from edgesim.scenario.build import build_world
from edgesim.scenario.load import parse
from edgesim.scenario.timings import timings
from edgesim.strategies.offload import Offload

TEXT = """\
name: looked-at
seed: 3
model: {architecture: gpt2, dtype: float32}
profile: analytic
horizon: 2 s
topology:
  devices:
    - {id: user, kind: raspberry-pi-5, count: 4, WHERE}
    - {id: cell, kind: rtx-3090, count: 2, place: {grid: 120 m, corner: [20 m, 20 m]}}
  links:
    - {between: [user, cell], LINK}
    - {between: [cell, cell], wired: {rate: 100 Mbit/s}}
FAULTS
workload:
  sources: user
  arrivals: {poisson: 8 Hz}
  prompt_tokens: 200
  output_tokens: 8
  prompt_bytes_per_token: 2000
strategies: [{use: offload, to: cell}]
"""
STANDS = "place: {grid: 60 m}"
MOVES = "mobility: {random-waypoint: {area: {size: [200 m, 60 m]}, speed: [5 m/s, 12 m/s]}}"
BATTERY = "battery: {capacity: 6 J}"
FADES = "fading: {law: rayleigh, process: block}"


@dataclass(frozen=True)
class Looked:
    """A strategy with a process beside it that lets time pass, and may look at everything each time."""

    whole: Offload
    instants_s: tuple[float, ...]
    looks: bool

    def serve(self, request: Any, cluster: Any, placement: Any) -> Any:
        return self.whole.serve(request, cluster, placement)

    def control(self, cluster: Any, placement: Any) -> Any:
        for at_s in self.instants_s:
            yield from cluster.sleep(max(0.0, at_s - cluster.now_s))
            if self.looks:
                look_at_everything(cluster)


def look_at_everything(cluster: Any) -> None:
    state = cluster.observe()
    for device in cluster.hosts:
        state.device(device)
        for other in cluster.hosts:
            state.route(device, other)
            cluster.observe(at=device).age_s(other)
    for sender, peer in cluster.hops:
        state.link(sender, peer)
        cluster.observe(at=sender).link(sender, peer)


@cache
def world_of(where: str, link: str, faults: str) -> World:
    text = TEXT.replace("WHERE", where).replace("LINK", link).replace("FAULTS", faults)
    scenario = parse(text, name="looked-at.yaml")
    prepared = prepare(scenario)
    return build_world(scenario, 0, timings(scenario, prepared.profiles), prepared.workload)


def tables(world: World, instants_s: Sequence[float], *, looks: bool) -> dict[str, pa.Table]:
    strategy = Looked(Offload(to="cell"), tuple(instants_s), looks)
    placement = strategy.whole.place(world.model, Fleet.of(world))
    parts: dict[str, list[pa.Table]] = {"requests": [], "spans": [], "devices": []}
    simulate(world, strategy, placement, placement.holdings, lambda name, part: parts[name].append(part))
    return {name: pa.concat_tables(of) for name, of in parts.items()}


NEAREST = "connect: nearest, radio:"
CHANGES = "radio: nr-n78, interference: true, handover: {in_flight: keep}"
BREAKS = "faults: [{link: [user, cell], mtbf: 600 ms, mttr: 200 ms}, {device: user, mtbf: 1 s, mttr: 300 ms}]"
MEDIA = {
    "wired": (STANDS, "connect: nearest, wired: {rate: 10 Mbit/s}", ""),
    "wired, failing": (STANDS, "connect: nearest, wired: {rate: 10 Mbit/s}", BREAKS),
    "no slots": (
        f"{STANDS}, {BATTERY}",
        f"{NEAREST} {{use: nr-n78, adaptation: shannon}}, interference: true, {FADES}",
        "",
    ),
    **{
        f"slots, {access}": (
            f"{STANDS}, {BATTERY}",
            f"{NEAREST} {{use: nr-n78, access: {access}}}, interference: true, {FADES}",
            "",
        )
        for access in ("equal", "round-robin", "proportional-fair", "max-rate")
    },
    "slots, failing": (STANDS, f"{NEAREST} nr-n78, interference: true", BREAKS),
    "late estimates": (
        STANDS,
        f"{NEAREST} nr-n78, fading: rayleigh, csi: {{error: 0.3, delay: 4 ms}}",
        "",
    ),
    "wifi": (STANDS, f"{NEAREST} wifi6, interference: true, {FADES}", ""),
    "wifi, failing": (STANDS, f"{NEAREST} wifi6", BREAKS),
    "wifi, loaded": (STANDS, f"{NEAREST} wifi6, interference: {{load: 0.3}}", ""),
    "handover": (f"{MOVES}, {BATTERY}", CHANGES, ""),
    "handover on wifi": (MOVES, CHANGES.replace("nr-n78", "wifi6"), ""),
}


@cache
def without(name: str) -> dict[str, pa.Table]:
    return tables(world_of(*MEDIA[name]), (), looks=False)


@pytest.mark.parametrize("name", MEDIA)
@settings(max_examples=3, deadline=None)
@given(instants_s=st.lists(st.floats(0.0, 2.0), min_size=10, max_size=40).map(sorted))
def test_who_looks_changes_nothing(name: str, instants_s: list[float]) -> None:
    looked_at = tables(world_of(*MEDIA[name]), instants_s, looks=True)
    assert len(looked_at["requests"]) > 5
    for table, expected in without(name).items():
        assert looked_at[table].equals(expected), table


def test_batteries_run_out_meanwhile() -> None:
    """So that what looking might do to the books would show."""
    assert without("no slots")["devices"]["n_failures"].to_pylist()[:4] == [1] * 4
