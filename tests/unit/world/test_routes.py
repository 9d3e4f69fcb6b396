from __future__ import annotations

from itertools import pairwise

import networkx as nx
import numpy as np
import pytest
from miniature import device

from edgesim.errors import PlacementError
from edgesim.world.device import Endpoint
from edgesim.world.link import Link
from edgesim.world.routes import Network


def network(*links: tuple[str, str, float, float], reference_bytes: int = 1000, **facts) -> Network:
    ids = sorted({end for a, b, *_ in links for end in (a, b)})
    made = [Link(between=(a, b), rate_bps=rate, latency_s=latency) for a, b, rate, latency in links]
    return Network({id_: device(id_, **facts) for id_ in ids}, made, reference_bytes)


def test_the_cheapest_path_depends_on_rate_and_latency() -> None:
    there = network(("a", "b", 1e3, 0.0), ("a", "c", 1e6, 0.1), ("c", "b", 1e6, 0.1))
    assert there.path("a", "b") == ["a", "c", "b"]  # 0.216 s against 8 s


def test_ties_go_to_the_path_found_first() -> None:
    ways = [("a", "x", 1e6, 0.1), ("x", "b", 1e6, 0.1), ("a", "y", 1e6, 0.1), ("y", "b", 1e6, 0.1)]
    assert network(*ways).path("a", "b") == ["a", "x", "b"]
    assert network(*ways[2:], *ways[:2]).path("a", "b") == ["a", "y", "b"]


def test_of_parallel_links_the_cheapest_carries_the_traffic() -> None:
    there = network(("a", "b", 1e6, 0.5), ("a", "b", 1e6, 0.1), ("a", "b", 1e6, 0.3))
    assert there.link("a", "b").latency_s == 0.1


def test_times_add_endpoints_and_every_hop() -> None:
    there = network(
        ("a", "b", 8e6, 0.1),
        ("b", "c", 4e6, 0.2),
        endpoint=Endpoint(overhead_s=1.0, staging_bytes_per_s=1000.0),
    )
    assert there.seconds("a", "c", 2000) == pytest.approx(2 * (1 + 2) + 0.002 + 0.1 + 0.004 + 0.2)
    assert there.seconds("a", "a", 2000) == 0.0


def test_an_island_is_an_error_that_names_both_ends() -> None:
    with pytest.raises(PlacementError, match="'a' to 'c'"):
        network(("a", "b", 1e6, 0.0), ("c", "d", 1e6, 0.0)).path("a", "c")


def test_paths_agree_with_brute_force_on_random_graphs() -> None:
    """All simple paths, priced by hand."""
    rng = np.random.default_rng(3)
    for seed in range(10):
        graph = nx.gnp_random_graph(7, 0.5, seed=seed)
        links = [
            (f"n{a}", f"n{b}", float(rng.uniform(1e3, 1e6)), float(rng.uniform(0, 0.1)))
            for a, b in graph.edges
        ]
        there = network(*links)
        price_s = {frozenset((a, b)): 8000 / rate + latency for a, b, rate, latency in links}
        for target in list(graph)[1:]:
            every = [
                sum(price_s[frozenset((f"n{a}", f"n{b}"))] for a, b in pairwise(path))
                for path in nx.all_simple_paths(graph, 0, target)
            ]
            if every:
                assert there.seconds("n0", f"n{target}", 1000) == pytest.approx(min(every))
