"""Cheapest paths of a network, each the only one of its kind, from whichever end it is looked for."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterable
from heapq import heappop, heappush

__all__ = ["CheapestPaths"]

_SCALE = 2.0**100
"""Costs are added as whole multiples of 2^-100 s, exactly: no order of adding makes or breaks ties."""
_MOST_S = 1e30  # of a link that carries nothing: it leads somewhere, at last
_HOP_BITS, _ORDER_BITS, _DRAW_BITS = 32, 48, 80  # of what breaks ties; each holds the sum over any path
_MIX = (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB)  # splitmix64 (Steele et al. 2014)


class CheapestPaths:
    """Cheapest paths between nodes, over edges with a cost in each direction.

    Of equally cheap paths the one with fewer hops counts, then the one whose links stand earlier in `edges`
    (the least sum of their places). So a path is the only one of its kind, and it does not matter from which
    of its ends it is looked for: one search serves all that goes out from a node, or all that comes in,
    whichever is asked for more. Where both directions cost the same, the way back is the way there.

    Parameters
    ----------
    nodes
        Names of the nodes.
    edges
        Both ends, costs [s] from the first to the second and back, and the place in the order.
    through
        Nodes that may lie between the ends of a path; None: all.
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
        self._asked_from: Counter[str] = Counter()
        self._asked_into: Counter[str] = Counter()
        self._least: dict[tuple[str, bool], tuple[int | None, int | None]] = {}

    def path(self, source: str, target: str) -> list[str] | None:
        """Nodes on the way, both ends included; None where no way leads."""
        ends = (source, target)
        if ends not in self._known:
            found = [source, target] if self._is_straight(source, target) else self._found(source, target)
            if found is None:
                return None
            self._known[ends] = found
        return self._known[ends]

    def _found(self, source: str, target: str) -> list[str] | None:
        if source not in self._before and target not in self._after:
            if self._asked_from[source] > self._asked_into[target]:
                self._before[source] = _tree(self._out, source, self._through)
            else:
                self._after[target] = _tree(self._in, target, self._through)
            self._asked_from[source] += 1
            self._asked_into[target] += 1
        if target in self._after:
            return _walk(self._after[target], source, target)
        path = _walk(self._before[source], target, source)
        return None if path is None else path[::-1]

    def _is_straight(self, source: str, target: str) -> bool:
        """Whether an edge is cheaper than any way with another first and another last hop."""
        weight = self._out[source].get(target)
        if weight is None:
            return False
        around = (self._other_than(weight, source, self._out), self._other_than(weight, target, self._in))
        return None in around or weight <= sum(filter(None, around))

    def _other_than(self, weight: int, node: str, edges: dict[str, dict[str, int]]) -> int | None:
        """The least weight of a node's other edges; None where it has no other."""
        key = (node, edges is self._out)
        if key not in self._least:
            least = sorted(edges[node].values())[:2]
            self._least[key] = (least[0], least[1] if len(least) > 1 else None)
        first, second = self._least[key]
        return second if first == weight else first


def _weight(cost_s: float, place: int) -> int:
    """Cost, hops, place and a draw of its own in one number, each part far above the sums of the next."""
    cost = int(min(cost_s, _MOST_S) * _SCALE)
    return ((cost << _HOP_BITS | 1) << _ORDER_BITS | place) << _DRAW_BITS | _draw(place)


def _draw(place: int) -> int:
    """A number of 48 bits, by which no two sets of edges are likely to be alike in sum."""
    mixed = (place + 1) * _MIX[0] % 2**64
    for shift, factor in ((30, _MIX[1]), (27, _MIX[2])):
        mixed = (mixed ^ mixed >> shift) * factor % 2**64
    return (mixed ^ mixed >> 31) >> 16


def _tree(edges: dict[str, dict[str, int]], root: str, through: Collection[str]) -> dict[str, str]:
    """The next node towards the root, of all that a way joins with it (Dijkstra 1959)."""
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
            continue  # a way may end here, not lead on
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
