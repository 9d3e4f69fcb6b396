"""Reachability of nodes when only some nodes forward messages."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from edgesim.scenario.topology.islands import connected_components

__all__ = ["Reach"]


class Reach:
    """Reachability over paths whose intermediate nodes all forward.

    Parameters
    ----------
    nodes
        Ids of all nodes.
    edges
        Pairs of ids connected by a link.
    forwarding
        Nodes that forward messages between others.
    """

    def __init__(
        self, nodes: Iterable[str], edges: Sequence[tuple[str, str]], forwarding: Collection[str]
    ) -> None:
        self._near: dict[str, set[str]] = {node: {node} for node in nodes}
        for a, b in edges:
            self._near[a].add(b)
            self._near[b].add(a)
        inner = [node for node in self._near if node in forwarding]
        zone = connected_components(inner, [(a, b) for a, b in edges if a in forwarding and b in forwarding])
        self._zones = {
            node: {zone[peer] for peer in near if peer in zone} for node, near in self._near.items()
        }

    def joins(self, a: str, b: str) -> bool:
        """Return whether `a` and `b` can send messages to each other."""
        return b in self._near[a] or not self._zones[a].isdisjoint(self._zones[b])
