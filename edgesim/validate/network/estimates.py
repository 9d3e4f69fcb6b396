"""Means with confidence intervals, and comparisons of two of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import stats

__all__ = ["CONFIDENCE", "SampledMean", "TheoryComparison", "Verdict", "exactly", "mean_of"]

CONFIDENCE = 0.95

Verdict = Literal["agrees", "misses", "too noisy"]


@dataclass(frozen=True, slots=True)
class SampledMean:
    """A mean and the half-width of its 95 % interval; 0 where it is known exactly."""

    mean: float
    half_width: float = 0.0


def exactly(value: float) -> SampledMean:
    """Return an exact value as a mean without uncertainty."""
    return SampledMean(value)


def mean_of(values: Sequence[float]) -> SampledMean:
    """Return the mean of independent replications or long batches, by Student's t; at least two values."""
    half_width = float(stats.t.ppf(0.5 + CONFIDENCE / 2, len(values) - 1) * stats.sem(values))
    return SampledMean(float(np.mean(values)), half_width)


@dataclass(frozen=True, slots=True)
class TheoryComparison:
    """A result of the engine and its reference value.

    Parameters
    ----------
    what
        The compared quantity, with its unit.
    ours, truth
        The engine's result and the reference value, in the same unit.
    limit
        Largest relative difference that counts as agreement.
    """

    what: str
    ours: SampledMean
    truth: SampledMean
    limit: float

    @property
    def difference(self) -> float:
        """Relative difference: `ours` over `truth`, less 1."""
        return self.ours.mean / self.truth.mean - 1.0

    @property
    def half_width(self) -> float:
        """Half-width of the difference's interval, to first order in the two relative errors."""
        return math.hypot(self.ours.half_width / self.ours.mean, self.truth.half_width / self.truth.mean) * (
            1.0 + self.difference
        )

    @property
    def verdict(self) -> Verdict:
        """Whether the two agree; too noisy if the difference's half-width exceeds half the limit."""
        if self.half_width > 0.5 * self.limit:
            return "too noisy"
        return "agrees" if abs(self.difference) <= self.limit else "misses"
