"""Interface of propagation environments, and arithmetic for floats and arrays alike."""

from __future__ import annotations

import math
from typing import ClassVar, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from edgesim.units import FloatLike

__all__ = ["IsLos", "PathLoss", "Validity", "at_least", "choose", "distance_3d", "exp", "larger", "log10"]

IsLos = bool | NDArray[np.bool_]


class Validity(NamedTuple):
    """Range of validity of a model; outside it the formulas give values that have not been validated."""

    longest_m: float = math.inf
    """Longest distance between the ends."""
    carriers_hz: tuple[float, float] = (0.0, math.inf)
    """Lowest and highest carrier frequency."""
    terminal_heights_m: tuple[float, float] = (0.0, math.inf)
    """Lowest and highest antenna height of a terminal."""


class PathLoss(Protocol):
    """A propagation environment: path loss, line of sight and shadowing as functions of the geometry."""

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
        """Return the median path loss, without shadowing and antenna gains.

        Parameters
        ----------
        distance_2d_m
            Horizontal distance between the ends.
        carrier_hz
            Carrier frequency.
        station_height_m, terminal_height_m
            Heights of the antennas above ground.
        is_los
            Whether the ends are in line of sight; an array only if the distances are an array.
        """
        ...

    def los_probability(
        self, distance_2d_m: FloatLike, *, station_height_m: float, terminal_height_m: float
    ) -> FloatLike:
        """Return the probability that ends at this distance are in line of sight."""
        ...

    def shadowing_db(self, is_los: bool, *, indoor: bool = False) -> float:
        """Return the standard deviation of shadowing; ``indoor``: terminal inside, station outside."""
        ...

    def correlation_m(self, is_los: bool, *, indoor: bool = False) -> float:
        """Return the distance over which shadowing decorrelates to 1/e."""
        ...

    def rician_k_db(self, is_los: bool) -> tuple[float, float] | None:
        """Return mean and deviation of the Rician K-factor over links in dB; None: no direct path."""
        ...


# Floats use math, which takes a tenth of numpy's time; arrays use numpy.


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
