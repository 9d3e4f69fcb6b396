"""Search for the highest load at which the objectives are met."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from edgesim.errors import InputError
from edgesim.statistics.intervals import CONFIDENCE
from edgesim.sweep.axes import Axis, Cell
from edgesim.sweep.bracket import Bracket
from edgesim.sweep.goals import NUMBER, Evaluation, Goal, judge
from edgesim.sweep.unit import Unit

__all__ = ["CapacityPlan", "Search", "capacity_axis"]

_RANGE = re.compile(rf"\s*(?P<low>{NUMBER})\s*(?P<unit>.*?)\s*\.\.\s*(?P<high>{NUMBER})\s*(?P<unit_2>.*?)\s*")

_WHOLE = re.compile(r"\+?\d+")


@dataclass(frozen=True)
class Search:
    """A requested capacity search.

    Attributes
    ----------
    path, unit
        The path in the scenario that is varied, and the unit of its values.
    lowest, highest
        The searched range.
    goal
        The condition that a load must meet.
    resolution
        Distance at which a bisection ends, relative to the value.
    is_whole
        Whether to evaluate whole numbers only.
    """

    path: str
    lowest: float
    highest: float
    unit: str
    goal: Goal
    resolution: float = 0.01
    is_whole: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.lowest < self.highest:
            raise InputError(
                f"--capacity: expected a range of positive numbers, the lower one first; got "
                f"{self.lowest:g} to {self.highest:g}"
            )
        if not 0 < self.resolution < 1:
            raise InputError(f"--resolution: expected a share between 0 and 1, got {self.resolution:g}")

    @classmethod
    def parse(cls, text: str, goal: Goal, resolution: float = 0.01) -> Search:
        """Parse ``workload.arrivals.poisson=0.1..5 Hz``, or ``count=1..16``: whole numbers only.

        Raises
        ------
        InputError
            If the text has another form.
        """
        path, equals, right = text.partition("=")
        found = _RANGE.fullmatch(right)
        if not equals or not path.strip() or found is None or found["unit"] not in ("", found["unit_2"]):
            raise InputError(
                f"--capacity {text}: expected path=LOW..HIGH, such as workload.arrivals.poisson='0.1..5 Hz'"
            )
        low, high, unit = found["low"], found["high"], found["unit_2"]
        is_whole = not unit and all(_WHOLE.fullmatch(end) for end in (low, high))
        return cls(path.strip(), float(low), float(high), unit, goal, resolution, is_whole)

    def facts(self) -> dict[str, object]:
        """Return the search as recorded in ``sweep.json``."""
        return {
            "path": self.path,
            "lowest": self.lowest,
            "highest": self.highest,
            "unit": self.unit,
            "goal": str(self.goal),
            "resolution": self.resolution,
            "confidence": CONFIDENCE,
            **({"whole": True} if self.is_whole else {}),
        }

    def written(self, value: float) -> str:
        """Format a value as the scenario writes it, with the unit."""
        return f"{value:.15g} {self.unit}".rstrip()


@dataclass
class _Searched:
    """The search for one strategy at one combination of the other axes' values."""

    bracket: Bracket
    looks: dict[float, Evaluation] = field(default_factory=dict)
    failed: str | None = None


