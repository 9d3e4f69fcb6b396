"""Compare predictions with runs: an error for each repetition, their median, and a verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from edgesim.validate.local.figures import Figures

__all__ = ["GROSS", "FigureComparison", "Verdict", "compare"]

Verdict = Literal["passed", "failed", "too noisy"]

GROSS = 1.0
"""Limit of the short form: a factor of two, either way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FigureComparison:
    """One metric of one setting over the repetitions.

    Attributes
    ----------
    figure
        Name of the metric, such as ``ttft_s``.
    real, predicted
        Values by repetition.
    limit
        Largest acceptable median error.
    is_share
        Whether it is a share of time, for which errors are differences and not ratios.
    """

    figure: str
    real: tuple[float, ...]
    predicted: tuple[float, ...]
    limit: float
    is_share: bool = False

    @property
    def errors(self) -> tuple[float, ...]:
        """Error of the prediction, by repetition: predicted / real - 1, or the difference for a share."""
        pairs = zip(self.predicted, self.real, strict=True)
        return tuple(p - r if self.is_share else p / r - 1.0 for p, r in pairs)

    @property
    def median(self) -> float:
        """Median of the errors."""
        return float(np.median(self.errors))

    @property
    def spread(self) -> float:
        """Half of the interquartile range of the errors."""
        lower, upper = np.quantile(self.errors, [0.25, 0.75])
        return float(upper - lower) / 2.0

    @property
    def verdict(self) -> Verdict:
        """Whether the median is within the limit; too noisy if the spread exceeds half of the limit."""
        if self.spread > self.limit / 2.0:
            return "too noisy"
        return "passed" if abs(self.median) <= self.limit else "failed"

    @property
    def is_gross(self) -> bool:
        """Whether all repetitions are off to one side by a factor of two or more (for a share: by half)."""
        low, high = min(self.errors), max(self.errors)
        if self.is_share:
            return low > GROSS / 2.0 or high < -GROSS / 2.0
        return low > GROSS or 1.0 + high < 1.0 / (1.0 + GROSS)


def compare(real: Sequence[Figures], predicted: Sequence[Figures], limit: float) -> list[FigureComparison]:
    """Compare all metrics of a setting."""
    found = [
        FigureComparison(
            figure=name,
            real=tuple(getattr(each, name) for each in real),
            predicted=tuple(getattr(each, name) for each in predicted),
            limit=limit,
        )
        for name in ("ttft_s", "tpot_s", "tokens_per_s")
    ]
    return found + [
        FigureComparison(
            figure=f"utilisation {number}",
            real=tuple(each.utilisation[number] for each in real),
            predicted=tuple(each.utilisation[number] for each in predicted),
            limit=limit,
            is_share=True,
        )
        for number in range(len(real[0].utilisation))
    ]
