"""Routes to neighbours that are known without a search, against the search."""

from __future__ import annotations

from itertools import permutations

import networkx as nx
import numpy as np
import pytest
from miniature import device

from edgesim.errors import PlacementError
from edgesim.world.link import Link
from edgesim.world.routes import Network


@pytest.mark.parametrize("seed", range(20))
def test_they_are_those_that_the_search_finds(seed: int) -> None:
    """Random networks with many equal costs: every pair, path by path."""
    draws = np.random.default_rng(seed)
    devices = {f"n-{i}": device(f"n-{i}") for i in range(8)}
    pairs = [(a, b) for a in devices for b in devices if a < b and draws.random() < 0.4]
    links = [
        Link(
            between=pair,
            rate_bps=float(draws.choice([1e6, 2e6, 1e9])),
            latency_s=float(draws.choice([0, 1e-3])),
        )
        for pair in pairs
    ]
    graph = nx.DiGraph()
    graph.add_nodes_from(devices)
    for link in links:
        for ends in (link.between, link.between[::-1]):
            graph.add_edge(*ends, cost_s=8_000 / link.rate_bps + link.latency_s)
    for a, b in permutations(devices, 2):
        network = Network(devices, links, 1000)  # anew, so that nothing is remembered
        try:
            expected = nx.dijkstra_path(graph, a, b, weight="cost_s")
        except nx.NetworkXNoPath:
            with pytest.raises(PlacementError):
                network.path(a, b)
            continue
        found = network.path(a, b)
        cost_s = nx.path_weight(graph, found, "cost_s")
        assert cost_s == pytest.approx(nx.path_weight(graph, expected, "cost_s"), rel=1e-12)
        assert found == nx.single_source_dijkstra_path(graph, a, weight="cost_s")[b]
