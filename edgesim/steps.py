"""Values that change at stated instants and stay as they are in between."""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass

from edgesim.errors import InputError

__all__ = ["Steps"]


@dataclass(frozen=True, slots=True)
class Steps:
    """A piecewise constant function of time: each value holds from its instant on, until the next one's.

    Parameters
    ----------
    at_s
        Instants from which the values hold [s], rising; the first is time zero.
    values
        One for each instant, in whatever unit.
    """

    at_s: tuple[float, ...]
    values: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.at_s or len(self.at_s) != len(self.values):
            raise InputError(
                f"steps: {len(self.at_s)} instants and {len(self.values)} values; expected at least one, and "
                "a value for each: add what is missing"
            )
        if self.at_s[0] != 0.0:
            raise InputError(
                f"steps: the first is from {self.at_s[0]:g} s; expected 0 s: say what holds "
                "from the beginning"
            )
        if not all(map(math.isfinite, (*self.at_s, *self.values))):
            raise InputError(f"steps: {self}; expected finite numbers: correct them")
        late = next((n for n in range(1, len(self.at_s)) if not self.at_s[n] > self.at_s[n - 1]), None)
        if late is not None:
            raise InputError(
                f"steps: one from {self.at_s[late]:g} s after one from {self.at_s[late - 1]:g} s; expected "
                "each to be later than the one before it: put them in order"
            )

    def __call__(self, instant_s: float) -> float:
        """The value at an instant of time zero or later: of a change, the new one."""
        return self.values[bisect_right(self.at_s, instant_s) - 1]

    def __str__(self) -> str:
        return ", ".join(
            f"{value:g} from {at_s:g} s" for at_s, value in zip(self.at_s, self.values, strict=True)
        )
