"""Paired comparison of two strategies request by request, clustered by replication."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd

from edgesim.statistics.intervals import (
    CONFIDENCE,
    Difference,
    Estimate,
    Scale,
    estimate_mean,
    ratio_of_logs,
    student_t,
)
from edgesim.statistics.window import counted

__all__ = ["ENOUGH", "PairedMetric", "Pairs", "RequestLatencies", "SameRequests", "pair", "same_requests"]

FloatArray: TypeAlias = npt.NDArray[np.float64]

ENOUGH = 0.95
"""Least share of requests that must form pairs; those that a strategy does not complete bias the rest."""


@dataclass(frozen=True, slots=True)
class RequestLatencies:
    """Latencies of the counted requests of one run, in order of their ids; NaN if not completed."""

    request_id: npt.NDArray[np.int64]
    latencies_s: Mapping[str, FloatArray]

    @classmethod
    def of(
        cls, requests: pd.DataFrame, *, warmup_s: float = 0.0, horizon_s: float | None = None
    ) -> RequestLatencies:
        """Compute the latencies from the trace's table of requests."""
        arrived_at_s = requests["arrived_at_s"].to_numpy(np.float64)
        is_counted = counted(arrived_at_s, warmup_s, horizon_s)
        request_id = requests["request_id"].to_numpy(np.int64)[is_counted]
        order = np.argsort(request_id)
        completed = (requests["outcome"] == "completed").to_numpy(np.bool_)

        def latency_s(column: str) -> FloatArray:
            taken_s = requests[column].to_numpy(np.float64, na_value=np.nan) - arrived_at_s
            return np.where(completed, taken_s, np.nan)[is_counted][order]

        return cls(
            request_id[order], {"ttft_s": latency_s("first_token_at_s"), "e2e_s": latency_s("ended_at_s")}
        )


@dataclass(frozen=True, slots=True)
class PairedMetric:
    """Means over the pairs of one replication for one latency; no mean log ratio if a latency is zero."""

    difference_s: float
    log_ratio: float | None
    sooner: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairs:
    """Comparison of two strategies in one replication, over the requests that both completed.

    Attributes
    ----------
    n_requests
        Number of requests that count under either strategy.
    n_pairs
        Number of requests that both completed.
    metrics
        Means by latency; empty without pairs.
    """

    strategy: str
    reference: str
    replication: int
    n_requests: int
    n_pairs: int
    metrics: Mapping[str, PairedMetric]


@dataclass(frozen=True, slots=True, kw_only=True)
class SameRequests:
    """Comparison of a strategy with the reference request by request, over all replications.

    Attributes
    ----------
    differences
        By latency: mean difference, and geometric mean of the ratios of each request's two latencies. All
        replications have equal weight. Since the requests of a replication are dependent, their number does
        not narrow the interval.
    sooner
        By latency: share of requests that took less time than under the reference.
    """

    n_requests: int
    n_pairs: int
    differences: Mapping[str, Difference]
    sooner: Mapping[str, Estimate]

    @property
    def share(self) -> float:
        """Share of requests that both strategies completed."""
        return self.n_pairs / self.n_requests if self.n_requests else 0.0

    @property
    def is_enough(self) -> bool:
        """Whether enough requests form pairs for the comparison to represent all of them."""
        return self.share >= ENOUGH

    def differs(self, latency: str) -> bool | None:
        """Whether the two strategies differ in a latency; None without an interval or enough pairs."""
        difference = self.differences.get(latency)
        return None if difference is None or not self.is_enough else difference.differs


def pair(
    strategy: str, lives: RequestLatencies, reference: str, others: RequestLatencies, *, replication: int
) -> Pairs:
    """Pair the requests of two strategies in the same replication by their ids."""
    _, here, there = np.intersect1d(
        lives.request_id, others.request_id, assume_unique=True, return_indices=True
    )
    n_requests = lives.request_id.size + others.request_id.size - here.size
    both = ~(np.isnan(lives.latencies_s["e2e_s"][here]) | np.isnan(others.latencies_s["e2e_s"][there]))
    here, there = here[both], there[both]
    metrics = {
        name: _means(values_s[here], others.latencies_s[name][there])
        for name, values_s in lives.latencies_s.items()
        if here.size
    }
    return Pairs(
        strategy=strategy,
        reference=reference,
        replication=replication,
        n_requests=n_requests,
        n_pairs=here.size,
        metrics=metrics,
    )


def _means(values_s: FloatArray, others_s: FloatArray) -> PairedMetric:
    is_positive = bool(values_s.min() > 0 and others_s.min() > 0)
    return PairedMetric(
        float((values_s - others_s).mean()),
        float((np.log(values_s) - np.log(others_s)).mean()) if is_positive else None,
        float((values_s < others_s).mean()),
    )


def same_requests(pairs: Sequence[Pairs], confidence: float = CONFIDENCE) -> SameRequests | None:
    """Combine the pairs of one strategy over replications; None without any."""
    if not pairs:
        return None
    known = [each for each in pairs if each.metrics]
    names = list(known[0].metrics) if known else []
    n_pairs = sum(each.n_pairs for each in pairs)
    return SameRequests(
        n_requests=sum(each.n_requests for each in pairs),
        n_pairs=n_pairs,
        differences={name: _difference([each.metrics[name] for each in known], confidence) for name in names},
        sooner={
            name: estimate
            for name in names
            if (
                estimate := estimate_mean(
                    [each.metrics[name].sooner for each in known], Scale.LOGIT, confidence, n_trials=n_pairs
                )
            )
            is not None
        },
    )


def _difference(means: Sequence[PairedMetric], confidence: float) -> Difference:
    mean = student_t([each.difference_s for each in means], confidence)
    assert mean is not None
    logs = [each.log_ratio for each in means if each.log_ratio is not None]
    if len(logs) < len(means):
        return Difference(
            mean.n,
            mean.mean,
            mean.low,
            mean.high,
            None,
            f"zero in {len(means) - len(logs)} of {mean.n} replications",
        )
    return Difference(mean.n, mean.mean, mean.low, mean.high, ratio_of_logs(logs, confidence))
