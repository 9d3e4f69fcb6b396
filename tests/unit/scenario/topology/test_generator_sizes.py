"""Generators that would not end: refused by their options, and those of a sane size made as before."""

from __future__ import annotations

from typing import Any

import networkx as nx
import pytest

from edgesim.scenario.topology.generated import generate_edges

ENDLESS: list[tuple[str, dict[str, Any]]] = [
    ("grid_2d_graph", {"m": 100_000, "n": 100_000}),
    ("grid_graph", {"dim": [1000, 1000, 1000]}),
    ("complete_graph", {"n": 10_000}),
    ("complete_graph", {"n": 10**9}),
    ("balanced_tree", {"r": 10, "h": 12}),
    ("balanced_tree", {"r": 2, "h": 100}),
    ("balanced_tree", {"r": 100_000, "h": 100_000}),
    ("hypercube_graph", {"n": 40}),
    ("binomial_tree", {"n": 60}),
    ("kneser_graph", {"n": 40, "k": 20}),
    ("mycielski_graph", {"n": 30}),
    ("sudoku_graph", {"n": 20}),
    ("dorogovtsev_goltsev_mendes_graph", {"n": 50}),
    ("gnp_random_graph", {"n": 50_000, "p": 0.5}),
    ("random_geometric_graph", {"n": 50_000, "radius": 9}),
    ("windmill_graph", {"n": 1000, "k": 1000}),
    ("LCF_graph", {"n": 4, "shift_list": [1], "repeats": 10**9}),
]
SANE: list[tuple[str, dict[str, Any], int]] = [
    ("grid_2d_graph", {"m": 30, "n": 30}, 900),
    ("grid_graph", {"dim": [10, 10, 10]}, 1000),
    ("complete_graph", {"n": 300}, 300),
    ("balanced_tree", {"r": 3, "h": 6}, 1093),
    ("hypercube_graph", {"n": 10}, 1024),
    ("star_graph", {"n": 20_000}, 20_001),
    ("path_graph", {"n": 50_000}, 50_000),
    ("barabasi_albert_graph", {"n": 5000, "m": 3}, 5000),
    ("watts_strogatz_graph", {"n": 2000, "k": 6, "p": 0.1}, 2000),
    ("random_regular_graph", {"d": 3, "n": 1000}, 1000),
    ("caveman_graph", {"l": 1, "k": 20}, 20),
    ("gnp_random_graph", {"n": 300, "p": 0.1}, 300),
    ("circulant_graph", {"n": 1000, "offsets": [1, 2]}, 1000),
    ("havel_hakimi_graph", {"deg_sequence": [2] * 1000}, 1000),
    ("petersen_graph", {}, 10),
]


@pytest.mark.parametrize(("graph", "options"), ENDLESS, ids=lambda value: str(value)[:30])
def test_a_graph_beyond_any_memory_is_refused_without_being_made(
    graph: str, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def made(*_: object, **__: object) -> None:
        raise AssertionError("it was made")

    monkeypatch.setattr("edgesim.scenario.topology.generated._call", made)
    with pytest.raises(ValueError, match=rf"{graph}: .*expected"):
        generate_edges(graph, options, seed=1)


@pytest.mark.parametrize(("graph", "options", "n_nodes"), SANE, ids=lambda value: str(value)[:30])
def test_a_graph_of_a_sane_size_is_made(graph: str, options: dict[str, Any], n_nodes: int) -> None:
    n, edges = generate_edges(graph, options, seed=1)
    assert n == n_nodes
    assert len(edges) >= nx.number_connected_components(nx.Graph(edges))
