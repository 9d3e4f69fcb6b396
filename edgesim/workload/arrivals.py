"""Arrival processes: distributions of the arrival instants over all sources together.

A process is a value; its randomness comes from the generator that is passed in, so the same generator gives
the same instants. Halving a rate doubles every instant bit for bit, because rates are used only as a scale.

Rates that change over the day are in :mod:`edgesim.workload.diurnal`; users who wait for an answer
before their next request, in :mod:`edgesim.workload.closed`.
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

BLOCK = 4096  # numbers per draw: large enough to amortise the call, small enough to stay in cache


class Arrivals(Protocol):
    """An arrival process."""

    @property
    def rate_hz(self) -> float:
        """Long-run arrivals per second."""

    def instants(self, rng: np.random.Generator) -> Iterator[float]:
        """Yield instants in seconds since time zero, non-decreasing, without end."""


@dataclass(frozen=True, slots=True)
class Poisson:
    """Poisson process, with independent exponential gaps of mean ``1 / rate_hz``: many independent users."""

    rate_hz: float

    def __post_init__(self) -> None:
        _require_positive("poisson", "rate_hz", self.rate_hz)

    def instants(self, rng: np.random.Generator) -> Iterator[float]:
        """Yield the instants; the first is one gap after time zero."""
        scale_s = 1.0 / self.rate_hz
        return _accumulate(lambda: scale_s * rng.standard_exponential(BLOCK))


@dataclass(frozen=True, slots=True)
class Gamma:
    """Renewal process with gamma gaps: burstier or more regular than Poisson, at the same rate.

    ``burstiness`` is the shape of the gamma distribution, as in vLLM's benchmark: 1 is Poisson; below 1
    arrivals cluster, above 1 they are more even. A gap has mean ``1 / rate_hz`` and coefficient of variation
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
        """Create the process whose gaps have the coefficient of variation ``cv`` (Vidur's parameter)."""
        _require_positive("gamma", "cv", cv)
        return cls(rate_hz, 1.0 / cv**2)

    @property
    def cv(self) -> float:
        """Coefficient of variation of a gap: standard deviation over mean."""
        return 1.0 / math.sqrt(self.burstiness)

    def instants(self, rng: np.random.Generator) -> Iterator[float]:
        """Yield the instants; the first is one gap after time zero."""
        scale_s = 1.0 / self.rate_hz / self.burstiness
        return _accumulate(lambda: scale_s * rng.standard_gamma(self.burstiness, BLOCK))


@dataclass(frozen=True, slots=True)
class Deterministic:
    """One request every ``1 / rate_hz`` seconds, the first at time zero, such as from a periodic sensor."""

    rate_hz: float

    def __post_init__(self) -> None:
        _require_positive("deterministic", "rate_hz", self.rate_hz)

    def instants(self, rng: np.random.Generator) -> Iterator[float]:
        """Yield ``k / rate_hz``; no random numbers are drawn."""
        # Quotients instead of a running sum, whose rounding could admit one more request before the horizon.
        return (k / self.rate_hz for k in count())


@dataclass(frozen=True, slots=True)
class Bursts:
    """A burst of ``n_requests`` every ``period_s`` from time zero on, such as an event that many sensors see.

    Within a burst requests are ``spacing_s`` apart; with 0 they all arrive at once.
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
        """Yield burst after burst; no random numbers are drawn."""
        return (
            burst * self.period_s + within * self.spacing_s
            for burst in count()
            for within in range(self.n_requests)
        )


def _accumulate(draw_gaps_s: Callable[[], npt.NDArray[np.float64]]) -> Iterator[float]:
    """Turn blocks of gaps into instants, adding one gap at a time so that block borders have no effect."""
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
