"""Plans: which units to run next, possibly depending on earlier results."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from typing import Protocol

import pyarrow as pa

from edgesim.sweep.axes import Cell
from edgesim.sweep.unit import Unit

__all__ = ["Listed", "Plan"]


class Plan(Protocol):
    """Chooses units by results alone, not by where or in which order units run."""

    def fresh(self) -> list[Cell]:
        """Return the cells added since the last call; they must be prepared before their units begin."""

    def next(self) -> Unit | None:
        """Return the next unit to start, or None if none can be named before more results are known."""

    def record(self, unit: Unit, results: pa.Table | None) -> bool:
        """Store the results of a unit (None: it failed); return whether it belongs to the sweep."""

    def n_asked(self) -> int | None:
        """Return the total number of units, or None if not yet known."""

    def facts(self) -> dict[str, object]:
        """Return the plan's own findings, for ``sweep.json``."""

    def not_needed(self) -> Iterable[Unit]:
        """Return the units that were stored but turned out not to be needed."""


class Listed:
    """Plan of a fixed number of replications of every cell, cell by cell."""

    def __init__(self, cells: Sequence[Cell], n_replications: int) -> None:
        self.units = [Unit(cell.number, number) for cell in cells for number in range(n_replications)]
        self._asked = frozenset(self.units)
        self._left = deque(self.units)
        self._done: set[Unit] = set()

    def fresh(self) -> list[Cell]:
        """Return no cells: all are listed from the start."""
        return []

    def n_asked(self) -> int | None:
        """Return the number of listed units."""
        return len(self.units)

    def facts(self) -> dict[str, object]:
        """Return an empty mapping: this plan has no findings beyond the results."""
        return {}

    def next(self) -> Unit | None:
        """Return the next unit that is not done, or None."""
        while self._left:
            unit = self._left.popleft()
            if unit not in self._done:
                return unit
        return None

    def record(self, unit: Unit, results: pa.Table | None) -> bool:
        """Mark a unit as done."""
        self._done.add(unit)
        return unit in self._asked

    def not_needed(self) -> Iterable[Unit]:
        """Return the units that are done but not listed."""
        return sorted(self._done - self._asked)
