"""The highest load under which the objectives are met: how it is asked for and searched."""

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
from edgesim.sweep.goals import NUMBER, Goal, Look, judged
from edgesim.sweep.unit import Unit

__all__ = ["CapacityPlan", "Search", "capacity_axis"]

_RANGE = re.compile(rf"\s*(?P<low>{NUMBER})\s*(?P<unit>.*?)\s*\.\.\s*(?P<high>{NUMBER})\s*(?P<unit_2>.*?)\s*")

_WHOLE = re.compile(r"\+?\d+")


@dataclass(frozen=True)
class Search:
    """A capacity that is asked for.

    Attributes
    ----------
    path, unit
        What is searched over, and the unit of its values.
    lowest, highest
        The range.
    resolution
        How near the ends of each bisection get, relative to the value.
    is_whole
        Whether only whole numbers are looked at.
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
        """Read ``workload.arrivals.poisson=0.1..5 Hz``; of ``count=1..16`` whole numbers only.

        Raises
        ------
        InputError
            If it is something else.
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
        """As it is recorded."""
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
        """Write a value as the scenario has it."""
        return f"{value:.15g} {self.unit}".rstrip()


@dataclass
class _Searched:
    """The search for one strategy under the other axes' values."""

    bracket: Bracket
    looks: dict[float, Look] = field(default_factory=dict)
    failed: str | None = None


class CapacityPlan:
    """The plan of capacity searches: for every combination of the other axes, and every strategy.

    Searches go on in rounds: what all of them want to look at next makes the cells of a round, in which a
    strategy runs only at values that its own search wants. A round is judged when all of it is there.

    Parameters
    ----------
    search
        What is asked.
    bases
        Combinations of the other axes.
    n_replications
        Of each look.
    """

    def __init__(self, search: Search, bases: Sequence[Cell], n_replications: int) -> None:
        self._search, self._bases, self._n_replications = search, bases, n_replications
        self._searched: dict[tuple[int, str], _Searched] = {}
        self._cells: dict[int, tuple[int, float]] = {}  # by number: the base, and the value
        self._results: dict[Unit, pa.Table | None] = {}
        self._round: list[Unit] = []
        self._left: list[Unit] = []
        self._fresh: list[Cell] = []
        self._known: dict[str, int] = {}  # numbers that cells of an earlier sweep have
        self._next_number = 0
        for base in bases:
            for value in (search.lowest, search.highest):
                self._add(base, value, ())
        self.first, self._fresh = self._fresh, []
        self._begin(self.first)

    def know(self, before: Mapping[str, Mapping[str, Any]]) -> None:
        """Take a cell's number from ``sweep.json`` where it has one.

        What has failed and is run again may send a search elsewhere, and the cells that come up then are
        others, or come in another order: a number stands for the same cell all the same.
        """
        self._known = {
            _identity(stated["values"], stated["strategies"]): int(number)
            for number, stated in before.items()
        }
        self._next_number = max([self._next_number, *(int(number) + 1 for number in before)])

    def fresh(self) -> list[Cell]:
        """Cells that have come up since this was asked last; they are prepared before their units begin."""
        self._advance()
        fresh, self._fresh = self._fresh, []
        return fresh

    def n_asked(self) -> int | None:
        """How many there will be is known when all searches are over."""
        return None if self._round else len(self._cells) * self._n_replications

    def next(self) -> Unit | None:
        """The next unit of the round."""
        while self._left:
            unit = self._left.pop(0)
            if unit not in self._results:
                return unit
        return None

    def found(self, unit: Unit, results: pa.Table | None) -> bool:
        """Take a unit in, be it of a round that is still to come."""
        self._results[unit] = results
        return unit.replication < self._n_replications

    def unasked(self) -> Iterable[Unit]:
        """What an earlier sweep left of nothing that is asked."""
        return [
            unit
            for unit in self._results
            if unit.cell not in self._cells or unit.replication >= self._n_replications
        ]

    def values(self) -> list[str]:
        """Values looked at so far, in order."""
        return [self._search.written(value) for value in sorted({value for _, value in self._cells.values()})]

    def facts(self) -> dict[str, object]:
        """What was found so far, by the other axes' values and strategy."""
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
        """Judge the round if it is there, and begin the next."""
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
            look = judged(own, self._search.goal)
            searched.looks[value] = look
            searched.bracket.verdicts[value] = look.verdict

    def _start(self) -> _Searched:
        search = self._search
        return _Searched(Bracket(search.lowest, search.highest, search.resolution, search.is_whole))


def _identity(values: Sequence[Any], strategies: Iterable[str]) -> str:
    """What makes a cell the same in an earlier sweep, as text."""
    return json.dumps([list(values), sorted(strategies)])


def capacity_axis(search: Search, label: str, values: Sequence[str]) -> Axis:
    """The axis of the values looked at."""
    shown = tuple(values) if search.unit else tuple(float(value) for value in values)
    return Axis(label, search.path, shown, tuple((f"{search.path}={value}",) for value in values))
