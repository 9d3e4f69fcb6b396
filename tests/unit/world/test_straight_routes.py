"""Cheapest routes and their ties, against all simple paths priced one by one in exact arithmetic."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise, permutations

import networkx as nx
import numpy as np
import pytest
from miniature import device

from edgesim.errors import PlacementError
from edgesim.world.cheapest_paths import CheapestPaths
from edgesim.world.link import Link
from edgesim.world.routes import Network


def links_of(seed: int, n_nodes: int = 7) -> tuple[list[str], list[Link]]:
    """A random network with many equal costs."""
    draws = np.random.default_rng(seed)
    nodes = [f"n-{i}" for i in range(n_nodes)]
    pairs = [(a, b) for a in nodes for b in nodes if a < b and draws.random() < 0.45]
    rates, waits_s = [1e6, 2e6, 1e9], [0, 1e-3]
    return nodes, [
        Link(between=pair, rate_bps=float(draws.choice(rates)), latency_s=float(draws.choice(waits_s)))
        for pair in pairs
    ]


@pytest.mark.parametrize("order", ["source by source", "target by target", "anew"])
@pytest.mark.parametrize("seed", range(12))
def test_each_is_the_cheapest_then_the_shortest_then_the_earliest(seed: int, order: str) -> None:
    """In whichever order they are asked for, and so from whichever end they are looked for."""
    nodes, links = links_of(seed)
    graph = nx.Graph()
    graph.add_nodes_from(nodes)
    for place, link in enumerate(links):
        cost = Fraction(8_000 / link.rate_bps + link.latency_s)
        graph.add_edge(*link.between, cost=cost, place=place)
    devices = {id_: device(id_) for id_ in nodes}
    shared = Network(devices, links, 1000)
    asked = sorted(
        permutations(nodes, 2), key=lambda ends: ends if order == "source by source" else ends[::-1]
    )
    for a, b in asked:
        network = Network(devices, links, 1000) if order == "anew" else shared
        priced = sorted(
            (
                sum(graph.edges[ends]["cost"] for ends in pairwise(path)),
                len(path),
                sum(graph.edges[ends]["place"] for ends in pairwise(path)),
                path,
            )
            for path in nx.all_simple_paths(graph, a, b)
        )
        if not priced:
            with pytest.raises(PlacementError, match=f"'{a}' to '{b}'"):
                network.path(a, b)
            continue
        ties = [path for *rank, path in priced if rank == list(priced[0][:3])]
        assert network.path(a, b) in ties
        assert network.path(b, a) == network.path(a, b)[::-1]


@pytest.mark.parametrize("towards", ["one server", "many terminals"])
def test_one_search_serves_all_terminals_of_a_server(monkeypatch: pytest.MonkeyPatch, towards: str) -> None:
    """Two stations, 50 terminals that see both, a server behind them."""
    from edgesim.world import cheapest_paths

    searched = []
    search = cheapest_paths._tree
    monkeypatch.setattr(
        cheapest_paths,
        "_tree",
        lambda edges, root, through: searched.append(root) or search(edges, root, through),
    )
    terminals = [f"t-{i}" for i in range(50)]
    edges = [
        (t, s, 1.0 + 0.01 * i * (s == "left"), i) for i, t in enumerate(terminals) for s in ("left", "right")
    ]
    edges += [("left", "server", 1.0, 60), ("right", "server", 1.1, 61)]
    both = [*edges, *((head, tail, cost_s, place) for tail, head, cost_s, place in edges)]
    paths = CheapestPaths([*terminals, "left", "right", "server"], both)
    for number, terminal in enumerate(terminals):
        ends = (terminal, "server") if towards == "one server" else ("server", terminal)
        found = paths.path(*ends)
        assert found is not None
        assert set(found) == {terminal, "server", "left" if number <= 10 else "right"}
    assert len(searched) <= 2
