"""Which units are worked at next; what is asked may depend on what was found."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from typing import Protocol

import pyarrow as pa

from edgesim.sweep.axes import Cell
from edgesim.sweep.unit import Unit

__all__ = ["Listed", "Plan"]


class Plan(Protocol):
    """Decides on units by results alone: alike wherever and in whatever order they are worked at."""

    def fresh(self) -> list[Cell]:
        """Cells that have come up since this was asked last; they are prepared before their units begin."""

    def next(self) -> Unit | None:
        """The next unit to begin, if one can be named before more is known."""

    def found(self, unit: Unit, results: pa.Table | None) -> bool:
        """Take in what a unit came to (None: it failed); whether it belongs to the sweep."""

    def n_asked(self) -> int | None:
        """How many units there are in all, if that is known."""

    def facts(self) -> dict[str, object]:
        """What it has found, for ``sweep.json``."""

    def unasked(self) -> Iterable[Unit]:
        """Units that were taken in, and turned out not to be asked for."""


class Listed:
    """All replications of all cells, cell by cell."""

    def __init__(self, cells: Sequence[Cell], n_replications: int) -> None:
        self.units = [Unit(cell.number, number) for cell in cells for number in range(n_replications)]
        self._asked = frozenset(self.units)
        self._left = deque(self.units)
        self._done: set[Unit] = set()

    def fresh(self) -> list[Cell]:
        """None: all cells are listed."""
        return []

    def n_asked(self) -> int | None:
        """All that are listed."""
        return len(self.units)

    def facts(self) -> dict[str, object]:
        """Nothing besides the results."""
        return {}

    def next(self) -> Unit | None:
        """The next that is not done."""
        while self._left:
            unit = self._left.popleft()
            if unit not in self._done:
                return unit
        return None

    def found(self, unit: Unit, results: pa.Table | None) -> bool:
        """Mark it as done."""
        self._done.add(unit)
        return unit in self._asked

    def unasked(self) -> Iterable[Unit]:
        """What is there and not listed."""
        return sorted(self._done - self._asked)
