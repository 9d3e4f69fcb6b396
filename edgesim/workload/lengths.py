"""Length distributions of prompts and answers, in tokens."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from edgesim.errors import InputError

__all__ = ["Fixed", "Lengths", "Lognormal", "Uniform"]

IntArray: TypeAlias = npt.NDArray[np.int64]

MAX_SIGMA = 4.0  # ±2 sigma then span seven orders of magnitude; with more, draws exceed 64-bit integers
SUMMED_UP_TO = 1 << 16  # a mean is a sum over lengths up to here, and an integral beyond


class Lengths(Protocol):
    """A distribution of lengths in whole tokens."""

    @property
    def mean(self) -> float:
        """Expected length in tokens, after rounding and clipping."""

    @property
    def longest(self) -> int | None:
        """Largest length that can be drawn; None if unbounded."""

    def draw(self, rng: np.random.Generator, n: int) -> IntArray:
        """Draw ``n`` lengths."""


@dataclass(frozen=True, slots=True)
class Fixed:
    """Constant length of ``n_tokens``."""

    n_tokens: int

    def __post_init__(self) -> None:
        _require_length("fixed", "n_tokens", self.n_tokens)

    @property
    def mean(self) -> float:
        """Expected length in tokens."""
        return float(self.n_tokens)

    @property
    def longest(self) -> int:
        """Largest length that can be drawn."""
        return self.n_tokens

    def draw(self, rng: np.random.Generator, n: int) -> IntArray:
        """Return ``n`` times the length; no random numbers are drawn."""
        return np.full(n, self.n_tokens, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class Uniform:
    """Uniform distribution over all lengths from ``min`` to ``max``, both included."""

    min: int
    max: int

    def __post_init__(self) -> None:
        _require_length("uniform", "min", self.min)
        _require_order("uniform", self.min, self.max)

    @property
    def mean(self) -> float:
        """Expected length in tokens."""
        return (self.min + self.max) / 2

    @property
    def longest(self) -> int:
        """Largest length that can be drawn."""
        return self.max

    def draw(self, rng: np.random.Generator, n: int) -> IntArray:
        """Draw ``n`` lengths."""
        return rng.integers(self.min, self.max, size=n, endpoint=True)


@dataclass(frozen=True, slots=True)
class Lognormal:
    """Lognormal lengths: many short ones and a long tail.

    A draw is ``X = median * exp(sigma * Z)`` with Z standard normal, rounded to the nearest token and
    then **clipped**: a length above ``max`` becomes ``max``, one below ``min`` becomes ``min``;
    nothing is redrawn. The clipped probability mass is therefore at the bounds; `fraction_above_max` and
    `fraction_below_min` give its size. Without ``max`` the tail is not clipped.
    """

    median: float
    sigma: float
    min: int = 1
    max: int | None = None

    def __post_init__(self) -> None:
        if not (self.median > 0 and math.isfinite(self.median)):
            raise InputError(
                f"lengths lognormal: median is {self.median:g}; expected a finite number of tokens "
                "above 0: correct it"
            )
        if not 0 <= self.sigma <= MAX_SIGMA:
            raise InputError(
                f"lengths lognormal: sigma is {self.sigma:g}; expected 0 to {MAX_SIGMA:g}: it is the "
                "standard deviation of the natural logarithm of the length, not of the length in tokens"
            )
        _require_length("lognormal", "min", self.min)
        if self.max is not None:
            _require_order("lognormal", self.min, self.max)

    @property
    def fraction_above_max(self) -> float:
        """Share of draws that clipping shortens to ``max``."""
        return 0.0 if self.max is None else float(self._exceeds(np.array(self.max + 0.5)))

    @property
    def fraction_below_min(self) -> float:
        """Share of draws that clipping lengthens to ``min``."""
        return 1.0 - float(self._exceeds(np.array(self.min - 0.5)))

    @property
    def mean(self) -> float:
        """Expected length in tokens, after rounding and clipping.

        The mean of an integer N of at least ``min`` is ``min + sum over k >= min of P(N > k)``. The sum is
        evaluated term by term up to `SUMMED_UP_TO` tokens. Beyond, where the distribution is smooth on the
        scale of a token, it is replaced by the integral of ``P(X > x)``.
        """
        end = math.inf if self.max is None else self.max
        turn = max(self.min, int(min(end, SUMMED_UP_TO)))
        head = float(self._exceeds(np.arange(self.min, turn, dtype=np.float64) + 0.5).sum())
        tail = self._mean_up_to(end) - self._mean_up_to(turn) if end > turn else 0.0
        return self.min + head + tail

    @property
    def longest(self) -> int | None:
        """Largest length that can be drawn; None without ``max``."""
        return self.max

    def draw(self, rng: np.random.Generator, n: int) -> IntArray:
        """Draw ``n`` lengths."""
        lengths = np.rint(self.median * np.exp(self.sigma * rng.standard_normal(n)))
        return np.clip(lengths, self.min, self.max).astype(np.int64)

    def _exceeds(self, length: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return P(X > length), before rounding and clipping."""
        if self.sigma == 0:
            return np.where(length < self.median, 1.0, 0.0)
        from scipy.special import ndtr  # a third of a second to import; not every workload draws lengths

        return ndtr(np.log(self.median / length) / self.sigma)

    def _mean_up_to(self, end: float) -> float:
        """Return E[min(X, end)] of the unrounded distribution, in closed form."""
        whole = self.median * math.exp(self.sigma**2 / 2)
        if math.isinf(end):
            return whole
        if self.sigma == 0:
            return min(self.median, end)
        from scipy.special import ndtr

        z = math.log(end / self.median) / self.sigma
        return float(whole * ndtr(z - self.sigma) + end * ndtr(-z))


def _require_length(law: str, name: str, value: int) -> None:
    if value < 1:
        raise InputError(f"lengths {law}: {name} is {value}; expected at least 1 token: no request is empty")


def _require_order(law: str, shortest: int, longest: int) -> None:
    if longest < shortest:
        raise InputError(
            f"lengths {law}: max is {longest} and min is {shortest}; expected max to be min or more: "
            "swap or correct them"
        )
