"""Strategies over replications: Student-t intervals, and differences taken within replications."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from edgesim.errors import TraceError
from edgesim.statistics.summary import ORIGINS, Outcomes, Summary

__all__ = [
    "Comparison",
    "Difference",
    "Estimate",
    "Row",
    "compare",
    "paired_difference",
    "student_t",
]

CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over replications with its Student-t interval; no half-width where n < 2 leaves it undefined."""

    n: int
    mean: float
    half_width: float | None

    @property
    def interval(self) -> tuple[float, float] | None:
        """Lower and upper end."""
        return None if self.half_width is None else (self.mean - self.half_width, self.mean + self.half_width)


@dataclass(frozen=True, slots=True)
class Difference(Estimate):
    """A mean difference to the reference strategy, taken replication by replication.

    ``relative`` is the difference over the reference's mean in the same replications (None where that is 0).
    """

    relative: float | None

    @property
    def excludes_zero(self) -> bool | None:
        """Whether the interval leaves zero out; None without an interval."""
        if self.half_width is None:
            return None
        return abs(self.mean) > self.half_width


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One strategy over all its replications. Outcomes are sums; a metric defined in none of them is None."""

    strategy: str
    replications: tuple[int, ...]
    outcomes: Outcomes
    estimates: Mapping[str, Estimate | None]
    differences: Mapping[str, Difference | None]
    utilisation: Mapping[str, Estimate | None]
    origins: tuple[str, ...]
    n_stuck: int = 0
    n_beyond: int = 0


@dataclass(frozen=True, slots=True)
class Comparison:
    """All strategies, in the order in which they came; differences are to the first."""

    rows: tuple[Row, ...]
    confidence: float


def student_t(values: Sequence[float], confidence: float = CONFIDENCE) -> Estimate | None:
    """Return the mean with its two-sided Student-t interval; None without values.

    One value has no interval: a single replication says nothing of how replications scatter.
    """
    if len(values) == 0:
        return None
    mean = math.fsum(values) / len(values)
    return Estimate(len(values), mean, _half_width(values, confidence))


def paired_difference(
    values: Sequence[float], reference: Sequence[float], confidence: float = CONFIDENCE
) -> Difference | None:
    """Return the mean of ``values - reference``, pair by pair, with its paired Student-t interval."""
    differences = [value - against for value, against in zip(values, reference, strict=True)]
    if not differences:
        return None
    n, base = len(differences), math.fsum(reference) / len(reference)
    mean = math.fsum(differences) / n
    return Difference(n, mean, _half_width(differences, confidence), mean / base if base else None)


def compare(summaries: Iterable[Summary], confidence: float = CONFIDENCE) -> Comparison:
    """Gather replications by strategy, in order of first appearance, and compare each to the first.

    A metric that is undefined in some replications is averaged over the others, and its ``n`` says so.
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
    reference = next(iter(by_strategy.values()), {})
    rows = [
        _row(runs, reference if runs is not reference else {}, confidence) for runs in by_strategy.values()
    ]
    return Comparison(tuple(rows), confidence)


def _half_width(values: Sequence[float], confidence: float) -> float | None:
    if len(values) < 2:
        return None
    n = len(values)
    standard_error = float(np.std(values, ddof=1)) / math.sqrt(n)
    # stdtrit is Student t's quantile; scipy.stats says the same, and takes a second to import.
    return float(stdtrit(n - 1, (1 + confidence) / 2)) * standard_error


def _row(runs: Mapping[int, Summary], reference: Mapping[int, Summary], confidence: float) -> Row:
    ordered = [runs[replication] for replication in sorted(runs)]
    metrics = {summary.replication: summary.metrics() for summary in ordered}
    against = {replication: summary.metrics() for replication, summary in reference.items()}
    names = list(ordered[0].metrics())

    def estimate(values: Iterable[float | None]) -> Estimate | None:
        return student_t([value for value in values if value is not None], confidence)

    return Row(
        strategy=ordered[0].strategy,
        replications=tuple(metrics),
        outcomes=sum((summary.outcomes for summary in ordered), Outcomes(completed=0, failed=0, censored=0)),
        estimates={name: estimate(numbers[name] for numbers in metrics.values()) for name in names},
        differences={name: _difference(name, metrics, against, confidence) for name in names if against},
        utilisation={
            group: estimate(summary.utilisation.get(group) for summary in ordered)
            for group in sorted({group for summary in ordered for group in summary.utilisation})
        },
        origins=tuple(o for o in ORIGINS if any(o in summary.origins for summary in ordered)),
        n_stuck=sum(summary.n_stuck for summary in ordered),
        n_beyond=sum(summary.n_beyond for summary in ordered),
    )


def _difference(
    name: str,
    metrics: Mapping[int, Mapping[str, float | None]],
    against: Mapping[int, Mapping[str, float | None]],
    confidence: float,
) -> Difference | None:
    """Pair by replication; one that lacks the metric on either side is left out."""
    pairs = [
        (value, base)
        for replication in sorted(metrics.keys() & against.keys())
        if (value := metrics[replication][name]) is not None
        and (base := against[replication][name]) is not None
    ]
    return paired_difference([value for value, _ in pairs], [base for _, base in pairs], confidence)
