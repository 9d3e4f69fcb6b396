"""Base of all workloads: their sources, and the limits at which they end."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, TypeAlias

import numpy as np
import numpy.typing as npt

from edgesim.errors import InputError
from edgesim.rng import Streams
from edgesim.units import LONGEST_RUN_S

__all__ = [
    "MOST_REQUESTS",
    "Bounded",
    "Draw",
    "blockwise",
    "draw_below",
    "draw_samples",
    "draw_weighted",
    "refuse_too_many",
]

MOST_REQUESTS = 10_000_000
"""Most requests of one replication: a day of simulation at some milliseconds each; their table takes 1 GB."""

BLOCK = 4096  # numbers per draw, as in the arrival processes
N_SAMPLES = 2**31  # far more than in any evaluation set, onto whose samples the numbers are later mapped

Draw: TypeAlias = Callable[[np.random.Generator, int], npt.NDArray[np.int64]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounded:
    """Sources of a workload and its two limits, at least one of which is required unless it ends by itself.

    Parameters
    ----------
    sources
        Devices that requests come from.
    horizon_s
        Requests arrive strictly before this instant; None: no such limit.
    n_requests
        Most requests; None: no such limit.
    weights
        Relative frequency of requests from each source; equal if empty. Under Poisson arrivals each source
        is a Poisson process with its weight's share of the rate.
    """

    is_finite: ClassVar[bool] = False
    """Whether the workload ends by itself."""

    sources: tuple[str, ...]
    horizon_s: float | None = None
    n_requests: int | None = None
    weights: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if not self.sources:
            raise InputError(
                "workload: sources is empty; expected at least one device: name those that requests come from"
            )
        if self.weights and (
            len(self.weights) != len(self.sources)
            or not all(weight > 0 and math.isfinite(weight) for weight in self.weights)
        ):
            raise InputError(
                f"workload: weights {self.weights} of {len(self.sources)} sources; expected a finite number "
                "above 0 for each: correct them"
            )
        if self.horizon_s is None and self.n_requests is None and not self.is_finite:
            raise InputError(
                "workload: neither horizon_s nor n_requests is given, so it would never end; "
                "expected at least one: give a horizon or a number of requests"
            )
        if self.horizon_s is not None and not self.horizon_s > 0:
            raise InputError(
                f"workload: horizon_s is {self.horizon_s:g}; expected a duration above 0: lengthen it"
            )
        if self.n_requests is not None and not 1 <= self.n_requests <= MOST_REQUESTS:
            raise InputError(
                f"workload: n_requests is {self.n_requests}; expected 1 to {MOST_REQUESTS:,}: use "
                f"{'more requests' if self.n_requests < 1 else 'fewer, in several replications'}"
            )
        self._check()

    def _check(self) -> None:
        """Raise an InputError if a workload of this class is invalid; overridden by subclasses."""

    def is_past(self, at_s: float) -> bool:
        """Return whether an instant is at or after the horizon.

        Raises
        ------
        InputError
            If there is no horizon and the instant is later than any run lasts.
        """
        if self.horizon_s is None:
            if at_s > LONGEST_RUN_S:
                raise InputError(
                    f"workload: a request would arrive at {at_s:g} s; expected {LONGEST_RUN_S:g} s at most, "
                    "about three years: raise the rate, reduce the number of requests, or give a horizon"
                )
            return False
        return at_s >= self.horizon_s

    def draw_sources(self, streams: Streams) -> Iterator[str]:
        """Yield source devices without end, drawn by their weights."""
        draw = draw_weighted(self.weights) if self.weights else draw_below(len(self.sources))
        numbers = blockwise(draw, streams["workload/sources"])
        return (self.sources[number] for number in numbers)


def refuse_too_many(rate_hz: float, horizon_s: float | None, n_requests: int | None) -> None:
    """Refuse a workload with far too many expected requests, before any is drawn.

    Raises
    ------
    InputError
        If the expected number of requests is well above what a replication may have.
    """
    if n_requests is not None or horizon_s is None or math.isinf(horizon_s):
        return
    n_mean = rate_hz * horizon_s
    if n_mean > 1.1 * MOST_REQUESTS:
        raise InputError(
            f"workload: {n_mean:.3g} requests are expected on average in one replication; expected "
            f"{MOST_REQUESTS:,} at most: shorten the horizon, or lower the rate"
        )


def draw_samples(streams: Streams, of: str = "workload", block: int = BLOCK) -> Iterator[int]:
    """Yield numbers of evaluation samples without end."""
    return blockwise(draw_below(N_SAMPLES), streams[f"{of}/samples"], block)


def blockwise(draw: Draw, rng: np.random.Generator, block: int = BLOCK) -> Iterator[int]:
    """Yield drawn numbers without end, drawing ``block`` at a time."""
    while True:
        yield from draw(rng, block).tolist()


def draw_below(end: int) -> Draw:
    """Return a function that draws integers from 0 to ``end - 1``, all equally likely."""
    return lambda rng, n: rng.integers(end, size=n)


def draw_weighted(weights: Sequence[float]) -> Draw:
    """Return a function that draws list positions in proportion to weights, by inversion of a uniform."""
    bounds = np.cumsum(weights)[:-1] / math.fsum(weights)
    return lambda rng, n: np.searchsorted(bounds, rng.random(n), side="right")
