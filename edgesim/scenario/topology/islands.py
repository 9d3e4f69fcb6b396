"""Connected components of a graph."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["connected_components"]


def connected_components(nodes: Iterable[str], edges: Iterable[tuple[str, str]]) -> dict[str, int]:
    """Return the number of the connected component of every node of an undirected graph."""
    neighbours: dict[str, list[str]] = {node: [] for node in nodes}
    for a, b in edges:
        neighbours[a].append(b)
        neighbours[b].append(a)
    number: dict[str, int] = {}
    n_islands = 0
    for node in neighbours:
        if node in number:
            continue
        number[node], waiting = n_islands, [node]
        while waiting:
            found = [peer for peer in neighbours[waiting.pop()] if peer not in number]
            number.update(dict.fromkeys(found, n_islands))
            waiting += found
        n_islands += 1
    return number
