"""What every environment tells of a link, and arithmetic that takes a float or an array alike."""

from __future__ import annotations

import math
from typing import ClassVar, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from edgesim.units import FloatLike

__all__ = ["IsLos", "PathLoss", "Validity", "at_least", "choose", "distance_3d", "exp", "larger", "log10"]

IsLos = bool | NDArray[np.bool_]


class Validity(NamedTuple):
    """Where a model holds; beyond, its formulas still give numbers, but nobody vouches for them."""

    longest_m: float = math.inf
    """Longest distance between the ends."""
    carriers_hz: tuple[float, float] = (0.0, math.inf)
    """Lowest and highest carrier frequency."""
    terminal_heights_m: tuple[float, float] = (0.0, math.inf)
    """Lowest and highest antenna of a terminal."""


class PathLoss(Protocol):
    """An environment: how the mean loss, the line of sight and the shadowing depend on where the ends are."""

    VALID: ClassVar[Validity]

    @property
    def los_correlation_m(self) -> float:
        """Distance over which the line-of-sight state decorrelates to 1/e."""
        ...

    def path_loss_db(
        self,
        distance_2d_m: FloatLike,
        *,
        carrier_hz: float,
        station_height_m: float,
        terminal_height_m: float,
        is_los: IsLos,
    ) -> FloatLike:
        """Median path loss, without shadowing and antenna gains.

        Parameters
        ----------
        distance_2d_m
            Horizontal distance between the ends.
        carrier_hz
            Carrier frequency.
        station_height_m, terminal_height_m
            Heights of the antennas over the ground.
        is_los
            Whether the ends are in line of sight; an array only with distances as an array.
        """
        ...

    def los_probability(
        self, distance_2d_m: FloatLike, *, station_height_m: float, terminal_height_m: float
    ) -> FloatLike:
        """Probability that ends at this distance are in line of sight."""
        ...

    def shadowing_db(self, is_los: bool, *, indoor: bool = False) -> float:
        """Standard deviation of shadowing; ``indoor``: of a terminal in a building, seen from outside."""
        ...

    def correlation_m(self, is_los: bool, *, indoor: bool = False) -> float:
        """Distance over which shadowing decorrelates to 1/e."""
        ...

    def rician_k_db(self, is_los: bool) -> tuple[float, float] | None:
        """Mean and standard deviation of the Rician K-factor over links, in dB; None: no direct path."""
        ...


# A float goes through math (a tenth of numpy's time), an array through numpy.


def distance_3d(distance_2d_m: FloatLike, height_m: float) -> FloatLike:
    square_m2 = distance_2d_m * distance_2d_m + height_m * height_m
    return np.sqrt(square_m2) if isinstance(square_m2, np.ndarray) else math.sqrt(square_m2)


def log10(value: FloatLike) -> FloatLike:
    return np.log10(value) if isinstance(value, np.ndarray) else math.log10(value)


def exp(value: FloatLike) -> FloatLike:
    return np.exp(value) if isinstance(value, np.ndarray) else math.exp(value)


def at_least(value: FloatLike, floor: float) -> FloatLike:
    return np.maximum(value, floor) if isinstance(value, np.ndarray) else max(value, floor)


def larger(one: FloatLike, other: FloatLike) -> FloatLike:
    return np.maximum(one, other) if isinstance(one, np.ndarray) else max(one, other)


def choose(condition: IsLos, yes: FloatLike, no: FloatLike) -> FloatLike:
    if isinstance(yes, np.ndarray):
        return np.where(condition, yes, no)
    return yes if condition else no
