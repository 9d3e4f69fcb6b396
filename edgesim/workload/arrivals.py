"""When requests arrive: laws of the instants, all sources taken together.

A law is a value; its randomness comes from the generator it is handed, so the same generator gives
the same instants. Halving a rate doubles every instant bit for bit: rates enter as a scale only.

Rates that change over the day are in :mod:`edgesim.workload.diurnal`; users who wait for an answer
before asking again, in :mod:`edgesim.workload.closed`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from typing import Protocol, Self

import numpy as np
import numpy.typing as npt

from edgesim.errors import InputError

__all__ = ["Arrivals", "Bursts", "Deterministic", "Gamma", "Poisson"]

BLOCK = 4096  # draws made at once: large enough to hide the call, small enough to stay in cache


class Arrivals(Protocol):
    """A law of arrival instants."""

    @property
    def rate_hz(self) -> float:
        """Long-run arrivals per second."""

    def instants(self, rng: np.random.Generator) -> Iterator[float]:
        """Yield instants in seconds since time zero, never decreasing, without end."""


@dataclass(frozen=True, slots=True)
class Poisson:
    """Independent exponential gaps of mean ``1 / rate_hz``: many users who do not know of one another."""

    rate_hz: float

    def __post_init__(self) -> None:
        _require_positive("poisson", "rate_hz", self.rate_hz)

    def instants(self, rng: np.random.Generator) -> Iterator[float]:
        """Yield the instants; the first comes one gap after time zero."""
        scale_s = 1.0 / self.rate_hz
        return _accumulate(lambda: scale_s * rng.standard_exponential(BLOCK))


@dataclass(frozen=True, slots=True)
class Gamma:
    """Independent gamma gaps: burstier than Poisson, or more regular, at the same rate.

    ``burstiness`` is the shape of the gamma law, as in vLLM's benchmark: 1 is Poisson, below 1 the
    arrivals clump, above 1 they even out. A gap has mean ``1 / rate_hz`` and coefficient of variation
    ``1 / sqrt(burstiness)``. The process starts with a whole gap at time zero (an ordinary renewal
    process, not its equilibrium version), so the first gaps belong to the warm-up.
    """

    rate_hz: float
    burstiness: float

    def __post_init__(self) -> None:
        _require_positive("gamma", "rate_hz", self.rate_hz)
        _require_positive("gamma", "burstiness", self.burstiness)

    @classmethod
    def from_cv(cls, rate_hz: float, cv: float) -> Self:
        """Make the law whose gaps have the coefficient of variation ``cv`` (as Vidur states it)."""
        _require_positive("gamma", "cv", cv)
        return cls(rate_hz, 1.0 / cv**2)

    @property
    def cv(self) -> float:
        """Coefficient of variation of a gap: standard deviation over mean."""
        return 1.0 / math.sqrt(self.burstiness)

    def instants(self, rng: np.random.Generator) -> Iterator[float]:
        """Yield the instants; the first comes one gap after time zero."""
        scale_s = 1.0 / self.rate_hz / self.burstiness
        return _accumulate(lambda: scale_s * rng.standard_gamma(self.burstiness, BLOCK))


@dataclass(frozen=True, slots=True)
class Deterministic:
    """One request every ``1 / rate_hz`` seconds, the first at time zero: a sensor on a clock."""

    rate_hz: float

    def __post_init__(self) -> None:
        _require_positive("deterministic", "rate_hz", self.rate_hz)

    def instants(self, rng: np.random.Generator) -> Iterator[float]:
        """Yield ``k / rate_hz``; nothing is drawn."""
        # A quotient, not a running sum: rounding must not slip one more request in before the horizon.
        return (k / self.rate_hz for k in count())


@dataclass(frozen=True, slots=True)
class Bursts:
    """A burst of ``n_requests`` every ``period_s``, the first at time zero: an event that many sensors see.

    Inside a burst requests follow one another by ``spacing_s``; 0 lets them all arrive at once.
    """

    n_requests: int
    period_s: float
    spacing_s: float = 0.0

    def __post_init__(self) -> None:
        _require_positive("bursts", "n_requests", self.n_requests)
        _require_positive("bursts", "period_s", self.period_s)
        burst_s = (self.n_requests - 1) * self.spacing_s
        if not (self.spacing_s >= 0 and burst_s < self.period_s):
            raise InputError(
                f"arrivals bursts: spacing_s is {self.spacing_s:g}, so that {self.n_requests} requests take "
                f"{burst_s:g} s; expected 0 or more, and a burst that ends before the next begins "
                f"{self.period_s:g} s later: shorten the spacing or lengthen the period"
            )

    @property
    def rate_hz(self) -> float:
        """Long-run arrivals per second: one burst per period."""
        return self.n_requests / self.period_s

    def instants(self, rng: np.random.Generator) -> Iterator[float]:
        """Yield burst after burst; nothing is drawn."""
        return (
            burst * self.period_s + within * self.spacing_s
            for burst in count()
            for within in range(self.n_requests)
        )


def _accumulate(draw_gaps_s: Callable[[], npt.NDArray[np.float64]]) -> Iterator[float]:
    """Turn blocks of gaps into instants, adding one gap at a time so that block borders leave no mark."""
    now_s = 0.0
    while True:
        gaps_s = draw_gaps_s()
        gaps_s[0] += now_s
        instants_s = np.cumsum(gaps_s).tolist()
        yield from instants_s
        now_s = instants_s[-1]


def _require_positive(law: str, name: str, value: float) -> None:
    if not (value > 0 and math.isfinite(value)):
        raise InputError(f"arrivals {law}: {name} is {value:g}; expected a finite number above 0: correct it")
