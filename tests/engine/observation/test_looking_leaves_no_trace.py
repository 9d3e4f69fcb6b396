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
from media import MEDIA, city

from edgesim.engine.simulation import simulate
from edgesim.strategies.offload import Offload
from edgesim.world.fleet import Fleet
from edgesim.world.world import World


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


def tables(world: World, instants_s: Sequence[float], *, looks: bool) -> dict[str, pa.Table]:
    strategy = Looked(Offload(to="cell"), tuple(instants_s), looks)
    placement = strategy.whole.place(world.model, Fleet.of(world))
    parts: dict[str, list[pa.Table]] = {"requests": [], "spans": [], "devices": []}
    simulate(world, strategy, placement, placement.holdings, lambda name, part: parts[name].append(part))
    return {name: pa.concat_tables(of) for name, of in parts.items()}


@cache
def without(name: str) -> dict[str, pa.Table]:
    return tables(city(name), (), looks=False)


@pytest.mark.parametrize("name", MEDIA)
@settings(max_examples=3, deadline=None)
@given(instants_s=st.lists(st.floats(0.0, 2.0), min_size=10, max_size=40).map(sorted))
def test_who_looks_changes_nothing(name: str, instants_s: list[float]) -> None:
    looked_at = tables(city(name), instants_s, looks=True)
    assert len(looked_at["requests"]) > 5
    for table, expected in without(name).items():
        assert looked_at[table].equals(expected), table


def test_batteries_run_out_meanwhile() -> None:
    """So that what looking might do to the books would show."""
    assert without("no slots")["devices"]["n_failures"].to_pylist()[:4] == [1] * 4
