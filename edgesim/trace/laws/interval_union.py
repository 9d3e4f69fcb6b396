"""Total time covered by overlapping intervals that are added in parts and in any order."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from edgesim.trace.laws.rows import FloatArray, IntArray

__all__ = ["Unions"]


class Unions:
    """Unions of intervals by place, stored as disjoint intervals."""

    def __init__(self) -> None:
        self._covered: dict[int, tuple[FloatArray, FloatArray]] = {}

    def add(self, places: IntArray, starts: FloatArray, ends: FloatArray) -> None:
        """Add intervals, each to the union of its place."""
        none = np.zeros(0)
        for place in np.unique(places).tolist():
            own = places == place
            before = self._covered.get(place, (none, none))
            self._covered[place] = _merged(
                np.concatenate([before[0], starts[own]]), np.concatenate([before[1], ends[own]])
            )

    def lengths_s(self) -> Iterator[tuple[int, float]]:
        """Yield each place with the length of its union [s]."""
        for place, (starts, ends) in self._covered.items():
            yield place, float((ends - starts).sum())


def _merged(starts: FloatArray, ends: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Merge intervals into disjoint ones, in order."""
    order = np.argsort(starts, kind="stable")
    starts, reach = starts[order], np.maximum.accumulate(ends[order])
    is_first = np.append(True, starts[1:] > reach[:-1])
    is_last = np.append(is_first[1:], True)
    return starts[is_first], reach[is_last]
