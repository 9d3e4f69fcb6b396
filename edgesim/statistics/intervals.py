"""Confidence intervals over replications, on a scale that keeps them within the range of the metric.

A replication is one observation, since the requests of one run are dependent. An interval covers the mean
over replications of the replication's statistic or, for a ratio, the geometric mean of the ratios.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from scipy.special import ndtri, stdtrit

__all__ = [
    "CONFIDENCE",
    "Difference",
    "Estimate",
    "Ratio",
    "Scale",
    "estimate_mean",
    "paired_difference",
    "paired_ratio",
    "ratio_of_logs",
    "student_t",
]

CONFIDENCE = 0.95

# Logarithms of numbers that are equal but for the order of summation differ by rounding only.
_ROUNDING = 1e-12


class Scale(StrEnum):
    """Scale on which the interval of a metric's mean is symmetric, given by the metric's range."""

    LINEAR = "linear"
    """Any real value: Student's t."""
    LOG = "log"
    """Non-negative values: Student's t of the mean's logarithm, by the delta method."""
    LOGIT = "logit"
    """Values from 0 to 1: the score interval, which is symmetric on the logit scale (Newcombe 1998)."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """Mean over `n` replications with its interval; a single replication has no interval."""

    n: int
    mean: float
    low: float | None
    high: float | None

    @property
    def interval(self) -> tuple[float, float] | None:
        """Lower and upper end of the interval, or None."""
        return None if self.low is None or self.high is None else (self.low, self.high)


@dataclass(frozen=True, slots=True)
class Ratio:
    """Geometric mean of `n` paired ratios, with Student's t interval of its logarithm."""

    n: int
    ratio: float
    low: float | None
    high: float | None

    @property
    def excludes_one(self) -> bool | None:
        """Whether the interval excludes 1 (no difference); None without an interval."""
        if self.low is None or self.high is None:
            return None
        return math.log(self.low) > _ROUNDING or math.log(self.high) < -_ROUNDING


@dataclass(frozen=True, slots=True)
class Difference(Estimate):
    """Mean difference to the reference strategy, paired by replication, and mean ratio.

    If there is no ratio, `no_ratio` gives the reason, and the difference alone decides whether they differ.
    """

    ratio: Ratio | None
    no_ratio: str | None = None

    @property
    def excludes_zero(self) -> bool | None:
        """Whether the interval of the difference excludes zero; None without an interval."""
        if self.low is None or self.high is None:
            return None
        return self.low > 0 or self.high < 0

    @property
    def differs(self) -> bool | None:
        """Whether the two strategies differ: by the ratio if there is one, else by the difference."""
        return self.excludes_zero if self.ratio is None else self.ratio.excludes_one


def student_t(values: Sequence[float], confidence: float = CONFIDENCE) -> Estimate | None:
    """Return the mean with its two-sided Student-t interval; None without values.

    A single value has no interval, since it gives no estimate of the variance between replications.
    """
    return estimate_mean(values, Scale.LINEAR, confidence)


def estimate_mean(
    values: Sequence[float],
    scale: Scale,
    confidence: float = CONFIDENCE,
    *,
    n_trials: float | None = None,
    least: float = 0.0,
) -> Estimate | None:
    """Return the mean with an interval on the given scale; None without values.

    LOG: ``mean * exp(±t se / mean)``, which covers the arithmetic mean, unlike exp of the mean logarithm.
    LOGIT: all p with ``(mean - p)² <= t² p (1 - p) / n``, where ``n = mean (1 - mean) / se²`` is the number
    of independent trials with the same variance as the replications (Kish's effective sample size).

    Parameters
    ----------
    n_trials
        For a proportion, the number of independent trials. Used if all replications agree and the variance
        cannot be estimated: the interval is then the score interval of so many trials with the normal
        quantile (at 0 and 1 slightly wider than the rule of three: 3.84 / n). If not given, the interval then
        has zero width.
    least
        Lower bound of all values, and hence of the interval.
    """
    n = len(values)
    if n == 0:
        return None
    mean = math.fsum(values) / n
    if n < 2:
        return Estimate(n, mean, None, None)
    standard_error = float(np.std(values, ddof=1)) / math.sqrt(n)
    if max(values) == min(values):
        mean, standard_error = values[0], 0.0
    t = _t(n, confidence)
    match scale:
        case Scale.LINEAR:
            return Estimate(n, mean, mean - t * standard_error, mean + t * standard_error)
        case Scale.LOG:
            if mean == 0:
                return Estimate(n, 0.0, None, None)  # no event in any: their rate is unknown
            factor = math.exp(min(t * standard_error / mean, 700.0))
            return Estimate(n, mean, max(mean / factor, min(least, mean)), mean * factor)
        case Scale.LOGIT:
            return Estimate(n, mean, *_score(mean, standard_error, t, n_trials, confidence))


