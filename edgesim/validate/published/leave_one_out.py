"""Leave-one-out predictions of published rates, with the coverage and score of their intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgesim.model.architecture import FloatArray
from edgesim.model.efficiency.effects import Rate
from edgesim.model.efficiency.posterior import fit
from edgesim.rng import Streams

__all__ = ["COVERAGE", "Prediction", "interval_score", "left_out", "one_share"]

COVERAGE = 0.9
_SEED = 20_250_707


@dataclass(frozen=True, slots=True)
class Prediction:
    """A published rate, and its prediction from other rates.

    Attributes
    ----------
    measured_s, low_s, median_s, high_s
        The published time, and the 5, 50 and 95 % quantiles of the predicted one.
    is_known
        Whether engine and board both occur in other rows.
    """

    measured_s: float
    low_s: float
    median_s: float
    high_s: float
    is_known: bool

    @property
    def holds(self) -> bool:
        """Whether the interval contains the published time."""
        return self.low_s <= self.measured_s <= self.high_s

    @property
    def width(self) -> float:
        """Ratio of the upper to the lower end."""
        return self.high_s / self.low_s

    @property
    def error(self) -> float:
        """Predicted over published time, less one."""
        return self.median_s / self.measured_s - 1

    @property
    def score(self) -> float:
        """Interval score of the logarithm: relative width, plus a penalty for missing."""
        return interval_score(np.log(self.low_s), np.log(self.high_s), np.log(self.measured_s))


def interval_score(low: float, high: float, value: float, *, coverage: float = COVERAGE) -> float:
    """Return an interval's score; smaller is better (Gneiting and Raftery 2007, JASA 102, equation 43)."""
    penalty = 2 / (1 - coverage)
    return float((high - low) + penalty * max(0.0, low - value) + penalty * max(0.0, value - high))


def left_out(rates: Sequence[Rate], *, n_chains: int = 64, n_kept: int = 32) -> list[Prediction]:
    """Predict each rate from a fit to the others."""
    found = []
    for index, rate in enumerate(rates):
        others = [*rates[:index], *rates[index + 1 :]]
        rng = Streams(_SEED, index)["rates left out"]
        drawn_s = fit(others, rng, n_chains=n_chains, n_kept=n_kept).predictive_s(rate, rng)
        known = any(other.use.engine == rate.use.engine for other in others) and any(
            other.use.peaks.board == rate.use.peaks.board for other in others
        )
        found.append(_prediction(rate.seconds, drawn_s, known))
    return found


def _prediction(measured_s: float, drawn_s: FloatArray, is_known: bool) -> Prediction:
    low, median, high = np.quantile(drawn_s, [(1 - COVERAGE) / 2, 0.5, (1 + COVERAGE) / 2])
    return Prediction(measured_s, float(low), float(median), float(high), is_known)


def one_share(rates: Sequence[Rate]) -> list[Prediction]:
    """Predict each rate by one share of memory peak bandwidth for all, fitted to the others.

    The share is log-normal across rows: its interval is Student's, for the mean and spread of the others.
    """
    from scipy.special import stdtrit

    shares = np.log([rate.terms.stream_s / rate.seconds for rate in rates])
    found = []
    for index, rate in enumerate(rates):
        others = np.delete(shares, index)
        n = len(others)
        half = float(stdtrit(n - 1, (1 + COVERAGE) / 2)) * float(others.std(ddof=1)) * np.sqrt(1 + 1 / n)
        low, median, high = (
            float(rate.terms.stream_s / np.exp(others.mean() + shift)) for shift in (half, 0.0, -half)
        )
        found.append(Prediction(rate.seconds, low, median, high, is_known=True))
    return found
