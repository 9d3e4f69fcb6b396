"""What a trace says of the network's shape: nodes with places, links, and cells with their reach."""

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

__all__ = ["Cell", "MapLink", "MapNode", "TopologyMap", "topology_map"]

Point = tuple[float, float]

_STEP = 0.22  # of the map's size: from one row of nodes without a place to the next
_MOST_EXACT = 80  # nodes of a layout by graph distances, whose time grows with their cube
_SPRING_SEED = 1  # of a layout: it has no meaning


@dataclass(frozen=True, slots=True)
class MapNode:
    """A device or a switch.

    Attributes
    ----------
    kind
        Empty for a switch.
    x_m, y_m
        Its place at time zero, or where it is drawn.
    is_placed
        Whether the trace knows its place; else it was laid out.
    track_m
        Points of the way it goes in the first replication, if it moves and the trace says so.
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
    """A link: its name in spans, ends, ``wired``, ``radio`` or ``recorded``, and rate where it has one."""

    name: str
    ends: tuple[str, str]
    kind: str
    rate_bps: float | None


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell, and how far it reaches in the median; None: farther than 100 km, or not known."""

    name: str
    station: str
    reach_m: float | None


@dataclass(frozen=True, slots=True)
class TopologyMap:
    """Nodes, links and cells; `is_to_scale` where all places are known."""

    nodes: tuple[MapNode, ...]
    links: tuple[MapLink, ...]
    cells: tuple[Cell, ...]

    @property
    def is_to_scale(self) -> bool:
        """Whether every node's place is known."""
        return all(node.is_placed for node in self.nodes)

    def node(self, name: str) -> MapNode:
        """One node by its name."""
        return next(node for node in self.nodes if node.name == name)


def topology_map(trace: Trace) -> TopologyMap:
    """Read the network's shape from a trace alone.

    Places are those of ``run.json`` (``places_m``). Nodes without one stand in rows above the others, the
    nearer by links the lower, under the mean of their neighbours; where no place is known at all, nodes are
    laid out by their distances in the graph.

    Raises
    ------
    TraceError
        If the trace has no devices table, or damaged places.
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
    """Group and kind of every device, by name."""
    for strategy in trace.strategies:
        for replication in trace.replications(strategy):
            table = trace.devices(strategy, replication)
            names = table["device"].astype(str)
            kinds = table["kind"].astype(object).where(table["origin"].notna(), "")
            groups = dict(zip(names, table["group"].astype(str), strict=True))
            return groups, dict(zip(names, map(str, kinds), strict=True))
    raise TraceError(
        f"{trace.path}: {trace.incomplete or 'no replication is whole'}; there is no map to draw"
    )


def _link(name: str, facts: Mapping[str, Any], known: Mapping[str, str]) -> MapLink:
    """A link; in traces that do not say its ends, they are read from its name."""
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
            raise TraceError(f"run.json: link {name!r} does not join two devices of the trace; run it again")
    rate_bps = facts.get("rate_bps")
    return MapLink(
        name,
        (str(ends[0]), str(ends[1])),
        str(facts.get("kind", "wired")),
        float(rate_bps) if isinstance(rate_bps, int | float) else None,
    )


def _point(trace: Trace, name: str, place: Sequence[float]) -> Point:
    if len(place) != 2 or not all(map(math.isfinite, place)):
        raise TraceError(f"{trace.path}: the place of {name!r} is {place!s:.60}; expected two numbers")
    return float(place[0]), float(place[1])


def _reach(reach_m: object) -> float | None:
    return float(reach_m) if isinstance(reach_m, int | float) and math.isfinite(reach_m) else None


def _placed(
    names: Sequence[str], edges: Sequence[tuple[str, str]], known: Mapping[str, Point]
) -> dict[str, Point]:
    """A place for every node, by its name."""
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
    """Values at least so far apart, in the same order, with the same mean as those wanted."""
    order = sorted(range(len(wanted)), key=lambda place: wanted[place])
    moved = list(wanted)
    for before, place in pairwise(order):
        moved[place] = max(moved[place], moved[before] + least)
    shift = (sum(wanted) - sum(moved)) / max(len(wanted), 1)
    return [value + shift for value in moved]


def _laid_out(names: Sequence[str], edges: Sequence[tuple[str, str]]) -> dict[str, Point]:
    """Places of a graph without any, within a square of 100 m."""
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
