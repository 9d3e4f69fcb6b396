"""Interpolation between measured impairment levels: axes, monotone curves, and weights of neighbours."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt

from edgesim.errors import InputError

__all__ = ["Curve", "LevelAxis", "axis_of", "neighbours"]

Values = npt.NDArray[np.float64]

_MOST_BITS = 64


@dataclass(frozen=True, slots=True)
class LevelAxis:
    """Interpolation axis over the levels of one kind of impairment.

    Attributes
    ----------
    clean
        The level without impairment: 0, or an infinite number of bits.
    is_log
        Whether curves are interpolated over the logarithm of the error.
    """

    clean: float
    is_log: bool

    def error(self, level: float) -> float:
        """Error at a level, increasing from 0: noise power, probability, or a quantiser's error."""
        return 4.0**-level if math.isinf(self.clean) else level

    def place(self, errors: Values) -> Values:
        """Map errors to coordinates on the axis of interpolation."""
        return np.log(errors) if self.is_log else errors

    def check(self, level: float, what: str) -> None:
        """Raise InputError unless the level is valid on this axis."""
        if not math.isinf(self.clean):
            most = math.inf if self.is_log else 1.0
            if not (0 <= level <= most and level < math.inf):
                raise InputError(
                    f"{what}: a level of {level:g}; expected 0 or more" + ("" if self.is_log else ", up to 1")
                )
        elif not (0 < level <= _MOST_BITS or level == math.inf):
            raise InputError(f"{what}: {level:g} bits; expected more than 0, up to {_MOST_BITS}, or inf")


def axis_of(name: str) -> LevelAxis:
    """Return the level axis of a kind, or that of the first part if several are combined."""
    first = name.partition("+")[0]
    if first.startswith("quantised"):
        return LevelAxis(clean=math.inf, is_log=True)
    return LevelAxis(clean=0.0, is_log="erasure" not in first and first != "loss")


class Curve:
    """Values over the levels of one kind: monotone cubic (PCHIP) interpolation within the measured range.

    Below the lowest level, values go to the floor in proportion to the error; above the highest, they stay
    constant. A value that is unknown (nan) at any point is unknown everywhere.

    Parameters
    ----------
    levels, values : [n], [n, n_values]
        Measured points, in any order, none of them without impairment.
    floor : [n_values]
        Values without impairment. If None (unknown), the values at the lowest level hold below it.
    """

    def __init__(
        self, axis: LevelAxis, levels: Sequence[float], values: Values, floor: Values | None
    ) -> None:
        self._axis = axis
        errors = np.array([axis.error(level) for level in levels])
        order = np.argsort(errors)
        errors, values = errors[order], values[order]
        floor = values[0] if floor is None else floor
        self._unknown = ~np.isfinite(np.vstack([values, floor])).all(axis=0)
        values, floor = np.where(self._unknown, 0.0, values), np.where(self._unknown, 0.0, floor)
        if not axis.is_log:  # the point without error counts as measured
            errors, values = np.concatenate([[0.0], errors]), np.vstack([floor, values])
        self._floor: Values = floor
        self._first: Values = values[0]
        self._last: Values = values[-1]
        self._lowest, self._highest = float(errors[0]), float(errors[-1])
        self._inner = _between(axis.place(errors), values) if len(errors) > 1 else None

    def beyond(self, errors: Values) -> npt.NDArray[np.bool_]:
        """Whether each error exceeds that of the highest measured level."""
        return errors > self._highest * (1 + 1e-12)

    def __call__(self, errors: Values) -> Values:
        """Evaluate the curve at errors [n]; returns values [n, n_values]."""
        low, high = errors < self._lowest, errors >= self._highest
        found = np.empty((len(errors), len(self._last)))
        found[high] = self._last
        # The effect of a small error is proportional to its power.
        below = errors[low, np.newaxis] / self._lowest if low.any() else np.zeros((0, 1))
        found[low] = self._floor + below * (self._first - self._floor)
        between = ~(low | high)
        if between.any():
            assert self._inner is not None
            found[between] = self._inner(self._axis.place(errors[between]))
        return np.where(self._unknown, math.nan, found)


def _between(places: Values, values: Values) -> Callable[[Values], Values]:
    from scipy.interpolate import (
        PchipInterpolator,  # takes a third of a second to import, and not every run needs it
    )

    return cast("Callable[[Values], Values]", PchipInterpolator(places, values))


def neighbours(value: float, known: Sequence[int], *, log: bool) -> list[tuple[float, int]]:
    """Interpolation weights of the two known values around `value`; outside their range, of the nearest only.

    Parameters
    ----------
    known
        Known values, in increasing order.
    log
        Whether weights are linear in the logarithm.
    """
    if value <= known[0]:
        return [(1.0, known[0])]
    if value >= known[-1]:
        return [(1.0, known[-1])]
    upper = next(each for each in known if each >= value)
    if upper == value:
        return [(1.0, upper)]
    lower = max(each for each in known if each < value)
    place = (math.log(value / lower) / math.log(upper / lower)) if log else (value - lower) / (upper - lower)
    return [(1.0 - place, lower), (place, upper)]
