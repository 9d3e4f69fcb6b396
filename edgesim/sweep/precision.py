"""Sequential stopping rule: add replications until a mean has a given relative precision.

Procedure of Chow and Robbins (1965, Annals of Mathematical Statistics 36, 457-462) with Student's
quantile and for a relative error as in Law (2015, Simulation Modeling and Analysis, 5th edition, section
9.4.1): continue until ``t s / sqrt(n) <= g / (1 + g) |mean|``, where ``g`` is the requested precision. The
right-hand side is smaller than ``g |mean|`` because the error is relative to the true mean. A check after
every replication would stop slightly too often by chance. The first check is therefore made at 10
replications and each further one when a quarter more are available, so that the mean is within ``g`` of the
true mean at least as often as the confidence level states.
"""

from __future__ import annotations

import math
import re
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from edgesim.errors import InputError
from edgesim.nearest import suggest
from edgesim.statistics.intervals import CONFIDENCE, student_t
from edgesim.sweep.axes import Cell
from edgesim.sweep.schema import METRICS
from edgesim.sweep.unit import Unit

__all__ = ["Precise", "Precision", "Sequential"]

LEAST = 10  # Law (2015): with fewer, s is too uncertain for the quantile to compensate
_GROWS = 1.25
_TEXT = re.compile(r"\s*(?P<metric>\w+)\s*(?:±|\+-|\+/-)\s*(?P<percent>\d+\.?\d*|\.\d+)\s*%\s*")


@dataclass(frozen=True)
class Precision:
    """Requested relative error of a metric's mean, with the least and greatest number of replications.

    Raises
    ------
    InputError
        If there is no such metric, or a number is out of range.
    """

    metric: str
    relative: float
    at_least: int = LEAST
    at_most: int = 100

    def __post_init__(self) -> None:
        if self.metric not in METRICS:
            raise InputError(f"--until: no metric '{self.metric}'; {suggest(self.metric, METRICS)}")
        if not 0 < self.relative < 1:
            raise InputError(f"--until: expected a precision between 0 % and 100 %, got {self.relative:.3%}")
        if self.at_least < LEAST:
            raise InputError(f"--at-least: expected {LEAST} replications or more, got {self.at_least}")
        if self.at_most < self.at_least:
            raise InputError(
                f"--at-most: expected no fewer than --at-least, {self.at_least}; got {self.at_most}"
            )

    @classmethod
    def parse(cls, text: str, *, at_least: int = LEAST, at_most: int = 100) -> Precision:
        """Parse ``e2e_mean_s±2%``.

        Raises
        ------
        InputError
            If the text has another form.
        """
        found = _TEXT.fullmatch(text)
        if found is None:
            raise InputError(
                f"--until: expected a metric and a precision, such as 'e2e_mean_s±2%', got {text!r}"
            )
        return cls(found["metric"], float(found["percent"]) / 100, at_least, at_most)

    def facts(self) -> dict[str, object]:
        """Return the requested precision as recorded in ``sweep.json``."""
        return {
            "metric": self.metric,
            "relative": self.relative,
            "at_least": self.at_least,
            "at_most": self.at_most,
            "confidence": CONFIDENCE,
        }

    def after(self, n: int) -> int:
        """Return the number of replications at which to check next."""
        return min(self.at_most, math.ceil(_GROWS * n))

    def reached(self, values: Sequence[float]) -> Precise:
        """Judge the precision of the mean of the given values, one per replication."""
        n_unknown = sum(not math.isfinite(value) for value in values)
        if n_unknown:
            return Precise(
                len(values), None, None, False, f"unknown in {n_unknown} of {len(values)} replications"
            )
        found = student_t(values)
        if found is None or found.interval is None:
            return Precise(len(values), None, None, False, "too few replications")
        half_width = (found.interval[1] - found.interval[0]) / 2
        is_enough = half_width <= self.relative / (1 + self.relative) * abs(found.mean)
        return Precise(len(values), found.mean, half_width, is_enough, None)


