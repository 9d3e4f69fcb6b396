"""Pairs of devices with a path of their own, and devices that do not pass on what others send: by hand."""

from __future__ import annotations

from itertools import pairwise, permutations
from typing import Any

import networkx as nx
import numpy as np
import pytest
from miniature import Serve, answered, device, run, world

from edgesim.errors import PlacementError
from edgesim.strategies.pipeline import Pipeline
from edgesim.world.fleet import Fleet
from edgesim.world.link import Link, Way
from edgesim.world.routes import Network

# Three boards on a switch at 8 Mbit/s: 1,000 bytes take 1 ms a hop, 2 ms from board to board.
BOARDS = [device(id_) for id_ in ("a-0", "b-0", "c-0")]
SWITCH = device("hub", timing=None)
STAR = [Link(between=(board.id, "hub"), rate_bps=8e6) for board in BOARDS]
# The pair a, c is shaped: 100 ms up, 10 ms down and 1 ms of latency.
SHAPED = Link(between=("a-0", "c-0"), rate_bps=8e4, down=Way(rate_bps=8e5, latency_s=1e-3), is_path=True)


def shut(*ids: str) -> list[Any]:
    return [device(id_, forwards=False) for id_ in ids]


def test_a_pair_with_a_path_of_its_own_takes_it_though_a_quicker_way_leads_there() -> None:
    def serve(request: Any, cluster: Any) -> Any:
        answered(request, "a-0", "b-0", "c-0")
        yield from cluster.send(request, "a-0", "c-0", 1000)
        yield from cluster.send(request, "c-0", "a-0", 1000)
        yield from cluster.send(request, "a-0", "b-0", 1000)
        cluster.fail(request, "sent")

    ran = run(world([*BOARDS, SWITCH], [*STAR, SHAPED]), Serve(serve))
    sent = ran.spans[["device", "peer", "ended_at_s"]].round(9).values.tolist()
    assert sent == [
        ["a-0", "c-0", 0.1],
        ["c-0", "a-0", 0.111],
        ["a-0", "hub", 0.112],
        ["hub", "b-0", 0.113],
    ]


def test_a_path_has_a_queue_of_its_own_each_way() -> None:
    """Two messages on the path wait for one another; what goes to the third board does not wait for them."""

    def serve(request: Any, cluster: Any) -> Any:
        answered(request, "a-0", "b-0", "c-0")
        ends = (("a-0", "c-0"), ("a-0", "c-0"), ("c-0", "a-0"), ("a-0", "b-0"))
        yield from cluster.together(*(cluster.send(request, *pair, 1000) for pair in ends))
        cluster.fail(request, "sent")

    ran = run(world([*BOARDS, SWITCH], [*STAR, SHAPED]), Serve(serve))
    ended = sorted(ran.spans["ended_at_s"].round(9))
    assert ended == [0.001, 0.002, 0.011, 0.1, 0.2]


def test_planners_count_on_the_path() -> None:
    fleet = Fleet.of(world([*BOARDS, SWITCH], [*STAR, SHAPED]))
    assert fleet.transfer_seconds("a-0", "c-0", 1000) == pytest.approx(0.1)
    assert fleet.transfer_seconds("c-0", "a-0", 1000) == pytest.approx(0.011)
    assert fleet.transfer_seconds("b-0", "c-0", 1000) == pytest.approx(0.002)
    assert fleet.are_linked("a-0", "c-0")
    assert not fleet.are_linked("b-0", "c-0")


def test_no_route_of_others_leads_over_a_path() -> None:
    """d is linked to a alone: its way to c may not use the path between a and c, wide as it is."""
    wide = Link(between=("a-0", "c-0"), rate_bps=1e12, is_path=True)
    links = [*STAR, Link(between=("d-0", "a-0"), rate_bps=8e6), wide]
    network = Network({d.id: d for d in [*BOARDS, SWITCH, device("d-0")]}, links, 1000)
    assert network.path("d-0", "c-0") == ["d-0", "a-0", "hub", "c-0"]
    assert network.path("a-0", "c-0") == ["a-0", "c-0"]


def test_a_path_replaces_the_link_of_its_pair() -> None:
    links = [Link(between=("a-0", "c-0"), rate_bps=1e12), *STAR, SHAPED]
    network = Network({d.id: d for d in [*BOARDS, SWITCH]}, links, 1000)
    assert network.link("a-0", "c-0") is SHAPED
    assert network.path("b-0", "c-0") == ["b-0", "hub", "c-0"]


def test_a_device_that_does_not_forward_is_named_with_what_to_do() -> None:
    links = [Link(between=ends, rate_bps=8e6) for ends in (("a-0", "b-0"), ("b-0", "c-0"))]
    network = Network({d.id: d for d in shut("a-0", "b-0", "c-0")}, links, 1000)
    assert network.path("a-0", "b-0") == ["a-0", "b-0"]
    with pytest.raises(
        PlacementError,
        match=r"from 'a-0' to 'c-0'; the path over 'b-0' is not used.*'forwards: true' for 'b-0'",
    ):
        network.path("a-0", "c-0")


def test_a_pipeline_whose_stages_cannot_reach_one_another_is_refused_before_time_zero() -> None:
    """c's neighbours a and b may send to it alone: the ring c, a, b has no way from a to b."""
    links = [Link(between=ends, rate_bps=8e6) for ends in (("a-0", "c-0"), ("b-0", "c-0"))]
    ring = Pipeline(over=("c-0", "a-0", "b-0"), partition="even")
    made = world(shut("c-0", "a-0", "b-0"), links)
    with pytest.raises(PlacementError, match="from 'a-0' to 'b-0'; the path over 'c-0' is not used"):
        ring.place(made.model, Fleet.of(made))
    told = world([device("c-0"), *shut("a-0", "b-0")], links)
    assert ring.place(told.model, Fleet.of(told)).devices == ("c-0", "a-0", "b-0")


def test_routes_are_the_cheapest_of_all_paths_whose_inner_nodes_forward() -> None:
    """Against every simple path of random graphs, from either end."""
    rng = np.random.default_rng(18)
    n_cut_off = 0
    for seed in range(12):
        graph = nx.gnp_random_graph(7, 0.45, seed=seed)
        forwards = {f"n{n}": bool(rng.random() < 0.5) for n in graph}
        cost_s, links = {}, []
        for a, b in graph.edges:
            rate_bps, latency_s = rng.uniform(1e3, 1e6), rng.uniform(0, 0.1)
            links.append(Link(between=(f"n{a}", f"n{b}"), rate_bps=rate_bps, latency_s=latency_s))
            cost_s[a, b] = cost_s[b, a] = 8e3 / rate_bps + latency_s
        network = Network({id_: device(id_, forwards=ok) for id_, ok in forwards.items()}, links, 1000)
        for source, target in permutations(graph, 2):
            ways = [
                sum(cost_s[hop] for hop in pairwise(path))
                for path in nx.all_simple_paths(graph, source, target)
                if all(forwards[f"n{inner}"] for inner in path[1:-1])
            ]
            if ways:
                assert network.seconds(f"n{source}", f"n{target}", 1000) == pytest.approx(min(ways))
            else:
                n_cut_off += 1
                with pytest.raises(PlacementError):
                    network.path(f"n{source}", f"n{target}")
    assert n_cut_off > 20