def paired_difference(
    values: Sequence[float], reference: Sequence[float], confidence: float = CONFIDENCE
) -> Difference | None:
    """Return the mean paired difference ``values - reference`` with its Student-t interval, and the ratio.

    Returns
    -------
    Difference or None
        None without pairs. Its ratio is None if a value is zero or negative.

    Raises
    ------
    ValueError
        If a number is not finite.
    """
    _check_finite(values, reference)
    differences = [value - against for value, against in zip(values, reference, strict=True)]
    mean = student_t(differences, confidence)
    if mean is None:
        return None
    ratio, reason = None, None
    if lacking := [at for at, pair in enumerate(zip(values, reference, strict=True)) if min(pair) <= 0]:
        kind = "zero" if min(min(values), min(reference)) == 0 else "negative"
        reason = f"{kind} in {len(lacking)} of {len(differences)} replications"
    else:
        ratio = paired_ratio(values, reference, confidence)
    return Difference(mean.n, mean.mean, mean.low, mean.high, ratio, reason)


def paired_ratio(
    values: Sequence[float], reference: Sequence[float], confidence: float = CONFIDENCE
) -> Ratio | None:
    """Return the geometric mean of the paired ratios ``values / reference``; None without pairs.

    The interval is exp of the Student-t interval of the mean logarithm.

    Raises
    ------
    ValueError
        If a number is not finite, or not positive.
    """
    _check_finite(values, reference)
    least = min((*values, *reference), default=1.0)
    if least <= 0:
        raise ValueError(f"pairs: found {least}; expected positive numbers, since others have no ratio")
    # Difference of logarithms, since the ratio itself may overflow.
    logs = [math.log(value) - math.log(against) for value, against in zip(values, reference, strict=True)]
    return ratio_of_logs(logs, confidence)


def ratio_of_logs(logs: Sequence[float], confidence: float = CONFIDENCE) -> Ratio | None:
    """Return exp of the mean of logarithms and of its Student-t interval; None without values."""
    log = student_t(logs, confidence)
    if log is None:
        return None
    low, high = (None, None) if log.interval is None else (_exp(end) for end in log.interval)
    return Ratio(log.n, _exp(log.mean), low, high)


def _check_finite(*samples: Sequence[float]) -> None:
    for sample in samples:
        for at, value in enumerate(sample):
            if not math.isfinite(value):
                raise ValueError(
                    f"pairs: number {at} is {value}; expected finite numbers: leave out the pairs in which "
                    "one is undefined"
                )


def _exp(value: float) -> float:
    # The interval of two very different replications may have ends that overflow.
    return math.exp(max(min(value, 700.0), -700.0))


def _t(n: int, confidence: float) -> float:
    # stdtrit is the quantile of Student's t, as in scipy.stats, which takes a second to import.
    return float(stdtrit(n - 1, (1 + confidence) / 2))


def _score(
    mean: float, standard_error: float, quantile: float, n_trials: float | None, confidence: float
) -> tuple[float, float]:
    """Return Wilson's score interval with an effective number of trials (Wilson 1927; Kish 1965)."""
    if 0 < mean < 1 and standard_error > 0:
        n = mean * (1 - mean) / standard_error**2
    elif n_trials is None:
        return mean, mean
    else:
        n, quantile = n_trials, float(ndtri((1 + confidence) / 2))  # the variance is not estimated
    share = quantile**2 / n
    centre, half = mean + share / 2, math.sqrt(share * (mean * (1 - mean) + share / 4))
    low, high = (centre - half) / (1 + share), (centre + half) / (1 + share)
    return (0.0 if mean == 0 else max(low, 0.0)), (1.0 if mean == 1 else min(high, 1.0))
