"""Piecewise constant functions of time."""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass

from edgesim.errors import InputError

__all__ = ["Steps"]


@dataclass(frozen=True, slots=True)
class Steps:
    """A piecewise constant function of time: each value applies from its instant until the next.

    Parameters
    ----------
    at_s
        Instants from which the values apply [s], increasing; the first is 0.
    values
        One value per instant, in any unit.
    """

    at_s: tuple[float, ...]
    values: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.at_s or len(self.at_s) != len(self.values):
            raise InputError(
                f"steps: {len(self.at_s)} instants and {len(self.values)} values; expected at least one "
                "instant, and a value for each: add the missing ones"
            )
        if self.at_s[0] != 0.0:
            raise InputError(
                f"steps: the first begins at {self.at_s[0]:g} s; expected 0 s: add the value from the "
                "beginning of the run"
            )
        if not all(map(math.isfinite, (*self.at_s, *self.values))):
            raise InputError(f"steps: {self}; expected finite numbers: correct them")
        late = next((n for n in range(1, len(self.at_s)) if not self.at_s[n] > self.at_s[n - 1]), None)
        if late is not None:
            raise InputError(
                f"steps: a step at {self.at_s[late]:g} s follows one at {self.at_s[late - 1]:g} s; expected "
                "increasing instants: put the steps in order"
            )

    def __call__(self, instant_s: float) -> float:
        """Return the value at an instant (0 or later); at the instant of a change, the new value."""
        return self.values[bisect_right(self.at_s, instant_s) - 1]

    def __str__(self) -> str:
        return ", ".join(
            f"{value:g} from {at_s:g} s" for at_s, value in zip(self.at_s, self.values, strict=True)
        )
