"""Between which values a condition stops to hold, where single looks may leave it open."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

__all__ = ["Bracket", "Verdict"]

_DIGITS = 5  # significant, of values that are looked at


class Verdict(StrEnum):
    """What a look at a value says of the objectives."""

    MEETS = "meets"
    MISSES = "misses"
    OPEN = "open"
    """The interval of what was measured holds the objective."""


@dataclass
class Bracket:
    """Two bisections at once: for the highest value that is known to meet, and the lowest known to miss.

    The condition is taken to be monotone: what meets does so at all lower values. Where looks contradict each
    other, the ends give way: below `low` all looks met, above `high` all missed.

    Parameters
    ----------
    lowest, highest
        The range that is searched.
    resolution
        Relative to the value; each bisection ends when its two ends are no further apart.
    is_whole
        Whether only whole numbers are looked at, between two that are; neighbours end a bisection, too.
    """

    lowest: float
    highest: float
    resolution: float
    is_whole: bool = False
    verdicts: dict[float, Verdict] = field(default_factory=dict)

    def next(self) -> list[float]:
        """Return the values to look at next: none when the search is over."""
        ends = [value for value in (self.lowest, self.highest) if value not in self.verdicts]
        if ends:
            return ends
        wanted = [
            self._between(*pair) for pair in (self._edge(Verdict.MEETS), self._edge(Verdict.MISSES)) if pair
        ]
        return sorted({value for value in wanted if value is not None})

    @property
    def low(self) -> float | None:
        """The highest value up to which all looks met; None if the lowest already did not."""
        met = self._met()
        return met[-1] if met else None

    @property
    def high(self) -> float | None:
        """The lowest value from which on all looks missed; None if the highest did not."""
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
        """The neighbours between which a verdict ends, or begins; None if it does not in the range."""
        values = sorted(self.verdicts)
        n = len(self._met()) if verdict is Verdict.MEETS else len(values) - len(self._missed())
        return (values[n - 1], values[n]) if 0 < n < len(values) else None

    def _between(self, below: float, above: float) -> float | None:
        middle = (below + above) // 2 if self.is_whole else float(f"{(below + above) / 2:.{_DIGITS}g}")
        if above - below <= self.resolution * above or not below < middle < above:
            return None
        return middle
