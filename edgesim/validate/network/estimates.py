"""Means with their intervals, and what a comparison of two of them says."""

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
    """A mean, and half the width of its 95 % interval; 0 where it is known exactly."""

    mean: float
    half_width: float = 0.0


def exactly(value: float) -> SampledMean:
    """What is no estimate."""
    return SampledMean(value)


def mean_of(values: Sequence[float]) -> SampledMean:
    """Mean of independent replications or long batches, by Student's t; two are needed at least."""
    half_width = float(stats.t.ppf(0.5 + CONFIDENCE / 2, len(values) - 1) * stats.sem(values))
    return SampledMean(float(np.mean(values)), half_width)


@dataclass(frozen=True, slots=True)
class TheoryComparison:
    """A figure of the engine beside its truth.

    Parameters
    ----------
    what
        The figure, with its unit.
    ours, truth
        What the engine has, and what it should have, in the same unit.
    limit
        Largest relative difference that counts as agreement.
    """

    what: str
    ours: SampledMean
    truth: SampledMean
    limit: float

    @property
    def difference(self) -> float:
        """Relative difference: ours over the truth, less 1."""
        return self.ours.mean / self.truth.mean - 1.0

    @property
    def half_width(self) -> float:
        """Half the width of the difference's interval, to first order in the two relative errors."""
        return math.hypot(self.ours.half_width / self.ours.mean, self.truth.half_width / self.truth.mean) * (
            1.0 + self.difference
        )

    @property
    def verdict(self) -> Verdict:
        """Whether they agree, as far as the intervals tell: one wider than half the limit proves nothing."""
        if self.half_width > 0.5 * self.limit:
            return "too noisy"
        return "agrees" if abs(self.difference) <= self.limit else "misses"
