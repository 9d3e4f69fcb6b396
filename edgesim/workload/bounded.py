"""What every workload has: devices that requests come from, and an end."""

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
"""Most requests of one replication: a day of simulating at some milliseconds each; 1 GB of their table."""

BLOCK = 4096  # draws made at once, as in the arrival laws
N_SAMPLES = 2**31  # far more than any evaluation set holds: who replays answers maps the number onto theirs

Draw: TypeAlias = Callable[[np.random.Generator, int], npt.NDArray[np.int64]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounded:
    """A workload's sources and its two ends, of which one is needed unless it ends by itself.

    Parameters
    ----------
    sources
        Devices that requests come from.
    horizon_s
        Requests arrive strictly before this instant; None for no such end.
    n_requests
        No more than this many requests; None for no such end.
    weights
        How often requests come from each source, relative to the others; all alike if empty. Of a Poisson
        process each source is one, with its weight's share of the rate.
    """

    is_finite: ClassVar[bool] = False
    """Whether it ends by itself."""

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
                f"workload: n_requests is {self.n_requests}; expected 1 to {MOST_REQUESTS:,}: ask for "
                f"{'more requests' if self.n_requests < 1 else 'fewer, in several replications'}"
            )
        self._check()

    def _check(self) -> None:
        """Refuse, with an InputError, what a workload of this kind cannot do."""

    def is_past(self, at_s: float) -> bool:
        """Whether an instant is no longer before the horizon.

        Raises
        ------
        InputError
            Where there is no horizon, if it is later than any run lasts.
        """
        if self.horizon_s is None:
            if at_s > LONGEST_RUN_S:
                raise InputError(
                    f"workload: a request would arrive at {at_s:g} s; expected {LONGEST_RUN_S:g} s at most, "
                    "some three years: raise the rate, ask for fewer requests, or give a horizon"
                )
            return False
        return at_s >= self.horizon_s

    def draw_sources(self, streams: Streams) -> Iterator[str]:
        """Draw devices without end, by their weights."""
        draw = draw_weighted(self.weights) if self.weights else draw_below(len(self.sources))
        numbers = blockwise(draw, streams["workload/sources"])
        return (self.sources[number] for number in numbers)


def refuse_too_many(rate_hz: float, horizon_s: float | None, n_requests: int | None) -> None:
    """Refuse at once what would only be found by drawing ten million requests.

    Raises
    ------
    InputError
        If far more requests are to be expected than a replication may have.
    """
    if n_requests is not None or horizon_s is None or math.isinf(horizon_s):
        return
    n_mean = rate_hz * horizon_s
    if n_mean > 1.1 * MOST_REQUESTS:
        raise InputError(
            f"workload: {n_mean:.3g} requests are to be expected in one replication; expected "
            f"{MOST_REQUESTS:,} at most: shorten the horizon, or lower the rate"
        )


def draw_samples(streams: Streams, of: str = "workload", block: int = BLOCK) -> Iterator[int]:
    """Draw numbers of evaluation samples without end."""
    return blockwise(draw_below(N_SAMPLES), streams[f"{of}/samples"], block)


def blockwise(draw: Draw, rng: np.random.Generator, block: int = BLOCK) -> Iterator[int]:
    """Draw without end, ``block`` numbers at a time."""
    while True:
        yield from draw(rng, block).tolist()


def draw_below(end: int) -> Draw:
    """Draw whole numbers from 0 to ``end - 1``, all equally likely."""
    return lambda rng, n: rng.integers(end, size=n)


def draw_weighted(weights: Sequence[float]) -> Draw:
    """Draw positions in a list, each as likely as its weight says: by inversion, one uniform number each."""
    bounds = np.cumsum(weights)[:-1] / math.fsum(weights)
    return lambda rng, n: np.searchsorted(bounds, rng.random(n), side="right")
