"""Strategies over replications: an interval for every metric, and differences taken within replications."""

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

_DONE = 0.99  # of the requests are answered where the arrivals set the rate


@dataclass(frozen=True, slots=True)
class RatioLimit:
    """A geometric mean over replications that the ratio cannot exceed, or (`is_least`) not fall below."""

    ratio: float
    is_least: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One strategy over all its replications. Outcomes are sums; a metric defined in none of them is None.

    Attributes
    ----------
    estimates
        By metric; None also where requests without a known end leave it unknown in any replication.
    bounds
        What those are at least: the mean over replications of the value, or of its bound.
    differences
        To the first strategy, over replications.
    ratio_limits
        What the ratio is at most, or at least, where one of the two is unknown and only bounded.
    same_requests
        To the first strategy, request by request; None for the first, or where pairs were not given.
    attainment_bounds
        Mean attainment if all requests that are undecided miss, and if all meet; None without objectives.
    is_saturated
        Whether the number in flight keeps growing: demand exceeds capacity.
    is_rate_set_by_arrivals
        Whether the strategy answers all that is asked, however much it could: rates are then the
        arrivals', and energy with idling per token falls as more is asked.
    is_batch
        Whether requests come (nearly) all at once, in any replication: rates are then over the time until
        the last has ended.
    values
        By metric and replication, where they are finite: what rows are paired by.
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
    """All strategies, in the order in which they came; differences are to the first."""

    rows: tuple[Row, ...]
    confidence: float


def compare(
    summaries: Iterable[Summary], pairs: Iterable[Pairs] = (), confidence: float = CONFIDENCE
) -> Comparison:
    """Gather replications by strategy, in order of first appearance, and compare each to the first.

    A metric that is undefined in some replications is averaged over the others, and its ``n`` says so. One
    that requests without a known end leave unknown in some is unknown: those are its worst replications.

    Parameters
    ----------
    pairs
        Each strategy's requests against those of the first, a replication at a time.
    """
    by_strategy: dict[str, dict[int, Summary]] = {}
    for summary in summaries:
        runs = by_strategy.setdefault(summary.strategy, {})
        if summary.replication in runs:
            raise TraceError(
                f"comparison: strategy {summary.strategy} has replication {summary.replication} twice; "
                "expected each once: pass the summaries of one experiment only"
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
    """Pair a metric of any two strategies by replication; None where no replication has both."""
    values, against = row.values.get(name, {}), reference.values.get(name, {})
    paired = sorted(values.keys() & against.keys())
    return paired_difference([values[each] for each in paired], [against[each] for each in paired])


def _is_steady(summary: Summary) -> bool:
    """Whether load is offered over a stretch of time, whatever the strategy's speed."""
    window = summary.window
    return summary.is_load_fixed and window is not None and window.length_s > 0 and not window.is_batch


def _ratio_limit(
    name: str, summaries: Sequence[Summary], reference: Mapping[int, Summary]
) -> RatioLimit | None:
    """Bound the ratio of a metric that is unknown on one side in any replication; None if on both."""
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
    """Mean over replications of each metric that has a bound in any."""
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
    """Return a metric's mean over replications with the interval of its own scale; None without values.

    Parameters
    ----------
    n_trials
        For a share, of how many independent trials it is.
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
    """How many times as much the means of E2E scatter as those of independent requests would (Kish 1965).

    Requests that meet the same queue are late together. Where all met their objectives, or none, only their
    latencies show how many of them count as one.
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
    """Pair by replication; one that lacks the metric on either side, or has NaN, is left out."""
    pairs = [
        (value, base)
        for replication in sorted(metrics.keys() & against.keys())
        if (value := metrics[replication][name]) is not None
        and (base := against[replication][name]) is not None
        and math.isfinite(value)
        and math.isfinite(base)
    ]
    return paired_difference([value for value, _ in pairs], [base for _, base in pairs], confidence)
