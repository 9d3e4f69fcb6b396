"""Intervals over replications that stay inside what is possible, each on the scale of its metric.

A replication is one observation, for requests of one run depend on one another. What an interval covers is
the mean over replications of the replication's statistic, or, for a ratio, the geometric mean of its ratios.
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

# Logarithms of equal numbers that were summed in another order differ by rounding alone.
_ROUNDING = 1e-12


class Scale(StrEnum):
    """What values a metric can take, and so on which scale its mean's interval is symmetric."""

    LINEAR = "linear"
    """Any value: Student's t."""
    LOG = "log"
    """Not negative: Student's t of the mean's logarithm, by the delta method."""
    LOGIT = "logit"
    """From 0 to 1: the score interval, which is symmetric on the logit scale (Newcombe 1998)."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over `n` replications with its interval, which one replication does not have."""

    n: int
    mean: float
    low: float | None
    high: float | None

    @property
    def interval(self) -> tuple[float, float] | None:
        """Lower and upper end."""
        return None if self.low is None or self.high is None else (self.low, self.high)


@dataclass(frozen=True, slots=True)
class Ratio:
    """A geometric mean of `n` paired ratios, with the interval of its logarithm's Student t."""

    n: int
    ratio: float
    low: float | None
    high: float | None

    @property
    def excludes_one(self) -> bool | None:
        """Whether the interval leaves out 1, which is no difference; None without an interval."""
        if self.low is None or self.high is None:
            return None
        return math.log(self.low) > _ROUNDING or math.log(self.high) < -_ROUNDING


@dataclass(frozen=True, slots=True)
class Difference(Estimate):
    """A mean difference to the reference strategy, taken replication by replication, and the mean ratio.

    `no_ratio` gives the reason where there is no ratio; the difference alone then shows whether they differ.
    """

    ratio: Ratio | None
    no_ratio: str | None = None

    @property
    def excludes_zero(self) -> bool | None:
        """Whether the interval of the difference leaves zero out; None without an interval."""
        if self.low is None or self.high is None:
            return None
        return self.low > 0 or self.high < 0

    @property
    def is_there(self) -> bool | None:
        """Whether the two differ: by the ratio where there is one, else by the difference."""
        return self.excludes_zero if self.ratio is None else self.ratio.excludes_one


def student_t(values: Sequence[float], confidence: float = CONFIDENCE) -> Estimate | None:
    """Return the mean with its two-sided Student-t interval; None without values.

    One value has no interval: a single replication says nothing of how replications scatter.
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
    """Return the mean with an interval that suits the scale; None without values.

    LOG: ``mean * exp(±t se / mean)``. It covers the arithmetic mean, which exp of the mean logarithm does
    not. LOGIT: all p with ``(mean - p)² <= t² p (1 - p) / n``, where ``n = mean (1 - mean) / se²`` is the
    number of independent trials that would scatter as much as the replications did (Kish's effective number).

    Parameters
    ----------
    n_trials
        For a proportion, how many independent trials it is of. Needed where all replications agree, which
        leaves no scatter to estimate from: the score interval of so many trials is given then, with the
        normal quantile (at 0 and 1 about the rule of three and a bit: 3.84 / n). Without it the interval
        has no width there.
    least
        What no value can fall below; the interval ends there.
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
                return Estimate(n, 0.0, None, None)  # no event in any: how rare they are is not known
            factor = math.exp(min(t * standard_error / mean, 700.0))
            return Estimate(n, mean, max(mean / factor, min(least, mean)), mean * factor)
        case Scale.LOGIT:
            return Estimate(n, mean, *_score(mean, standard_error, t, n_trials, confidence))


def paired_difference(
    values: Sequence[float], reference: Sequence[float], confidence: float = CONFIDENCE
) -> Difference | None:
    """Return the mean of ``values - reference``, pair by pair, with its Student-t interval, and the ratio.

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
    """Return exp of the mean of ``ln(values / reference)``, pair by pair, and of its Student-t interval.

    None without any.

    Raises
    ------
    ValueError
        If a number is not finite, or not positive.
    """
    _check_finite(values, reference)
    least = min((*values, *reference), default=1.0)
    if least <= 0:
        raise ValueError(f"pairs: found {least}; expected positive numbers, for others have no ratio")
    # Not the logarithm of the ratio, which a float need not hold.
    logs = [math.log(value) - math.log(against) for value, against in zip(values, reference, strict=True)]
    return ratio_of_logs(logs, confidence)


def ratio_of_logs(logs: Sequence[float], confidence: float = CONFIDENCE) -> Ratio | None:
    """Return exp of a mean of logarithms and of its Student-t interval; None without any."""
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
    # Two replications that disagree widely have ends beyond what a float holds.
    return math.exp(max(min(value, 700.0), -700.0))


def _t(n: int, confidence: float) -> float:
    # stdtrit is Student t's quantile; scipy.stats says the same, and takes a second to import.
    return float(stdtrit(n - 1, (1 + confidence) / 2))


def _score(
    mean: float, standard_error: float, quantile: float, n_trials: float | None, confidence: float
) -> tuple[float, float]:
    """Wilson's interval with an effective number of trials (Wilson 1927; Kish 1965)."""
    if 0 < mean < 1 and standard_error > 0:
        n = mean * (1 - mean) / standard_error**2
    elif n_trials is None:
        return mean, mean
    else:
        n, quantile = n_trials, float(ndtri((1 + confidence) / 2))  # no scatter is estimated
    share = quantile**2 / n
    centre, half = mean + share / 2, math.sqrt(share * (mean * (1 - mean) + share / 4))
    low, high = (centre - half) / (1 + share), (centre + half) / (1 + share)
    return (0.0 if mean == 0 else max(low, 0.0)), (1.0 if mean == 1 else min(high, 1.0))
