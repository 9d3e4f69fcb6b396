"""Lateness laws: distributions of the delay, beyond its computing time, of a group member at a sum.

A process is descheduled, sleeps until its socket wakes it, or waits for a lock. It is then ready later than
its profile predicts, by a time that is drawn independently for every sum. All laws are sampled by inversion
from one uniform number; small numbers map to the upper tail, because floats are finest near zero.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from edgesim.errors import InputError

__all__ = ["EmpiricalLateness", "ExponentialLateness", "GammaLateness", "Lateness", "LognormalLateness"]

Floats = NDArray[np.float64]

_LEAST_CV, _MOST_CV = 1e-3, 1e3
"""Bounds of the coefficient of variation. Below, the delay is constant, and so a cost of the sum; above, no
run is long enough for its average to reach the mean."""


class Lateness(Protocol):
    """Distribution of a non-negative time [s]."""

    @property
    def mean_s(self) -> float:
        """The mean [s]."""
        ...

    @property
    def spread(self) -> float:
        """Coefficient of variation: standard deviation over mean."""
        ...

    def draws_s(self, uniforms: Floats) -> Floats:
        """Inverse of the survival function [s], for probabilities in (0, 1) of any shape."""
        ...

    def survival(self, times_s: Floats) -> Floats:
        """Survival function: probability of a longer time, for times [s] of any shape and sign."""
        ...


def _checked_mean(law: str, mean_s: float) -> None:
    if not 0 < mean_s < math.inf:
        raise InputError(
            f"{law} lateness: expected a mean above 0 s, got {mean_s:g} s; use 'none' for no lateness"
        )


def _checked_spread(law: str, cv: float) -> None:
    if not _LEAST_CV <= cv <= _MOST_CV:
        raise InputError(
            f"{law} lateness: expected a spread (standard deviation over mean) from {_LEAST_CV:g} to "
            f"{_MOST_CV:g}, got {cv:g}; give a constant delay as a cost of the sum ('per_sum')"
        )


@dataclass(frozen=True)
class ExponentialLateness:
    """Exponential law. The expected maximum of n latenesses is the mean times 1 + 1/2 + ... + 1/n.

    Parameters
    ----------
    mean_s
        The mean [s].
    """

    mean_s: float

    def __post_init__(self) -> None:
        _checked_mean("exponential", self.mean_s)

    @classmethod
    def from_median(cls, median_s: float) -> ExponentialLateness:
        """Return the law with this median [s], which is ln 2 times the mean."""
        return cls(median_s / math.log(2.0))

    @property
    def spread(self) -> float:
        """Coefficient of variation, 1."""
        return 1.0

    def draws_s(self, uniforms: Floats) -> Floats:
        """Inverse of the survival function exp(-t / mean)."""
        return -self.mean_s * np.log(uniforms)

    def survival(self, times_s: Floats) -> Floats:
        """Survival function exp(-t / mean)."""
        return np.exp(-np.maximum(times_s, 0.0) / self.mean_s)

    def __str__(self) -> str:
        return f"exponential, mean {self.mean_s:g} s"


@dataclass(frozen=True)
class _SpreadLateness:
    """Base of laws with two parameters, mean and coefficient of variation.

    Parameters
    ----------
    mean_s
        The mean [s].
    spread
        Coefficient of variation.
    """

    mean_s: float
    spread: float
    law: ClassVar[str]

    def __post_init__(self) -> None:
        _checked_mean(self.law, self.mean_s)
        _checked_spread(self.law, self.spread)

    def __str__(self) -> str:
        return f"{self.law}, mean {self.mean_s:g} s, spread {self.spread:g}"


@dataclass(frozen=True)
class GammaLateness(_SpreadLateness):
    """Gamma law with shape 1 / cv²."""

    law: ClassVar[str] = "gamma"

    @classmethod
    def from_median(cls, median_s: float, spread: float) -> GammaLateness:
        """Return the law with this median [s] and coefficient of variation."""
        from scipy.special import gammaincinv  # takes a quarter of a second to import; few runs need it

        _checked_spread(cls.law, spread)
        shape = spread**-2
        relative = float(gammaincinv(shape, 0.5)) / shape
        if relative <= 0:
            raise InputError(
                f"gamma lateness: with a spread of {spread:g} its median is 0; give its 'mean' instead"
            )
        return cls(median_s / relative, spread)

    @property
    def shape(self) -> float:
        """Shape parameter: 1 over the squared coefficient of variation."""
        return self.spread**-2

    def draws_s(self, uniforms: Floats) -> Floats:
        """Inverse of the regularised upper incomplete gamma function."""
        from scipy.special import gammainccinv

        return np.asarray(gammainccinv(self.shape, uniforms) * (self.mean_s / self.shape), np.float64)

    def survival(self, times_s: Floats) -> Floats:
        """Survival function: the regularised upper incomplete gamma function."""
        from scipy.special import gammaincc

        scaled = np.maximum(times_s, 0.0) * (self.shape / self.mean_s)
        return np.asarray(gammaincc(self.shape, scaled), np.float64)


@dataclass(frozen=True)
class LognormalLateness(_SpreadLateness):
    """Lognormal law; its tail is longer than that of a gamma law with the same spread."""

    law: ClassVar[str] = "lognormal"

    @classmethod
    def from_median(cls, median_s: float, spread: float) -> LognormalLateness:
        """Return the law with this median [s] and coefficient of variation."""
        _checked_spread(cls.law, spread)
        return cls(median_s * math.sqrt(1.0 + spread**2), spread)

    @property
    def sigma(self) -> float:
        """Standard deviation of the logarithm."""
        return math.sqrt(math.log1p(self.spread**2))

    @property
    def median_s(self) -> float:
        """The median [s]."""
        return self.mean_s / math.sqrt(1.0 + self.spread**2)

    def draws_s(self, uniforms: Floats) -> Floats:
        """Median times exp(sigma z), with z the normal quantile."""
        from scipy.special import ndtri

        drawn: Floats = self.median_s * np.exp(-self.sigma * ndtri(uniforms))
        return drawn

    def survival(self, times_s: Floats) -> Floats:
        """Survival function: the normal law's at the logarithm of the time."""
        from scipy.special import ndtr

        tiny = np.maximum(times_s, np.finfo(float).tiny)
        found: Floats = ndtr(-np.log(tiny / self.median_s) / self.sigma)
        return found


