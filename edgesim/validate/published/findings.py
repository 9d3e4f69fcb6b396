"""Published rates of single devices: the fit, leave-one-out predictions, and their quality."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgesim.model.efficiency.effects import Design, Rate
from edgesim.model.efficiency.stored import shipped_posterior
from edgesim.scenario.rates import RateEntry, published_rates
from edgesim.validate.published.leave_one_out import Prediction, left_out, one_share

__all__ = ["WIDEST", "Findings", "Row", "found"]

WIDEST = {True: 1.5, False: 3.0}
"""Largest ratio of a useful interval's ends: where engine and board are known, and elsewhere."""


@dataclass(frozen=True, slots=True)
class Row:
    """A published rate, its value in the fit to all rates, and its prediction from all others."""

    entry: RateEntry
    fitted_s: float
    predicted: Prediction

    @property
    def fitted_error(self) -> float:
        """Fitted over published time, less one."""
        return self.fitted_s / self.entry.seconds - 1

    @property
    def interval(self) -> tuple[float, float]:
        """90 % prediction interval in the source's own unit, the smaller end first."""
        ends = sorted(self.entry.in_unit(s) for s in (self.predicted.low_s, self.predicted.high_s))
        return ends[0], ends[1]


@dataclass(frozen=True, slots=True)
class Findings:
    """All rows, and the predictions of a simpler model with one share of peak for all."""

    rows: tuple[Row, ...]
    one_share: tuple[Prediction, ...]
    n_parameters: int

    @property
    def n_inside(self) -> int:
        """Number of intervals that contain the published rate."""
        return sum(row.predicted.holds for row in self.rows)

    @property
    def n_wide(self) -> int:
        """Number of intervals too wide to be useful."""
        return sum(row.predicted.width > WIDEST[row.predicted.is_known] for row in self.rows)

    @property
    def score(self) -> float:
        """Mean interval score."""
        return float(np.mean([row.predicted.score for row in self.rows]))

    @property
    def one_share_score(self) -> float:
        """Mean interval score of the model with one share of peak for all."""
        return float(np.mean([one.score for one in self.one_share]))

    @property
    def median_error(self) -> float:
        """Median of the predictions' absolute relative errors."""
        return float(np.median([abs(row.predicted.error) for row in self.rows]))


def found(*, n_chains: int = 128, n_kept: int = 32) -> Findings:
    """Fit all rates, and predict each from the others; takes some seconds at the default sizes."""
    entries = published_rates()
    rates: list[Rate] = [entry.rate() for entry in entries]
    centre = shipped_posterior().centre
    predicted = left_out(rates, n_chains=n_chains, n_kept=n_kept)
    rows = tuple(
        Row(entry, float(centre.times_s(rate, None)[0]), one)
        for entry, rate, one in zip(entries, rates, predicted, strict=True)
    )
    n_parameters = len(Design.of([rate.use for rate in rates]).names)
    return Findings(rows, tuple(one_share(rates)), n_parameters)
