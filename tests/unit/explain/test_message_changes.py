"""Cheaper messages as a change: what occupies an end and what only delays, both by half."""

from __future__ import annotations

from edgesim.explain.changes import changes
from edgesim.scenario.load import load


def halved(*overrides: str) -> dict[str, tuple[str, ...]]:
    found = changes(load("home_cluster_pi", list(overrides)), "tensor")
    return {one.what: one.sets for one in found if "half as much" in one.what}


def test_of_a_kind_without_latency_the_overhead_alone() -> None:
    assert halved()["messages cost pi half as much"] == ("topology.devices[1].endpoint.overhead=0.0001535 s",)


def test_an_entrys_latency_beside_its_kinds_overhead() -> None:
    assert halved("topology.devices.pi.endpoint.latency=0.2 ms")["messages cost pi half as much"] == (
        "topology.devices[1].endpoint.overhead=0.0001535 s",
        "topology.devices[1].endpoint.latency=0.0001 s",
    )
