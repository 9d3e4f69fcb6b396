"""Arrivals whose rate changes at given instants: a piecewise constant Poisson process."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from edgesim.errors import InputError
from edgesim.steps import Steps

__all__ = ["Stepwise"]

BLOCK = 4096  # numbers per draw, as in the other arrival processes


@dataclass(frozen=True, slots=True)
class Stepwise:
    """Poisson process whose rate is constant between the instants of a table, without repetition.

    Exact: the number of arrivals between two instants is Poisson with the mean that :meth:`expected` gives,
    and numbers in disjoint intervals are independent. Drawn by a time change: the arrivals of a process
    of rate 1 occur when the expected number of arrivals, which is piecewise linear, reaches them. Two tables
    that agree up to an instant give the same arrivals up to it.

    Parameters
    ----------
    rates_hz
        Arrivals per second from each instant on; some may be zero, but not the last, which has no end.
    """

    rates_hz: Steps

    def __post_init__(self) -> None:
        if min(self.rates_hz.values) < 0 or not self.rates_hz.values[-1] > 0:
            raise InputError(
                f"arrivals steps: rates [Hz] are {self.rates_hz}; expected 0 or more, and the last, which "
                "has no end, above 0: correct it, or end the run before it with 'horizon'"
            )

    @property
    def rate_hz(self) -> float:
        """Arrivals per second for planners: the first rate above 0, because they ignore later changes."""
        return next(rate_hz for rate_hz in self.rates_hz.values if rate_hz > 0)

    def rate_at(self, instant_s: float) -> float:
        """Return the arrivals per second at an instant."""
        return self.rates_hz(instant_s)

    def expected(self, until_s: float) -> float:
        """Return the mean number of arrivals from time zero to an instant: the integral of the rate."""
        ends_s = (*self.rates_hz.at_s[1:], float("inf"))
        pieces = zip(self.rates_hz.at_s, ends_s, self.rates_hz.values, strict=True)
        return sum(rate_hz * max(0.0, min(until_s, end_s) - at_s) for at_s, end_s, rate_hz in pieces)

    def instants(self, rng: np.random.Generator) -> Iterator[float]:
        """Yield the instants, in seconds since time zero."""
        at_s, rates_hz = np.array(self.rates_hz.at_s), np.array(self.rates_hz.values)
        counts = np.concatenate(([0.0], np.cumsum(np.diff(at_s) * rates_hz[:-1])))  # mean by each instant
        count = now_s = 0.0
        while True:
            draws = rng.standard_exponential(BLOCK)
            draws[0] += count
            reached = np.cumsum(draws)
            # Pieces with rate 0 are never found: of equal counts the last one begins the piece.
            piece = np.searchsorted(counts, reached, side="right") - 1
            instants_s = at_s[piece] + (reached - counts[piece]) / rates_hz[piece]
            instants_s[0] = max(instants_s[0], now_s)
            instants_s = np.maximum.accumulate(instants_s)  # rounding between pieces may err in the last bit
            yield from instants_s.tolist()
            count, now_s = float(reached[-1]), float(instants_s[-1])