@dataclass(frozen=True)
class EmpiricalLateness:
    """Empirical law: each measured time is equally likely, without interpolation or extrapolation.

    Parameters
    ----------
    values_s
        The times [s], 0 or more, in any order.
    """

    values_s: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.values_s or not all(0 <= each < math.inf for each in self.values_s):
            raise InputError("empirical lateness: expected measured times of 0 s or more, at least one")

    @cached_property
    def _falling_s(self) -> Floats:
        return np.sort(np.array(self.values_s, dtype=np.float64))[::-1]

    @property
    def mean_s(self) -> float:
        """Mean of the values [s]."""
        return float(self._falling_s.mean())

    @property
    def spread(self) -> float:
        """Population standard deviation over the mean of the values; 0 if all are 0."""
        return float(self._falling_s.std()) / self.mean_s if self.mean_s else 0.0

    def draws_s(self, uniforms: Floats) -> Floats:
        """Return the k-th largest of n values for a uniform number in [(k - 1) / n, k / n)."""
        found: Floats = self._falling_s[np.floor(uniforms * len(self.values_s)).astype(np.int64)]
        return found

    def survival(self, times_s: Floats) -> Floats:
        """Share of values that are longer."""
        n_shorter = np.searchsorted(self._falling_s[::-1], times_s, side="right")
        return 1.0 - n_shorter / len(self.values_s)

    def __str__(self) -> str:
        return f"empirical, {len(self.values_s)} values, mean {self.mean_s:g} s"
