"""Arrivals whose rate changes at stated instants: a piecewise constant Poisson process."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from edgesim.errors import InputError
from edgesim.steps import Steps

__all__ = ["Stepwise"]

BLOCK = 4096  # draws made at once, as in the other laws


@dataclass(frozen=True, slots=True)
class Stepwise:
    """A Poisson process whose rate is constant between the instants of a table, and does not repeat.

    Exact: the number of arrivals between two instants is Poisson with the mean that :meth:`expected` gives,
    and numbers in disjoint intervals are independent. Drawn by changing the clock: the arrivals of a process
    of rate 1 happen when the expected number of arrivals, which is piecewise linear, reaches them. Where
    two tables agree up to an instant, so do their arrivals.

    Parameters
    ----------
    rates_hz
        Arrivals per second from each instant on; some may be zero, but not the last, which holds for ever.
    """

    rates_hz: Steps

    def __post_init__(self) -> None:
        if min(self.rates_hz.values) < 0 or not self.rates_hz.values[-1] > 0:
            raise InputError(
                f"arrivals steps: rates [Hz] are {self.rates_hz}; expected 0 or more, and the last, which "
                "holds for ever, above 0: correct it, or end the run before it with 'horizon'"
            )

    @property
    def rate_hz(self) -> float:
        """Arrivals per second that planners count on: the first rate above 0, as they know of no change."""
        return next(rate_hz for rate_hz in self.rates_hz.values if rate_hz > 0)

    def rate_at(self, instant_s: float) -> float:
        """Arrivals per second at an instant."""
        return self.rates_hz(instant_s)

    def expected(self, until_s: float) -> float:
        """Mean number of arrivals from time zero until an instant: the rate's integral."""
        ends_s = (*self.rates_hz.at_s[1:], float("inf"))
        pieces = zip(self.rates_hz.at_s, ends_s, self.rates_hz.values, strict=True)
        return sum(rate_hz * max(0.0, min(until_s, end_s) - at_s) for at_s, end_s, rate_hz in pieces)

    def instants(self, rng: np.random.Generator) -> Iterator[float]:
        """Yield the instants, in seconds since time zero."""
        at_s, rates_hz = np.array(self.rates_hz.at_s), np.array(self.rates_hz.values)
        counts = np.concatenate(([0.0], np.cumsum(np.diff(at_s) * rates_hz[:-1])))  # expected by each instant
        count = now_s = 0.0
        while True:
            draws = rng.standard_exponential(BLOCK)
            draws[0] += count
            reached = np.cumsum(draws)
            # No piece in which the count stands still is found: of equal counts the last begins the piece.
            piece = np.searchsorted(counts, reached, side="right") - 1
            instants_s = at_s[piece] + (reached - counts[piece]) / rates_hz[piece]
            instants_s[0] = max(instants_s[0], now_s)
            instants_s = np.maximum.accumulate(instants_s)  # against a last bit's rounding between pieces
            yield from instants_s.tolist()
            count, now_s = float(reached[-1]), float(instants_s[-1])
