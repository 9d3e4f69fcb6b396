"""Unique cheapest paths of a network, independent of the end from which they are searched."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterable
from heapq import heappop, heappush

__all__ = ["CheapestPaths"]

_SCALE = 2.0**100
"""Costs are added exactly, as multiples of 2^-100 s, so that ties do not depend on the order of addition."""
_MOST_S = 1e30  # cost cap for links with rate 0, so that they remain part of the graph
_HOP_BITS, _ORDER_BITS, _DRAW_BITS = 32, 48, 80  # tie-breaking fields, wide enough for the sum over any path
_MIX = (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB)  # splitmix64 (Steele et al. 2014)


class CheapestPaths:
    """Cheapest paths between nodes, over edges with a cost per direction.

    Ties are broken by fewer hops, then by the order of the links in `edges` (least sum of positions). The
    path is therefore unique and does not depend on the end from which it is searched. One search serves all
    paths from a node, or all paths to a node, depending on which are requested more often. If both directions
    have equal costs, the reverse path uses the same links.

    Parameters
    ----------
    nodes
        Names of the nodes.
    edges
        Tail, head, cost [s] from tail to head, and position in the order; one entry per direction.
    through
        Nodes allowed as intermediate nodes of a path; None: all.
    """

    def __init__(
        self,
        nodes: Iterable[str],
        edges: Iterable[tuple[str, str, float, int]],
        through: Collection[str] | None = None,
    ) -> None:
        self._out: dict[str, dict[str, int]] = {node: {} for node in nodes}
        self._in: dict[str, dict[str, int]] = {node: {} for node in self._out}
        for tail, head, cost_s, place in edges:
            self._out[tail][head] = self._in[head][tail] = _weight(cost_s, place)
        self._through = self._out.keys() if through is None else through
        self._known: dict[tuple[str, str], list[str]] = {}
        self._before: dict[str, dict[str, str]] = {}  # by source: the node before each
        self._after: dict[str, dict[str, str]] = {}  # by target: the node after each
        self._searched_from: Counter[str] = Counter()
        self._searched_into: Counter[str] = Counter()
        self._least: dict[tuple[str, bool], tuple[int | None, int | None]] = {}

    def path(self, source: str, target: str) -> list[str] | None:
        """Return the nodes of the cheapest path, including both ends; None if there is no path."""
        ends = (source, target)
        if ends not in self._known:
            found = [source, target] if self._is_straight(source, target) else self._found(source, target)
            if found is None:
                return None
            self._known[ends] = found
        return self._known[ends]

    def _found(self, source: str, target: str) -> list[str] | None:
        if source not in self._before and target not in self._after:
            if self._searched_from[source] > self._searched_into[target]:
                self._before[source] = _tree(self._out, source, self._through)
            else:
                self._after[target] = _tree(self._in, target, self._through)
            self._searched_from[source] += 1
            self._searched_into[target] += 1
        if target in self._after:
            return _walk(self._after[target], source, target)
        path = _walk(self._before[source], target, source)
        return None if path is None else path[::-1]

    def _is_straight(self, source: str, target: str) -> bool:
        """Whether the direct edge is at most as costly as any path with other first and last hops."""
        weight = self._out[source].get(target)
        if weight is None:
            return False
        around = (self._other_than(weight, source, self._out), self._other_than(weight, target, self._in))
        return None in around or weight <= sum(filter(None, around))

    def _other_than(self, weight: int, node: str, edges: dict[str, dict[str, int]]) -> int | None:
        """Least weight of a node's other edges; None if there are no others."""
        key = (node, edges is self._out)
        if key not in self._least:
            least = sorted(edges[node].values())[:2]
            self._least[key] = (least[0], least[1] if len(least) > 1 else None)
        first, second = self._least[key]
        return second if first == weight else first


def _weight(cost_s: float, place: int) -> int:
    """Pack cost, hop count, position and a pseudorandom number into one integer, in lexicographic order."""
    cost = int(min(cost_s, _MOST_S) * _SCALE)
    return ((cost << _HOP_BITS | 1) << _ORDER_BITS | place) << _DRAW_BITS | _draw(place)


def _draw(place: int) -> int:
    """Pseudorandom number of 48 bits per edge, so that sums over different sets of edges rarely coincide."""
    mixed = (place + 1) * _MIX[0] % 2**64
    for shift, factor in ((30, _MIX[1]), (27, _MIX[2])):
        mixed = (mixed ^ mixed >> shift) * factor % 2**64
    return (mixed ^ mixed >> 31) >> 16


def _tree(edges: dict[str, dict[str, int]], root: str, through: Collection[str]) -> dict[str, str]:
    """Return the next node towards the root for every connected node (Dijkstra 1959)."""
    towards: dict[str, str] = {root: root}
    best: dict[str, float] = {root: 0}
    waiting: list[tuple[int, str]] = [(0, root)]
    done: set[str] = set()
    while waiting:
        distance, node = heappop(waiting)
        if node in done:
            continue
        done.add(node)
        if node not in through and node != root:
            continue  # may be an end of a path, but not an intermediate node
        for peer, weight in edges[node].items():
            length = distance + weight
            if length < best.get(peer, math.inf):
                best[peer], towards[peer] = length, node
                heappush(waiting, (length, peer))
    return towards


def _walk(towards: dict[str, str], start: str, root: str) -> list[str] | None:
    if start not in towards:
        return None
    path = [start]
    while path[-1] != root:
        path.append(towards[path[-1]])
    return path
