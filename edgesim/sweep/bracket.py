"""Bracket the value at which a condition ceases to hold, when single evaluations may be inconclusive."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

__all__ = ["Bracket", "Verdict"]

_DIGITS = 5  # significant, of evaluated values


class Verdict(StrEnum):
    """Result of evaluating one value against the goal."""

    MEETS = "meets"
    MISSES = "misses"
    OPEN = "open"
    """Undecided: the confidence interval contains the limit."""


@dataclass
class Bracket:
    """Two simultaneous bisections: for the highest value known to meet, and the lowest known to miss, a goal.

    The condition is assumed monotone: a goal met at a value is met at all lower values. Where verdicts
    contradict each other, the bracket widens: all values up to `low` met, all values from `high` on missed.

    Parameters
    ----------
    lowest, highest
        The searched range.
    resolution
        Relative to the value; a bisection ends when its two ends are no further apart.
    is_whole
        Whether to evaluate whole numbers only; the range must then have whole ends, and a bisection also
        ends at neighbouring numbers.
    """

    lowest: float
    highest: float
    resolution: float
    is_whole: bool = False
    verdicts: dict[float, Verdict] = field(default_factory=dict)

    def next(self) -> list[float]:
        """Return the values to evaluate next; none when the search is over."""
        ends = [value for value in (self.lowest, self.highest) if value not in self.verdicts]
        if ends:
            return ends
        wanted = [
            self._between(*pair) for pair in (self._edge(Verdict.MEETS), self._edge(Verdict.MISSES)) if pair
        ]
        return sorted({value for value in wanted if value is not None})

    @property
    def low(self) -> float | None:
        """The highest value up to which all evaluated values met; None if the lowest did not."""
        met = self._met()
        return met[-1] if met else None

    @property
    def high(self) -> float | None:
        """The lowest value from which on all evaluated values missed; None if the highest did not."""
        missed = self._missed()
        return missed[0] if missed else None

    def _met(self) -> list[float]:
        found = []
        for value in sorted(self.verdicts):
            if self.verdicts[value] is not Verdict.MEETS:
                break
            found.append(value)
        return found

    def _missed(self) -> list[float]:
        found: list[float] = []
        for value in sorted(self.verdicts, reverse=True):
            if self.verdicts[value] is not Verdict.MISSES:
                break
            found.insert(0, value)
        return found

    def _edge(self, verdict: Verdict) -> tuple[float, float] | None:
        """Return the neighbouring values between which a verdict changes; None if it never does."""
        values = sorted(self.verdicts)
        n = len(self._met()) if verdict is Verdict.MEETS else len(values) - len(self._missed())
        return (values[n - 1], values[n]) if 0 < n < len(values) else None

    def _between(self, below: float, above: float) -> float | None:
        middle = (below + above) // 2 if self.is_whole else float(f"{(below + above) / 2:.{_DIGITS}g}")
        if above - below <= self.resolution * above or not below < middle < above:
            return None
        return middle
