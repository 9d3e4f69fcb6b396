"""How long a user thinks before asking again: laws of the time from an answer to the next request."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from edgesim.errors import InputError

__all__ = ["ExponentialThink", "FixedThink", "Think", "think_times"]

BLOCK = 64  # draws made at once


class Think(Protocol):
    """A law of think times."""

    @property
    def mean_s(self) -> float:
        """Expected think time."""

    def draw(self, rng: np.random.Generator, n: int) -> npt.NDArray[np.float64]:
        """Draw ``n`` think times [s]."""


@dataclass(frozen=True, slots=True)
class FixedThink:
    """Always ``mean_s``; 0 asks again at once."""

    mean_s: float = 0.0

    def __post_init__(self) -> None:
        if not (self.mean_s >= 0 and math.isfinite(self.mean_s)):
            raise InputError(
                f"think time: it is {self.mean_s:g} s; expected a finite duration of 0 or more: correct it"
            )

    def draw(self, rng: np.random.Generator, n: int) -> npt.NDArray[np.float64]:
        """Return ``n`` times the think time; nothing is drawn."""
        return np.full(n, self.mean_s)


@dataclass(frozen=True, slots=True)
class ExponentialThink:
    """Exponential with mean ``mean_s``: the classic of interactive systems."""

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
    """Draw think times without end."""
    while True:
        yield from think.draw(rng, BLOCK).tolist()