class CapacityPlan:
    """Plan of capacity searches: one for every combination of the other axes and every strategy.

    Searches proceed in rounds. The values that all searches evaluate next form the cells of a round; a
    strategy runs only at the values that its own search requested. A round is judged when all its units are
    finished.

    Parameters
    ----------
    search
        The requested search.
    bases
        Combinations of the other axes.
    n_replications
        Replications of each evaluated value.
    """

    def __init__(self, search: Search, bases: Sequence[Cell], n_replications: int) -> None:
        self._search, self._bases, self._n_replications = search, bases, n_replications
        self._searched: dict[tuple[int, str], _Searched] = {}
        self._cells: dict[int, tuple[int, float]] = {}  # by number: the base's number and the searched value
        self._results: dict[Unit, pa.Table | None] = {}
        self._round: list[Unit] = []
        self._left: list[Unit] = []
        self._fresh: list[Cell] = []
        self._known: dict[str, int] = {}  # numbers of the cells of an earlier sweep
        self._next_number = 0
        for base in bases:
            for value in (search.lowest, search.highest):
                self._add(base, value, ())
        self.first, self._fresh = self._fresh, []
        self._begin(self.first)

    def reuse_numbers(self, before: Mapping[str, Mapping[str, Any]]) -> None:
        """Reuse the cell numbers of an earlier ``sweep.json``, so that a number always denotes the same cell.

        A unit that failed and is run again may send a search elsewhere; its cells may then differ from the
        earlier ones, or arise in another order.
        """
        self._known = {
            _identity(stated["values"], stated["strategies"]): int(number)
            for number, stated in before.items()
        }
        self._next_number = max([self._next_number, *(int(number) + 1 for number in before)])

    def fresh(self) -> list[Cell]:
        """Return the cells added since the last call; they must be prepared before their units begin."""
        self._advance()
        fresh, self._fresh = self._fresh, []
        return fresh

    def n_asked(self) -> int | None:
        """Return the total number of units, or None until all searches are over."""
        return None if self._round else len(self._cells) * self._n_replications

    def next(self) -> Unit | None:
        """Return the next unit of the round, or None."""
        while self._left:
            unit = self._left.pop(0)
            if unit not in self._results:
                return unit
        return None

    def record(self, unit: Unit, results: pa.Table | None) -> bool:
        """Store the results of a unit, which may belong to a later round."""
        self._results[unit] = results
        return unit.replication < self._n_replications

    def not_needed(self) -> Iterable[Unit]:
        """Return the units left by an earlier sweep that this one does not need."""
        return [
            unit
            for unit in self._results
            if unit.cell not in self._cells or unit.replication >= self._n_replications
        ]

    def values(self) -> list[str]:
        """Return the values evaluated so far, in increasing order."""
        return [self._search.written(value) for value in sorted({value for _, value in self._cells.values()})]

    def facts(self) -> dict[str, object]:
        """Return the capacities found so far, by the other axes' values and strategy."""
        return {
            "capacities": [
                self._facts(self._bases[base], label, searched)
                for (base, label), searched in sorted(
                    self._searched.items(), key=lambda item: (item[0][0], list(self._searched).index(item[0]))
                )
            ]
        }

    def _facts(self, base: Cell, label: str, searched: _Searched) -> dict[str, object]:
        bracket = searched.bracket
        high = searched.looks.get(bracket.high) if bracket.high is not None else None
        limited_by = None if high is None else ("saturation" if high.is_saturated else "objectives")
        return {
            "values": list(base.values),
            "strategy": label,
            "low": bracket.low,
            "high": bracket.high,
            "unit": self._search.unit,
            "limited_by": limited_by,
            "is_over": not bracket.next() or searched.failed is not None,
            **({"failed": searched.failed} if searched.failed else {}),
            "looks": [
                {
                    "value": value,
                    "verdict": str(look.verdict),
                    "mean": None if look.estimate is None else look.estimate.mean,
                    "low": None if look.estimate is None else look.estimate.low,
                    "high": None if look.estimate is None else look.estimate.high,
                    "saturated": look.is_saturated,
                }
                for value, look in sorted(searched.looks.items())
            ],
        }

    def _add(self, base: Cell, value: float, strategies: tuple[str, ...]) -> None:
        text = self._search.written(value)
        shown = text if self._search.unit else value
        number = self._known.get(_identity([*base.values, shown], strategies), self._next_number)
        self._next_number = max(self._next_number, number + 1)
        self._cells[number] = (base.number, value)
        override = f"{self._search.path}={text}"
        self._fresh.append(Cell(number, (*base.values, shown), (*base.overrides, override), strategies))

    def _begin(self, cells: Sequence[Cell]) -> None:
        self._round = [Unit(cell.number, n) for cell in cells for n in range(self._n_replications)]
        self._left = list(self._round)

    def _advance(self) -> None:
        """Judge the round if all its units are finished, and begin the next."""
        while self._round and all(unit in self._results for unit in self._round):
            for number in dict.fromkeys(unit.cell for unit in self._round):
                self._judge(number)
            n_before = len(self._fresh)
            for base in self._bases:
                wanted: defaultdict[float, list[str]] = defaultdict(list)
                for (number, label), searched in self._searched.items():
                    if number == base.number and searched.failed is None:
                        for value in searched.bracket.next():
                            wanted[value].append(label)
                for value in sorted(wanted):
                    self._add(base, value, tuple(wanted[value]))
            self._begin(self._fresh[n_before:])

    def _judge(self, number: int) -> None:
        base, value = self._cells[number]
        tables = [self._results[Unit(number, n)] for n in range(self._n_replications)]
        rows: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
        for table in tables:
            for row in [] if table is None else table.to_pylist():
                rows[row["strategy"]].append(row)
        if any(table is None for table in tables):
            labels = [label for at, label in self._searched if at == base] or list(rows)
            for label in labels:
                searched = self._searched.setdefault((base, label), self._start())
                searched.failed = f"failed at {self._search.written(value)}, see failures"
            return
        for label, own in rows.items():
            searched = self._searched.setdefault((base, label), self._start())
            look = judge(own, self._search.goal)
            searched.looks[value] = look
            searched.bracket.verdicts[value] = look.verdict

    def _start(self) -> _Searched:
        search = self._search
        return _Searched(Bracket(search.lowest, search.highest, search.resolution, search.is_whole))


def _identity(values: Sequence[Any], strategies: Iterable[str]) -> str:
    """Return the text that identifies a cell across sweeps: its values and strategies."""
    return json.dumps([list(values), sorted(strategies)])


def capacity_axis(search: Search, label: str, values: Sequence[str]) -> Axis:
    """Make the axis of evaluated values."""
    shown = tuple(values) if search.unit else tuple(float(value) for value in values)
    return Axis(label, search.path, shown, tuple((f"{search.path}={value}",) for value in values))
