"""Edges of files, by hand: the two ways of a directed graph, edges in both directions, parallel ones."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import permutations
from pathlib import Path
from typing import Any

import networkx as nx
import pytest

from edgesim.scenario.schema.topology import Topology
from edgesim.scenario.topology.topology import Layout, lay_out

Edge = tuple[str, str, dict[str, Any]]


def graphml(edges: list[Edge], *, directed: bool) -> str:
    written = "".join(
        f'<edge source="{a}" target="{b}">'
        + "".join(f'<data key="{key}">{value}</data>' for key, value in facts.items())
        + "</edge>"
        for a, b, facts in edges
    )
    keys = "".join(
        f'<key id="{key}" for="edge" attr.name="{key}" attr.type="double"/>'
        for key in ("rate_bps", "latency_s")
    )
    nodes = "".join(f'<node id="{name}"/>' for name in nodes_of(edges))
    default = "directed" if directed else "undirected"
    return (
        '<graphml xmlns="http://graphml.graphdrawing.org/xmlns">'
        f'{keys}<graph edgedefault="{default}">{nodes}{written}</graph></graphml>'
    )


def gml(edges: list[Edge], *, directed: bool) -> str:
    names = nodes_of(edges)
    nodes = " ".join(f'node [ id {n} label "{name}" ]' for n, name in enumerate(names))
    written = " ".join(
        f"edge [ source {names.index(a)} target {names.index(b)} "
        # networkx writes attributes whose names have underscores with letters alone
        + " ".join(f'{key} "{value}"' for key, value in facts.items())
        + " ]"
        for a, b, facts in edges
    )
    return f'Creator "a graph [ of mine"\ngraph [ {"directed 1" if directed else ""} {nodes} {written} ]'


def node_link(edges: list[Edge], *, directed: bool) -> str:
    return json.dumps(
        {
            "directed": directed,
            "nodes": [{"id": name} for name in nodes_of(edges)],
            "edges": [{"source": a, "target": b, **facts} for a, b, facts in edges],
        }
    )


def nodes_of(edges: list[Edge]) -> list[str]:
    return sorted({end for a, b, _ in edges for end in (a, b)})


def laid_out(path: Path, text: str, **facts: Any) -> Layout:
    path.write_text(text, encoding="utf-8")
    entry = {"path": str(path), "kind": "raspberry-pi-5", **facts}
    return lay_out(Topology.model_validate({"file": entry}), seed=0)


def ways(layout: Layout) -> dict[tuple[str, str], tuple[Any, float]]:
    """Rate and latency by sender and receiver."""
    assert not layout.problems
    found = {}
    for link in layout.links:
        for sender, peer in (link.between, link.between[::-1]):
            way = link.way(sender)
            found[sender, peer] = (way.rate_bps, way.latency_s)
    return found


def edge(a: str, b: str, mbps: float, ms: float) -> Edge:
    return a, b, {"rate_bps": mbps * 1e6, "latency_s": ms / 1e3}


WRITERS: dict[str, Callable[..., str]] = {"GraphML": graphml, "GML": gml, "node-link": node_link}
each_format = pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)


@each_format
def test_a_directed_graph_has_two_rates_for_two_ways(write: Callable[..., str], tmp_path: Path) -> None:
    edges = [edge("a", "b", 5, 9), edge("b", "c", 1, 1), edge("b", "a", 50, 2), edge("c", "b", 1, 1)]
    layout = laid_out(tmp_path / "net", write(edges, directed=True))
    assert ways(layout) == {
        ("a", "b"): (5e6, 9e-3),
        ("b", "a"): (50e6, 2e-3),
        ("b", "c"): (1e6, 1e-3),
        ("c", "b"): (1e6, 1e-3),
    }
    alike = next(link for link in layout.links if "c" in link.between)
    assert alike.down is None


@each_format
def test_a_directed_edge_without_one_back_is_refused(write: Callable[..., str], tmp_path: Path) -> None:
    (problem,) = laid_out(tmp_path / "net", write([edge("a", "b", 5, 9)], directed=True)).problems
    assert "the directed edge from 'a' to 'b' has no opposite" in problem.message


@each_format
def test_an_edge_written_in_both_directions_is_one(write: Callable[..., str], tmp_path: Path) -> None:
    edges = [edge("a", "b", 5, 9), edge("b", "a", 5, 9)]
    for rule in ("refuse", "first", "sum", "fastest"):
        layout = laid_out(tmp_path / "net", write(edges, directed=False), parallel=rule)
        assert ways(layout) == {("a", "b"): (5e6, 9e-3), ("b", "a"): (5e6, 9e-3)}


@each_format
@pytest.mark.parametrize(
    "written", [[("a", "b"), ("a", "b"), ("a", "b")], [("a", "b"), ("b", "a"), ("a", "b")]], ids=str
)
def test_parallel_edges_are_what_the_scenario_says(
    write: Callable[..., str], written: list[tuple[str, str]], tmp_path: Path
) -> None:
    facts = [(5.0, 9.0), (40.0, 3.0), (40.0, 2.0)]
    edges = [edge(*ends, *values) for ends, values in zip(written, facts, strict=True)]
    text = write(edges, directed=False)
    (problem,) = laid_out(tmp_path / "net", text).problems
    assert "'a' and 'b' have 3 edges; a pair of nodes can have one link: choose how to merge them with" in (
        problem.message
    )
    assert "parallel: first" in problem.message
    expected = {"first": (5e6, 9e-3), "fastest": (40e6, 2e-3), "sum": (85e6, 9e-3)}
    for rule, way in expected.items():
        layout = laid_out(tmp_path / "net", text, parallel=rule)
        assert ways(layout) == {("a", "b"): way, ("b", "a"): way}, rule


@each_format
def test_parallel_edges_of_a_directed_graph_join_each_way_for_itself(
    write: Callable[..., str], tmp_path: Path
) -> None:
    edges = [edge("a", "b", 5, 9), edge("a", "b", 7, 1), edge("b", "a", 50, 2)]
    text = write(edges, directed=True)
    assert "'a' and 'b' have 2 edges" in laid_out(tmp_path / "net", text).problems[0].message
    assert ways(laid_out(tmp_path / "net", text, parallel="sum")) == {
        ("a", "b"): (12e6, 9e-3),
        ("b", "a"): (50e6, 2e-3),
    }


def test_the_order_of_edges_changes_nothing_but_first(tmp_path: Path) -> None:
    edges = [edge("a", "b", 5, 9), edge("b", "a", 40, 3), edge("a", "b", 7, 2)]
    for rule in ("sum", "fastest"):
        found = {
            str(
                sorted(
                    ways(
                        laid_out(tmp_path / "n", graphml(list(order), directed=False), parallel=rule)
                    ).items()
                )
            )
            for order in permutations(edges)
        }
        assert len(found) == 1


def test_a_default_of_two_ways_goes_up_from_source_to_target(tmp_path: Path) -> None:
    wired = {"rate": {"up": "5 Mbit/s", "down": "50 Mbit/s"}, "latency": "1 ms"}
    edges = [("b", "a", {}), ("b", "c", {})]
    for write in (graphml, node_link):
        found = ways(laid_out(tmp_path / "net", write(edges, directed=False), wired=wired))
        assert found["b", "a"] == found["b", "c"] == (5e6, 1e-3)
        assert found["a", "b"] == found["c", "b"] == (50e6, 1e-3)


@pytest.mark.parametrize("directed", [False, True])
def test_what_networkx_writes_of_a_multigraph_is_read(directed: bool, tmp_path: Path) -> None:
    graph: Any = nx.MultiDiGraph() if directed else nx.MultiGraph()
    for mbps in (3.0, 4.0):
        graph.add_edge("a", "b", rate_bps=mbps * 1e6, latency_s=0.001)
    if directed:
        graph.add_edge("b", "a", rate_bps=9e6, latency_s=0.001)
    nx.write_graphml(graph, tmp_path / "a.graphml")
    nx.write_gml(graph, tmp_path / "a.gml")
    (tmp_path / "a.json").write_text(json.dumps(nx.node_link_data(graph, edges="edges")))
    for name in ("a.graphml", "a.gml", "a.json"):
        found = ways(laid_out(tmp_path / name, (tmp_path / name).read_text(), parallel="sum"))
        assert found["a", "b"] == (7e6, 0.001)
        assert found["b", "a"] == ((9e6 if directed else 7e6), 0.001)