@dataclass(frozen=True)
class Precise:
    """Result of a check: the mean over `n` replications and the half-width of its 95 % interval.

    `reason` says why more replications would not help, where that is so.
    """

    n: int
    mean: float | None
    half_width: float | None
    is_reached: bool
    reason: str | None

    def facts(self) -> dict[str, object]:
        """Return the result as recorded in ``sweep.json``."""
        relative = None
        if self.mean and self.half_width is not None:
            relative = self.half_width / abs(self.mean)
        return {
            "n": self.n,
            "mean": self.mean,
            "half_width": self.half_width,
            "relative": relative,
            "reached": self.is_reached,
            **({"reason": self.reason} if self.reason else {}),
        }


class Sequential:
    """Plan that adds replications to each cell until the metric is precise enough for all its strategies.

    All strategies of a cell have the same replications, so that they stay paired.
    """

    def __init__(self, cells: Sequence[Cell], precision: Precision) -> None:
        self._precision = precision
        self._cells = {cell.number: _Replicated(precision.at_least) for cell in cells}
        self._waiting = deque(Unit(cell.number, n) for cell in cells for n in range(precision.at_least))

    def fresh(self) -> list[Cell]:
        """Return no cells: all are known from the start."""
        return []

    def n_asked(self) -> int | None:
        """Return the total number of units, or None until all cells are precise enough."""
        done = all(cell.is_done for cell in self._cells.values())
        return sum(cell.n_asked for cell in self._cells.values()) if done else None

    def next(self) -> Unit | None:
        """Return the next requested replication of any cell, or None."""
        while self._waiting:
            unit = self._waiting.popleft()
            if unit.replication not in self._cells[unit.cell].values:
                return unit
        return None

    def record(self, unit: Unit, results: pa.Table | None) -> bool:
        """Store a replication; once all requested ones are there and not precise enough, request more."""
        cell = self._cells.get(unit.cell)
        if cell is None or unit.replication >= self._precision.at_most:
            return False
        cell.values[unit.replication] = (
            None if results is None else _by_strategy(results, self._precision.metric)
        )
        while not cell.is_done and all(n in cell.values for n in range(cell.n_asked)):
            self._check(unit.cell, cell)
        return True

    def not_needed(self) -> Iterable[Unit]:
        """Return the replications of an earlier sweep that were not needed."""
        return [
            Unit(number, replication)
            for number, cell in self._cells.items()
            for replication in cell.values
            if replication >= cell.n_asked
        ]

    def facts(self) -> dict[str, object]:
        """Return the result of each cell's last check, by strategy."""
        return {
            "stopping": {
                str(number): {label: judged.facts() for label, judged in cell.judged.items()}
                for number, cell in self._cells.items()
            }
        }

    def _check(self, number: int, cell: _Replicated) -> None:
        looked_at = [cell.values[n] for n in range(cell.n_asked)]
        if any(values is None for values in looked_at):
            cell.is_done = True  # a failure would recur with more replications, and is recorded
            return
        known = [values for values in looked_at if values is not None]
        cell.judged = {
            label: self._precision.reached([values.get(label, math.nan) for values in known])
            for label in known[0]
        }
        left = [judged for judged in cell.judged.values() if not judged.is_reached]
        if not left or any(judged.reason for judged in left) or cell.n_asked >= self._precision.at_most:
            cell.is_done = True
            return
        n_before, cell.n_asked = cell.n_asked, self._precision.after(cell.n_asked)
        self._waiting.extend(Unit(number, n) for n in range(n_before, cell.n_asked))


class _Replicated:
    """Replications of a cell: the metric of each strategy by replication number, or None if it failed."""

    def __init__(self, n_asked: int) -> None:
        self.n_asked = n_asked
        self.values: dict[int, Mapping[str, float] | None] = {}
        self.judged: dict[str, Precise] = {}
        self.is_done = False


def _by_strategy(results: pa.Table, metric: str) -> dict[str, float]:
    return dict(zip(results["strategy"].to_pylist(), results[metric].to_pylist(), strict=True))
