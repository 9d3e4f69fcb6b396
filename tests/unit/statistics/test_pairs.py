"""The same requests under two strategies: paired by number, clustered, and silent where few pair."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats
from trace_tables import devices_table, requests_table

from edgesim.statistics import RequestLatencies, compare, pair, same_requests, summarise
from edgesim.statistics.pairs import PairedMetric, Pairs


def lives(ids: list[int], times_s: list[float], **options: float) -> RequestLatencies:
    """Requests that arrive a second apart; NaN is censored."""
    arrived = np.array(ids, float)
    ends = np.where(np.isnan(times_s), np.inf, arrived + np.array(times_s))
    table = requests_table(arrived, ends, first_s=arrived + np.array(times_s) / 2, seen_until_s=1e6)
    return RequestLatencies.of(table.assign(request_id=ids), **options)


def test_requests_are_paired_by_number_and_only_if_both_completed() -> None:
    one = lives([3, 1, 2, 5], [6.0, 2.0, math.nan, 1.0])
    two = lives([1, 2, 3, 4], [4.0, 1.0, 3.0, 1.0])
    found = pair("b", one, "a", two, replication=7)
    assert (found.n_requests, found.n_pairs) == (5, 2)  # 1 to 5; both completed 1 and 3
    metric = found.metrics["e2e_s"]
    assert metric.difference_s == ((2 - 4) + (6 - 3)) / 2
    assert metric.log_ratio == pytest.approx(0.0, abs=1e-15)  # ln(2 / 4) + ln(6 / 3)
    assert metric.sooner == 0.5
    assert found.metrics["ttft_s"].difference_s == metric.difference_s / 2


def test_requests_outside_the_window_are_not_paired() -> None:
    one = lives([1, 2, 3, 4], [1.0] * 4, warmup_s=2.0, horizon_s=4.0)
    assert one.request_id.tolist() == [2, 3]


def test_a_latency_of_zero_has_a_difference_and_no_ratio() -> None:
    found = pair("b", lives([1, 2], [0.0, 1.0]), "a", lives([1, 2], [1.0, 1.0]), replication=0)
    same = same_requests([found, found])
    assert found.metrics["e2e_s"].log_ratio is None
    assert same is not None
    assert same.differences["e2e_s"].ratio is None
    assert same.differences["e2e_s"].no_ratio == "zero in 2 of 2 replications"


def test_nothing_in_common_is_no_comparison() -> None:
    found = pair("b", lives([1], [1.0]), "a", lives([2], [1.0]), replication=0)
    same = same_requests([found])
    assert same is not None
    assert (same.n_pairs, same.n_requests, same.share, same.differences) == (0, 2, 0.0, {})
    assert same.differs("e2e_s") is None
    assert same_requests([]) is None


def pairs_of(metrics: list[PairedMetric], n_requests: int = 100, n_pairs: int = 100) -> list[Pairs]:
    return [
        Pairs(
            strategy="b",
            reference="a",
            replication=number,
            n_requests=n_requests,
            n_pairs=n_pairs,
            metrics={"e2e_s": metric},
        )
        for number, metric in enumerate(metrics)
    ]


def test_intervals_are_over_replications() -> None:
    logs, differences = [-0.2, -0.3, -0.25], [-1.0, -3.0, -2.0]
    metrics = [PairedMetric(d, log, 0.9) for d, log in zip(differences, logs, strict=True)]
    same = same_requests(pairs_of(metrics))
    assert same is not None
    found = same.differences["e2e_s"]
    t = stats.t.ppf(0.975, 2)
    assert found.interval == pytest.approx((-2 - t / math.sqrt(3), -2 + t / math.sqrt(3)))
    assert found.ratio is not None
    half = t * 0.05 / math.sqrt(3)
    assert found.ratio.low == pytest.approx(math.exp(-0.25 - half))
    assert same.differs("e2e_s")


@pytest.mark.parametrize(("n_pairs", "verdict"), [(95, True), (94, None)])
def test_under_95_percent_of_pairs_there_is_no_verdict(n_pairs: int, verdict: bool | None) -> None:
    metrics = [PairedMetric(-1.0, log, 1.0) for log in (-0.2, -0.21, -0.22)]
    same = same_requests(pairs_of(metrics, n_pairs=n_pairs))
    assert same is not None
    assert same.differs("e2e_s") is verdict


def test_clustered_intervals_cover_where_intervals_over_requests_do_not() -> None:
    """Requests of a replication share its luck; 1,000 experiments of 5 replications of 200 requests."""
    rng, n_runs, truth = np.random.default_rng(4), 1000, -0.1
    luck = rng.normal(truth, 0.05, (n_runs, 5, 1))
    logs = luck + rng.normal(0.0, 0.3, (n_runs, 5, 200))
    n_clustered = n_over_requests = 0
    for run in logs:
        same = same_requests(pairs_of([PairedMetric(0.0, float(log), 0.5) for log in run.mean(axis=1)]))
        assert same is not None
        ratio = same.differences["e2e_s"].ratio
        assert ratio is not None
        n_clustered += ratio.low <= math.exp(truth) <= ratio.high
        n_over_requests += abs(run.mean() - truth) <= 1.96 * stats.sem(run.ravel())
    low, high = stats.binom(n_runs, 0.95).interval(0.9999)
    assert low <= n_clustered <= high
    assert n_over_requests < 0.7 * n_runs


def test_a_pipeline_that_answers_19_of_5280_beats_nothing() -> None:
    """At once, what it answers; the rest never."""
    summaries, pairs = [], []
    for replication in range(3):
        rng = np.random.default_rng(replication)
        arrived = np.sort(rng.uniform(0, 600, 5280))
        local = requests_table(arrived, arrived + rng.gamma(2.0, 0.5, 5280), seen_until_s=700.0)
        ends = np.where(np.arange(5280) < 19, arrived + 0.01, np.inf)
        pipeline = requests_table(arrived, ends, seen_until_s=700.0)
        for name, table in (("local", local), ("pipeline", pipeline)):
            summaries.append(
                summarise(
                    table, devices_table(700.0), None, strategy=name, replication=replication, horizon_s=600.0
                )
            )
        here, there = (RequestLatencies.of(table, horizon_s=600.0) for table in (pipeline, local))
        pairs.append(pair("pipeline", here, "local", there, replication=replication))
    local_row, row = compare(summaries, pairs).rows
    assert row.outcomes.completed == 3 * 19
    for metric in ("ttft_mean_s", "ttft_p50_s", "e2e_mean_s", "e2e_p50_s", "e2e_p99_s"):
        assert row.estimates[metric] is None
        assert row.differences[metric] is None
        assert row.bounds[metric] > 300
    assert row.is_saturated
    assert not local_row.is_saturated
    same = row.same_requests
    assert same is not None
    assert same.n_pairs == 3 * 19
    assert same.differences["e2e_s"].ratio.high < 0.1
    assert same.differs("e2e_s") is None
