"""Survival analysis of censored latencies: Kaplan-Meier percentiles, and shares within a limit.

The latency of a request in flight at the end is censored: it exceeds the request's age. The latency of a
failed request is infinite. Kaplan and Meier (1958) estimate the share still unanswered after each time; Aalen
and Johansen (1978) generalise this to two ways of ending.

Not modelled: censoring that depends on the latency. In an overloaded run, late arrivals are both slower and
censored at a younger age; such runs are marked as saturated (:mod:`edgesim.statistics.saturation`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

__all__ = ["Distribution", "answered_share", "met_share", "percentiles"]

FloatArray: TypeAlias = npt.NDArray[np.float64]
_NOTHING = np.empty(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Distribution:
    """Summary of a sample of latencies, partly censored or infinite.

    Attributes
    ----------
    n
        Sample size, with censored and infinite latencies.
    mean
        None if any latency is censored or infinite: the mean of the others would be too low.
    p50, p95, p99
        None if beyond the last known latency.
    mean_at_least
        Lower bound of the mean, with ages for censored latencies and without infinite ones; None if all are
        infinite.
    longest_s
        Longest known latency or age; percentiles that are None are longer.
    variance_s2
        Variance of the known latencies; None if there are fewer than two.
    n_censored, n_never
        Number of censored latencies, and of infinite ones.
    """

    n: int
    mean: float | None
    p50: float | None
    p95: float | None
    p99: float | None
    mean_at_least: float | None = None
    longest_s: float | None = None
    variance_s2: float | None = None
    n_censored: int = 0
    n_never: int = 0

    @classmethod
    def of(
        cls, values_s: FloatArray, censored_s: FloatArray = _NOTHING, n_never: int = 0
    ) -> Distribution | None:
        """Summarise a sample; None if it is empty."""
        n = values_s.size + censored_s.size + n_never
        if n == 0:
            return None
        p50, p95, p99 = percentiles(values_s, censored_s, n_never, (0.50, 0.95, 0.99))
        known = values_s.size + censored_s.size
        at_least = float(values_s.sum() + censored_s.sum()) / known if known else None
        longest = [float(part.max()) for part in (values_s, censored_s) if part.size]
        return cls(
            n=n,
            mean=float(values_s.mean()) if values_s.size == n else None,
            p50=p50,
            p95=p95,
            p99=p99,
            mean_at_least=at_least,
            longest_s=max(longest, default=None),
            variance_s2=float(values_s.var(ddof=1)) if values_s.size > 1 else None,
            n_censored=censored_s.size,
            n_never=n_never,
        )


def percentiles(
    values_s: FloatArray, censored_s: FloatArray, n_never: int, levels: Sequence[float]
) -> list[float | None]:
    """Return Kaplan-Meier percentiles, linearly interpolated; None for those beyond the last known value.

    With ``F(k)`` the Kaplan-Meier estimate of the share answered by the k-th value, the k-th value is the
    percentile of level ``(n F(k) - 1) / (n - 1)``; between two values, levels are interpolated linearly.
    Without censoring, ``F(k) = k / n``, and this is numpy's ``linear`` (Hyndman and Fan's type 7).

    Parameters
    ----------
    values_s
        Known latencies, in any order.
    censored_s
        Ages of censored requests.
    n_never
        Number of infinite latencies, treated as censored after all others.
    levels
        Levels between 0 and 1.
    """
    if not values_s.size:
        return [None] * len(levels)
    if not censored_s.size:
        return _linear(values_s, n_never, levels)
    n = values_s.size + censored_s.size + n_never
    times_s = np.concatenate([values_s, censored_s])
    ends = np.arange(times_s.size) < values_s.size
    order = np.lexsort((~ends, times_s))  # of equal times, what ended comes before what was cut off
    times_s, ends = times_s[order], ends[order]
    reached = (n * (1 - _survival(ends, n)[ends]) - 1) / (n - 1)
    beyond = [level > reached[-1] + 1e-12 for level in levels]
    found = np.interp(levels, reached, times_s[ends])
    return [None if is_beyond else float(time_s) for is_beyond, time_s in zip(beyond, found, strict=True)]


def answered_share(
    values_s: FloatArray, censored_s: FloatArray, n_never: int
) -> tuple[FloatArray, FloatArray]:
    """Return the Kaplan-Meier estimate of the cumulative distribution function of a latency.

    Without censoring, this is the empirical distribution function. Infinite latencies keep it below 1.

    Returns
    -------
    times_s, shares
        [n_times] each: the known latencies in order, and the share answered by each. The curve steps up at
        each time, and is known up to the longest latency or age.
    """
    n = values_s.size + censored_s.size + n_never
    times_s = np.concatenate([values_s, censored_s])
    ends = np.arange(times_s.size) < values_s.size
    order = np.lexsort((~ends, times_s))  # of equal times, what ended comes before what was cut off
    times_s, ends = times_s[order], ends[order]
    return times_s[ends], 1.0 - _survival(ends, n)[ends]


def met_share(
    met_after_s: FloatArray, missed_after_s: FloatArray, undecided_s: FloatArray
) -> tuple[float | None, tuple[float, float]]:
    """Estimate the share of requests that met their objectives, with certain bounds.

    The estimate is the Aalen-Johansen cumulative incidence of meeting them, with undecided requests censored
    at their age. With one limit on one latency it is the Kaplan-Meier share at the limit; if all requests are
    decided, it is the plain share.

    Parameters
    ----------
    met_after_s, missed_after_s
        Age at which each decided request had definitely met, or missed, its objectives.
    undecided_s
        Age of each undecided request.

    Returns
    -------
    float or None
        The share; None if the oldest requests are undecided, so that the incidences do not add up to one.
    (float, float)
        The share if all undecided requests miss, and if all meet.
    """
    n = met_after_s.size + missed_after_s.size + undecided_s.size
    if n == 0:
        return None, (0.0, 1.0)
    bounds = (met_after_s.size / n, (met_after_s.size + undecided_s.size) / n)
    if not undecided_s.size:
        return bounds[0], bounds
    ages_s = np.concatenate([met_after_s, missed_after_s, undecided_s])
    ends = np.arange(n) < n - undecided_s.size
    order = np.lexsort((~ends, ages_s))
    survival = _survival(ends[order], n)
    if not ends[order][-1] and survival[-1] > 0:
        return None, bounds
    before = np.concatenate([[1.0], survival[:-1]])
    has_met = order < met_after_s.size
    share = float((before / (n - np.arange(n)))[has_met].sum())
    return min(max(share, bounds[0]), bounds[1]), bounds


def _survival(ends: npt.NDArray[np.bool_], n: int) -> FloatArray:
    """Return the Kaplan-Meier survival after each time in order, with `n` requests at risk at first."""
    at_risk = n - np.arange(ends.size, dtype=np.float64)
    left: FloatArray = np.cumprod(np.where(ends, (at_risk - 1) / at_risk, 1.0), dtype=np.float64)
    return left


def _linear(values_s: FloatArray, n_never: int, levels: Sequence[float]) -> list[float | None]:
    """Return percentiles interpolated between order statistics, the last `n_never` of which are infinite."""
    if n_never == 0:
        return [float(value) for value in np.percentile(values_s, [100 * level for level in levels])]
    positions = [(values_s.size + n_never - 1) * level for level in levels]
    needed = {min(math.ceil(position), values_s.size - 1) for position in positions}
    needed |= {min(math.floor(position), values_s.size - 1) for position in positions}
    ordered = np.partition(values_s, sorted(needed))
    found: list[float | None] = []
    for position in positions:
        below, above = math.floor(position), math.ceil(position)
        if above >= values_s.size:
            found.append(None)
        else:
            step_s = ordered[above] - ordered[below]
            found.append(float(ordered[below] + (position - below) * step_s))
    return found
