"""Map of a trace's network: nodes with positions, links, and cells with their range."""

from __future__ import annotations

import math
from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, cast

import networkx as nx

from edgesim.errors import TraceError
from edgesim.trace.reader import Trace
from edgesim.units import is_finite_number

__all__ = ["Cell", "MapLink", "MapNode", "TopologyMap", "topology_map"]

Point = tuple[float, float]

_STEP = 0.22  # distance between rows of nodes without a position, as a fraction of the map's size
_MOST_EXACT = 80  # most nodes laid out by graph distances, which takes time cubic in their number
_SPRING_SEED = 1  # arbitrary; makes the spring layout reproducible


@dataclass(frozen=True, slots=True)
class MapNode:
    """A device or a switch.

    Attributes
    ----------
    kind
        Device kind; empty for a switch.
    x_m, y_m
        Position at time zero, or the position chosen by the layout.
    is_placed
        Whether the trace contains its position; otherwise the layout chose it.
    track_m
        Points of its trajectory in the first replication, if it moves and the trace contains them.
    """

    name: str
    group: str
    kind: str
    x_m: float
    y_m: float
    is_placed: bool
    track_m: tuple[Point, ...] = ()


@dataclass(frozen=True, slots=True)
class MapLink:
    """A link: its name in spans, its ends, its kind (``wired``, ``radio`` or ``recorded``) and any rate."""

    name: str
    ends: tuple[str, str]
    kind: str
    rate_bps: float | None


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell and its median range in metres; None: more than 100 km, or unknown."""

    name: str
    station: str
    reach_m: float | None


@dataclass(frozen=True, slots=True)
class TopologyMap:
    """Nodes, links and cells of a network."""

    nodes: tuple[MapNode, ...]
    links: tuple[MapLink, ...]
    cells: tuple[Cell, ...]

    @property
    def is_to_scale(self) -> bool:
        """Whether the position of every node is known."""
        return all(node.is_placed for node in self.nodes)

    def node(self, name: str) -> MapNode:
        """Return a node by its name."""
        return next(node for node in self.nodes if node.name == name)


def topology_map(trace: Trace) -> TopologyMap:
    """Build the map of a trace's network.

    Positions are taken from ``run.json`` (``places_m``). Nodes without one are drawn in rows above the
    others: the more hops from a node with a position, the higher the row, each node near the mean x of its
    neighbours. If no position is known, nodes are laid out by their distances in the graph.

    Raises
    ------
    TraceError
        If the trace has no devices table, or its positions are invalid.
    """
    run = cast("Mapping[str, Any]", trace.run)
    groups, kinds = _devices(trace)
    links = tuple(_link(name, facts, groups) for name, facts in run["links"].items())
    places = {
        name: _point(trace, name, place) for name, place in run.get("places_m", {}).items() if name in groups
    }
    laid_out = _placed(list(groups), [link.ends for link in links], places)
    tracks = {
        name: tuple(_point(trace, name, at[1:]) for at in track)
        for name, track in run.get("tracks", {}).items()
    }
    return TopologyMap(
        nodes=tuple(
            MapNode(name, group, kinds[name], *laid_out[name], name in places, tracks.get(name, ()))
            for name, group in groups.items()
        ),
        links=links,
        cells=tuple(
            Cell(name, str(facts.get("station")), _reach(facts.get("reach_m")))
            for name, facts in run.get("cells", {}).items()
            if facts.get("station") in groups
        ),
    )


def _devices(trace: Trace) -> tuple[dict[str, str], dict[str, str]]:
    """Return the groups and the kinds of all devices, by name."""
    for strategy in trace.strategies:
        for replication in trace.replications(strategy):
            table = trace.devices(strategy, replication)
            names = table["device"].astype(str)
            kinds = table["kind"].astype(object).where(table["origin"].notna(), "")
            groups = dict(zip(names, table["group"].astype(str), strict=True))
            return groups, dict(zip(names, map(str, kinds), strict=True))
    raise TraceError(
        f"{trace.path}: {trace.incomplete or 'no replication is complete'}; there is no map to draw"
    )


def _link(name: str, facts: Mapping[str, Any], known: Mapping[str, str]) -> MapLink:
    """Read a link; its ends are parsed from its name if the trace does not state them."""
    ends = facts.get("between")
    if not (
        isinstance(ends, list)
        and len(ends) == 2
        and all(isinstance(end, str) and end in known for end in ends)
    ):
        parts = name.split("--")
        cuts = [("--".join(parts[:cut]), "--".join(parts[cut:])) for cut in range(1, len(parts))]
        ends = next((cut for cut in cuts if cut[0] in known and cut[1] in known), None)
        if ends is None:
            raise TraceError(
                f"run.json: link {name!r} does not connect two devices of the trace; run it again"
            )
    rate_bps = facts.get("rate_bps")
    return MapLink(
        name,
        (str(ends[0]), str(ends[1])),
        str(facts.get("kind", "wired")),
        float(rate_bps) if isinstance(rate_bps, int | float) else None,
    )


def _point(trace: Trace, name: str, place: Sequence[float]) -> Point:
    if len(place) != 2 or not all(map(math.isfinite, place)):
        raise TraceError(f"{trace.path}: the position of {name!r} is {place!s:.60}; expected two numbers")
    return float(place[0]), float(place[1])


def _reach(reach_m: object) -> float | None:
    return float(reach_m) if is_finite_number(reach_m) else None


def _placed(
    names: Sequence[str], edges: Sequence[tuple[str, str]], known: Mapping[str, Point]
) -> dict[str, Point]:
    """Return a position for every node, by name."""
    if not known:
        return _laid_out(names, edges)
    near = defaultdict(list)
    for one, other in edges:
        near[one].append(other)
        near[other].append(one)
    depth = dict.fromkeys(known, 0)
    waiting = deque(known)
    while waiting:
        name = waiting.popleft()
        for other in near[name]:
            if other not in depth:
                depth[other] = depth[name] + 1
                waiting.append(other)
    xs, ys = ([place[axis] for place in known.values()] for axis in (0, 1))
    size_m = max(max(xs) - min(xs), max(ys) - min(ys), 1.0)
    found = dict(known)
    deepest = max(depth.values())
    rows: dict[int, list[str]] = defaultdict(list)
    for name in names:
        if name not in known:
            rows[depth.get(name, deepest + 1)].append(name)
    for row, own in sorted(rows.items()):
        wanted = {}
        for name in own:
            below = [found[other][0] for other in near[name] if other in found]
            wanted[name] = sum(below) / len(below) if below else (min(xs) + max(xs)) / 2
        y_m = max(ys) + _STEP * size_m * row
        least_m = size_m / max(6.0, 1.2 * len(own))
        for name, x_m in zip(own, _apart([wanted[name] for name in own], least_m), strict=True):
            found[name] = (x_m, y_m)
    return found


def _apart(wanted: Sequence[float], least: float) -> list[float]:
    """Move values at least `least` apart, keeping their order and their mean."""
    order = sorted(range(len(wanted)), key=lambda place: wanted[place])
    moved = list(wanted)
    for before, place in pairwise(order):
        moved[place] = max(moved[place], moved[before] + least)
    shift = (sum(wanted) - sum(moved)) / max(len(wanted), 1)
    return [value + shift for value in moved]


def _laid_out(names: Sequence[str], edges: Sequence[tuple[str, str]]) -> dict[str, Point]:
    """Lay out a graph without known positions, in a square of 100 m."""
    graph: nx.Graph[str] = nx.Graph()
    graph.add_nodes_from(names)
    graph.add_edges_from(edges)
    if len(names) == 1:
        return {names[0]: (0.0, 0.0)}
    if len(names) <= _MOST_EXACT and nx.is_connected(graph):
        found = nx.kamada_kawai_layout(graph)
    else:
        found = nx.spring_layout(graph, seed=_SPRING_SEED)
    return {str(name): (50.0 * float(place[0]), 50.0 * float(place[1])) for name, place in found.items()}
