"""Comparison of strategies: intervals of metrics over replications, and differences within replications."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from edgesim.errors import TraceError
from edgesim.statistics.devices import ORIGINS
from edgesim.statistics.intervals import (
    CONFIDENCE,
    Difference,
    Estimate,
    Scale,
    estimate_mean,
    paired_difference,
)
from edgesim.statistics.metric import METRICS, SHARE
from edgesim.statistics.pairs import Pairs, SameRequests, same_requests
from edgesim.statistics.requests import Outcomes
from edgesim.statistics.saturation import keeps_growing
from edgesim.statistics.summary import Summary

__all__ = ["Comparison", "RatioLimit", "Row", "compare", "difference_of_rows", "metric_estimate"]

_DONE = 0.99  # least share of completed requests at which arrivals, not capacity, determine rates


@dataclass(frozen=True, slots=True)
class RatioLimit:
    """Bound of a ratio (geometric mean over replications): lower if `is_least`, else upper."""

    ratio: float
    is_least: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Results of one strategy over all its replications.

    Attributes
    ----------
    outcomes
        Sums over replications.
    estimates
        Mean and interval by metric. None if the metric is undefined in all replications, or unknown in any
        because of requests without a known end.
    differences
        Differences to the first strategy by metric, over replications.
    bounds
        Lower bounds of unknown metrics: the mean over replications of the value or its bound.
    ratio_limits
        Bounds of the ratio to the first strategy, if one of the two values is unknown and only bounded.
    same_requests
        Comparison with the first strategy request by request; None for the first, or if pairs were not given.
    attainment_bounds
        Mean attainment if all undecided requests miss their objectives, and if all meet them; None without
        objectives.
    is_saturated
        Whether the number of requests in flight keeps growing: demand exceeds capacity.
    is_rate_set_by_arrivals
        Whether the strategy completes all requests that arrive. Rates are then those of the arrivals, and
        energy per token with idling decreases with load.
    is_batch
        Whether requests arrive (nearly) all at once in any replication; rates are then over the time until
        the last has ended.
    values
        Finite values by metric and replication, for pairing of rows.
    """

    strategy: str
    replications: tuple[int, ...]
    outcomes: Outcomes
    estimates: Mapping[str, Estimate | None]
    differences: Mapping[str, Difference | None]
    utilisation: Mapping[str, Estimate | None]
    origins: tuple[str, ...]
    n_stuck: int = 0
    n_beyond: int = 0
    bounds: Mapping[str, float] = field(default_factory=dict)
    ratio_limits: Mapping[str, RatioLimit] = field(default_factory=dict)
    same_requests: SameRequests | None = None
    attainment_bounds: tuple[float, float] | None = None
    is_saturated: bool = False
    is_rate_set_by_arrivals: bool = False
    is_batch: bool = False
    values: Mapping[str, Mapping[int, float]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Rows of all strategies, in order of first appearance; differences are to the first."""

    rows: tuple[Row, ...]
    confidence: float


def compare(
    summaries: Iterable[Summary], pairs: Iterable[Pairs] = (), confidence: float = CONFIDENCE
) -> Comparison:
    """Compare strategies with the first one, over replications.

    A metric that is undefined in some replications is averaged over the others; its ``n`` is their number. A
    metric that is unknown in some replications, because of requests without a known end, is unknown
    altogether, since these are its worst replications.

    Parameters
    ----------
    summaries
        Summaries of all strategies and replications, in any order; the first to appear is the reference.
    pairs
        Paired requests of each strategy and the first, one per replication.

    Raises
    ------
    TraceError
        If a strategy has two summaries of one replication.
    """
    by_strategy: dict[str, dict[int, Summary]] = {}
    for summary in summaries:
        runs = by_strategy.setdefault(summary.strategy, {})
        if summary.replication in runs:
            raise TraceError(
                f"comparison: strategy {summary.strategy} has replication {summary.replication} twice; "
                "expected each once: pass the summaries of one trace only"
            )
        runs[summary.replication] = summary
    first = next(iter(by_strategy), "")
    paired = {strategy: [] for strategy in by_strategy}  # type: dict[str, list[Pairs]]
    for each in pairs:
        if each.reference == first and each.strategy in paired:
            paired[each.strategy].append(each)
    rows = [
        _row(
            runs,
            by_strategy[first] if strategy != first else {},
            same_requests(paired[strategy], confidence),
            confidence,
        )
        for strategy, runs in by_strategy.items()
    ]
    return Comparison(tuple(rows), confidence)


def _row(
    runs: Mapping[int, Summary],
    reference: Mapping[int, Summary],
    same: SameRequests | None,
    confidence: float,
) -> Row:
    ordered = [runs[replication] for replication in sorted(runs)]
    metrics = {summary.replication: summary.metrics() for summary in ordered}
    bounds = {summary.replication: summary.bounds() for summary in ordered}
    against = {replication: summary.metrics() for replication, summary in reference.items()}
    unknown = {name for summary in (*ordered, *reference.values()) for name in summary.bounds()}
    names = list(ordered[0].metrics())
    outcomes = sum((summary.outcomes for summary in ordered), Outcomes(completed=0, failed=0, censored=0))
    at_least = _at_least(metrics, bounds)
    is_batch = any(summary.window is not None and summary.window.is_batch for summary in ordered)
    is_saturated = not is_batch and keeps_growing(
        [summary.growth for summary in ordered if summary.growth is not None]
    )
    return Row(
        strategy=ordered[0].strategy,
        replications=tuple(metrics),
        outcomes=outcomes,
        estimates={
            name: None if name in at_least else _estimate(name, ordered, outcomes, confidence)
            for name in names
        },
        differences={
            name: None if name in unknown else _difference(name, metrics, against, confidence)
            for name in names
            if against
        },
        utilisation={
            group: estimate_mean(
                [s.utilisation[group] for s in ordered if group in s.utilisation], Scale.LOGIT, confidence
            )
            for group in sorted({group for summary in ordered for group in summary.utilisation})
        },
        origins=tuple(o for o in ORIGINS if any(o in summary.origins for summary in ordered)),
        n_stuck=sum(summary.n_stuck for summary in ordered),
        n_beyond=sum(summary.n_beyond for summary in ordered),
        bounds=at_least,
        ratio_limits={
            name: limit
            for name in names
            if name in unknown and (limit := _ratio_limit(name, ordered, reference)) is not None
        },
        same_requests=same,
        attainment_bounds=_attainment_bounds(ordered),
        is_saturated=is_saturated,
        is_batch=is_batch,
        is_rate_set_by_arrivals=all(_is_steady(summary) for summary in ordered)
        and not is_saturated
        and outcomes.completed >= _DONE * outcomes.offered,
        values={
            name: {
                replication: value
                for replication, own in metrics.items()
                if (value := own[name]) is not None and math.isfinite(value)
            }
            for name in names
        },
    )


def difference_of_rows(name: str, row: Row, reference: Row) -> Difference | None:
    """Return a metric's paired difference of any two rows; None if no replication has both values."""
    values, against = row.values.get(name, {}), reference.values.get(name, {})
    paired = sorted(values.keys() & against.keys())
    return paired_difference([values[each] for each in paired], [against[each] for each in paired])


def _is_steady(summary: Summary) -> bool:
    """Whether requests arrive over a period of time, independently of the strategy's speed."""
    window = summary.window
    return summary.is_load_fixed and window is not None and window.length_s > 0 and not window.is_batch


def _ratio_limit(
    name: str, summaries: Sequence[Summary], reference: Mapping[int, Summary]
) -> RatioLimit | None:
    """Bound the ratio of a metric that is unknown for one of the two strategies; None if for both."""
    pairs = [(own, reference[own.replication]) for own in summaries if own.replication in reference]
    is_own_unknown = any(name in own.bounds() for own, _ in pairs)
    if not pairs or is_own_unknown == any(name in base.bounds() for _, base in pairs):
        return None
    values = [
        (own.bounds().get(name, own.metrics()[name]), base.bounds().get(name, base.metrics()[name]))
        for own, base in pairs
    ]
    logs = [math.log(own / base) for own, base in values if own and base]
    if len(logs) < len(values):
        return None
    return RatioLimit(math.exp(math.fsum(logs) / len(logs)), is_own_unknown)


def _at_least(
    metrics: Mapping[int, Mapping[str, float | None]], bounds: Mapping[int, Mapping[str, float]]
) -> dict[str, float]:
    """Return a lower bound, averaged over replications, of each metric that has a bound in any."""
    found = {}
    for name in dict.fromkeys(name for own in bounds.values() for name in own):
        values = [
            value
            for replication, own in metrics.items()
            if (value := bounds[replication].get(name) if own[name] is None else own[name]) is not None
        ]
        found[name] = math.fsum(values) / len(values)
    return found


def _estimate(
    name: str, summaries: Sequence[Summary], outcomes: Outcomes, confidence: float
) -> Estimate | None:
    values = [value for summary in summaries if (value := summary.metrics()[name]) is not None]
    n_requests = outcomes.offered if name == "attainment" else outcomes.completed
    return metric_estimate(name, values, confidence, n_trials=max(n_requests, 1) / _design_effect(summaries))


def metric_estimate(
    name: str,
    values: Sequence[float],
    confidence: float = CONFIDENCE,
    *,
    n_trials: float | None = None,
) -> Estimate | None:
    """Return a metric's mean over replications, with an interval on the metric's scale; None without values.

    Parameters
    ----------
    n_trials
        For a share, the number of independent trials.
    """
    metric = METRICS.get(name)
    if metric is None or metric.unit != SHARE:
        least = 0.0 if metric is None else metric.least
        return estimate_mean(values, Scale.LOG, confidence, least=least)
    return estimate_mean(values, Scale.LOGIT, confidence, n_trials=n_trials)


def _attainment_bounds(summaries: Sequence[Summary]) -> tuple[float, float] | None:
    known = [
        (summary.attainment_at_least, summary.attainment_at_most)
        for summary in summaries
        if summary.attainment_at_least is not None and summary.attainment_at_most is not None
    ]
    if not known:
        return None
    return math.fsum(low for low, _ in known) / len(known), math.fsum(high for _, high in known) / len(known)


def _design_effect(summaries: Sequence[Summary]) -> float:
    """Return the design effect (Kish 1965): variance of mean E2E over that with independent requests.

    Requests in the same queue are delayed together. If all, or none, of them met their objectives, only their
    latencies show how many of them count as one independent trial.
    """
    samples = [summary.e2e_s for summary in summaries if summary.e2e_s is not None]
    means = [sample.mean for sample in samples if sample.mean is not None]
    within = [
        sample.variance_s2 / sample.n
        for sample in samples
        if sample.mean is not None and sample.variance_s2 is not None
    ]
    if len(means) < 2 or len(within) < len(means) or not sum(within):
        return 1.0
    return max(1.0, float(np.var(means, ddof=1)) / (math.fsum(within) / len(within)))


def _difference(
    name: str,
    metrics: Mapping[int, Mapping[str, float | None]],
    against: Mapping[int, Mapping[str, float | None]],
    confidence: float,
) -> Difference | None:
    """Return a metric's difference paired by replication, over replications with two finite values."""
    pairs = [
        (value, base)
        for replication in sorted(metrics.keys() & against.keys())
        if (value := metrics[replication][name]) is not None
        and (base := against[replication][name]) is not None
        and math.isfinite(value)
        and math.isfinite(base)
    ]
    return paired_difference([value for value, _ in pairs], [base for _, base in pairs], confidence)
