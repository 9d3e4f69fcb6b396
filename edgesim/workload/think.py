"""Think times: distributions of the time from an answer to the user's next request."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from edgesim.errors import InputError

__all__ = ["ExponentialThink", "FixedThink", "Think", "think_times"]

BLOCK = 64  # numbers per draw


class Think(Protocol):
    """A distribution of think times."""

    @property
    def mean_s(self) -> float:
        """Expected think time."""

    def draw(self, rng: np.random.Generator, n: int) -> npt.NDArray[np.float64]:
        """Draw ``n`` think times [s]."""


@dataclass(frozen=True, slots=True)
class FixedThink:
    """Constant think time of ``mean_s``; 0 sends the next request at once."""

    mean_s: float = 0.0

    def __post_init__(self) -> None:
        if not (self.mean_s >= 0 and math.isfinite(self.mean_s)):
            raise InputError(
                f"think time: it is {self.mean_s:g} s; expected a finite duration of 0 or more: correct it"
            )

    def draw(self, rng: np.random.Generator, n: int) -> npt.NDArray[np.float64]:
        """Return ``n`` times the think time; no random numbers are drawn."""
        return np.full(n, self.mean_s)


@dataclass(frozen=True, slots=True)
class ExponentialThink:
    """Exponential think time with mean ``mean_s``, the classic model of interactive systems."""

    mean_s: float

    def __post_init__(self) -> None:
        if not (self.mean_s > 0 and math.isfinite(self.mean_s)):
            raise InputError(
                f"think time: its mean is {self.mean_s:g} s; expected a finite duration above 0: correct it"
            )

    def draw(self, rng: np.random.Generator, n: int) -> npt.NDArray[np.float64]:
        """Draw ``n`` think times [s]."""
        return self.mean_s * rng.standard_exponential(n)


def think_times(think: Think, rng: np.random.Generator) -> Iterator[float]:
    """Yield think times without end."""
    while True:
        yield from think.draw(rng, BLOCK).tolist()
