"""Conversion of a graph file's edges to links: pairing of directions and merging of parallel edges."""

from __future__ import annotations

from collections.abc import Sequence

from edgesim.scenario.schema.by_way import ByDirection, ways
from edgesim.scenario.schema.topology import GraphFile, Parallel, Wired
from edgesim.scenario.topology.graph_file import Graph
from edgesim.scenario.topology.graph_parts import edge_of

__all__ = ["edges_of"]

_Way = tuple[float, float]
"""Rate [bit/s] and latency [s] of one direction."""

_PARALLEL = "choose how to merge them with 'parallel: first', 'fastest' or 'sum' beside 'path'"


def edges_of(graph: Graph, file: GraphFile) -> list[tuple[str, str, Wired]]:
    """Return the links between nodes: two ends and a wired section, up from the first end to the second.

    Raises
    ------
    ValueError
        With a message for the user: an invalid edge, parallel edges that the scenario does not merge, or an
        edge of a directed graph without its opposite.
    """
    edges_of_pair: dict[frozenset[str], list[tuple[str, str, Wired]]] = {}
    for a, b, attributes in graph.edges:
        edges_of_pair.setdefault(frozenset((a, b)), []).append((a, b, edge_of(a, b, attributes, file)))
    join = _directed if graph.is_directed else _undirected
    return [join(edges, file.parallel) for edges in edges_of_pair.values()]


def _directed(edges: Sequence[tuple[str, str, Wired]], rule: Parallel) -> tuple[str, str, Wired]:
    """Return the link of two nodes of a directed graph, whose directions are the edges there and back."""
    a, b, _ = edges[0]
    there, back = ([_up(wired) for c, _, wired in edges if c == end] for end in (a, b))
    if not back:
        raise ValueError(
            f"the directed edge from '{a}' to '{b}' has no opposite; links have two directions: add the edge "
            f"from '{b}' to '{a}', or write an undirected graph (G.to_undirected())"
        )
    return a, b, _wired(_joined(there, rule, (a, b)), _joined(back, rule, (b, a)))


def _undirected(edges: Sequence[tuple[str, str, Wired]], rule: Parallel) -> tuple[str, str, Wired]:
    """Return the link of two nodes of an undirected graph; equal edges in both directions count once."""
    a, b, _ = edges[0]
    there, back = ([_ways(wired) for c, _, wired in edges if c == end] for end in (a, b))
    if not back or sorted(there) == sorted(back):
        parallel = there
    else:
        parallel = [_ways(wired) if c == a else _ways(wired)[::-1] for c, _, wired in edges]
    up = _joined([way for way, _ in parallel], rule, (a, b))
    down = _joined([way for _, way in parallel], rule, (a, b))
    return a, b, _wired(up, down)


def _joined(ways: Sequence[_Way], rule: Parallel, ends: tuple[str, str]) -> _Way:
    """Merge parallel edges in one direction."""
    if len(ways) == 1:
        return ways[0]
    match rule:
        case "refuse":
            raise ValueError(
                f"'{ends[0]}' and '{ends[1]}' have {len(ways)} edges; a pair of nodes can have one link: "
                f"{_PARALLEL}"
            )
        case "first":
            return ways[0]
        case "fastest":
            return max(ways, key=lambda way: (way[0], -way[1]))
        case "sum":  # a message is split over all edges, and arrives with its last part
            return sum(rate_bps for rate_bps, _ in ways), max(latency_s for _, latency_s in ways)


def _ways(wired: Wired) -> tuple[_Way, _Way]:
    rate_bps, latency_s = wired.constant_bps(), ways(wired.latency_s)
    assert rate_bps is not None, "the schema lets a file's edges have constant rates only"
    return (rate_bps.up, latency_s.up), (rate_bps.down, latency_s.down)


def _up(wired: Wired) -> _Way:
    return _ways(wired)[0]


def _wired(up: _Way, down: _Way) -> Wired:
    # The numbers are in SI units already, while the schema's readers expect text.
    return Wired.model_construct(rate_bps=ByDirection(up[0], down[0]), latency_s=ByDirection(up[1], down[1]))
