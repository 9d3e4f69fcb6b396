"""Intervals cover what they promise, and pairing removes what strategies share."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from edgesim.errors import TraceError
from edgesim.statistics.comparison import Comparison, compare, paired_difference, student_t
from edgesim.statistics.summary import Distribution, Outcomes, Summary


def summary(strategy: str, replication: int, ttft_s: float | None, **other: object) -> Summary:
    """Make a summary in which only one number matters."""
    sample = None if ttft_s is None else Distribution(n=1, mean=ttft_s, p50=ttft_s, p95=ttft_s, p99=ttft_s)
    base = Summary(
        strategy=strategy,
        replication=replication,
        warmup_s=0.0,
        ended_at_s=1.0,
        outcomes=Outcomes(completed=1, failed=0, censored=0),
        ttft_s=sample,
        tpot_s=None,
        itl_s=None,
        e2e_s=None,
        output_tokens_per_s=1.0,
        requests_per_s=1.0,
        goodput_per_s=None,
        attainment=None,
        active_j_per_token=1.0,
        total_j_per_token=2.0,
        utilisation={"edge": 0.5},
        origins=("measured",),
    )
    return replace(base, **other)


def test_interval_is_the_textbook_one() -> None:
    # 4, 6, 8: mean 6, standard deviation 2; with two degrees of freedom t(p) = (2p - 1) / sqrt(2 p (1 - p)).
    t = 0.95 / math.sqrt(2 * 0.975 * 0.025)
    estimate = student_t([4.0, 6.0, 8.0])
    assert estimate is not None
    assert (estimate.n, estimate.mean) == (3, 6.0)
    assert estimate.half_width == pytest.approx(t * 2 / math.sqrt(3), rel=1e-12)
    assert estimate.interval == pytest.approx((6 - 4.968275, 6 + 4.968275), abs=1e-6)


@pytest.mark.parametrize("confidence", [0.8, 0.95])
def test_intervals_cover_the_truth_as_often_as_they_say(confidence: float) -> None:
    rng, n_runs, truth = np.random.default_rng(5), 1000, 3.0
    samples = rng.normal(truth, 2.0, (n_runs, 5))
    estimates = [student_t(sample.tolist(), confidence) for sample in samples]
    n_covering = sum(abs(estimate.mean - truth) <= estimate.half_width for estimate in estimates)
    low, high = stats.binom(n_runs, confidence).interval(0.9999)
    assert low <= n_covering <= high


def test_normal_quantiles_would_not_cover_which_is_why_it_is_students_t() -> None:
    rng, n_runs = np.random.default_rng(5), 1000
    samples = rng.normal(0.0, 1.0, (n_runs, 5))
    covering = np.abs(samples.mean(axis=1)) <= 1.96 * stats.sem(samples, axis=1)
    assert covering.sum() < stats.binom(n_runs, 0.95).interval(0.9999)[0]


def test_one_replication_has_no_interval_and_none_has_no_estimate() -> None:
    one = student_t([2.0])
    assert one is not None
    assert (one.half_width, one.interval) == (None, None)
    assert student_t([]) is None
    lone = paired_difference([3.0], [2.0])
    assert lone is not None
    assert (lone.mean, lone.half_width, lone.excludes_zero) == (1.0, None, None)


def test_paired_difference_is_scipys_paired_t() -> None:
    a, b = [1.0, 2.0, 3.5, 4.0], [0.5, 1.8, 2.0, 4.4]
    difference = paired_difference(a, b)
    interval = stats.ttest_rel(a, b).confidence_interval(0.95)
    assert difference is not None
    assert difference.interval == pytest.approx((interval.low, interval.high), rel=1e-12)
    assert difference.relative == pytest.approx((sum(a) - sum(b)) / sum(b), rel=1e-12)
    assert difference.excludes_zero == (stats.ttest_rel(a, b).pvalue < 0.05)


def test_pairing_finds_a_difference_that_shared_randomness_hides() -> None:
    # Replications differ by about 10, strategies by 1: only differences within replications show it.
    rng = np.random.default_rng(0)
    shared = rng.normal(100.0, 10.0, 8)
    a, b = shared + rng.normal(1.0, 0.1, 8), shared + rng.normal(0.0, 0.1, 8)
    paired = paired_difference(a.tolist(), b.tolist())
    unpaired = stats.ttest_ind(a, b).confidence_interval(0.95)
    assert paired is not None
    assert paired.excludes_zero
    assert unpaired.low < 0 < unpaired.high
    assert 2 * paired.half_width < (unpaired.high - unpaired.low) / 10


def test_equal_runs_differ_by_nothing_and_not_significantly() -> None:
    difference = paired_difference([1.0, 2.0], [1.0, 2.0])
    assert difference is not None
    assert (difference.mean, difference.half_width, difference.excludes_zero) == (0.0, 0.0, False)


def test_a_reference_of_zero_has_no_relative_difference() -> None:
    difference = paired_difference([1.0, 2.0], [0.0, 0.0])
    assert difference is not None
    assert difference.relative is None


def comparison() -> Comparison:
    return compare(
        [
            summary("local", 1, 4.0),
            summary("local", 0, 2.0),
            summary("pipeline", 0, 1.0, outcomes=Outcomes(completed=3, failed=1, censored=2)),
            summary("pipeline", 1, 2.0, utilisation={"edge": 0.7, "camera": 0.1}, origins=("scaled",)),
        ]
    )


def test_rows_keep_the_order_of_the_strategies_and_the_first_is_the_reference() -> None:
    local, pipeline = comparison().rows
    assert (local.strategy, pipeline.strategy) == ("local", "pipeline")
    assert local.replications == (0, 1)
    assert local.differences == {}
    difference = pipeline.differences["ttft_mean_s"]
    assert difference is not None
    assert (difference.n, difference.mean) == (2, -1.5)
    assert difference.relative == -0.5


def test_differences_are_paired_by_replication_not_by_order_of_arrival() -> None:
    difference = comparison().rows[1].differences["ttft_mean_s"]
    assert difference is not None
    # Within replications -1 and -2: half-width t(0.975, 1) * 0.5.
    assert difference.half_width == pytest.approx(stats.t.ppf(0.975, 1) * 0.5, rel=1e-12)


def test_outcomes_add_up_and_origins_unite_over_replications() -> None:
    pipeline = comparison().rows[1]
    assert pipeline.outcomes == Outcomes(completed=4, failed=1, censored=2)
    assert pipeline.origins == ("measured", "scaled")


def test_utilisation_is_estimated_by_group() -> None:
    utilisation = comparison().rows[1].utilisation
    assert list(utilisation) == ["camera", "edge"]
    assert utilisation["edge"] is not None
    assert utilisation["edge"].mean == pytest.approx(0.6, rel=1e-15)
    assert utilisation["camera"] is not None
    assert utilisation["camera"].n == 1


def test_a_metric_missing_from_a_replication_is_averaged_over_the_others_and_says_so() -> None:
    rows = compare(
        [summary("a", 0, 2.0), summary("a", 1, None), summary("b", 0, 3.0), summary("b", 1, 5.0)]
    ).rows
    estimate, difference = rows[0].estimates["ttft_mean_s"], rows[1].differences["ttft_mean_s"]
    assert estimate is not None
    assert (estimate.n, estimate.mean) == (1, 2.0)
    assert difference is not None
    assert (difference.n, difference.mean) == (1, 1.0)
    assert rows[0].estimates["tpot_mean_s"] is None


def test_replications_that_only_one_strategy_has_are_not_paired() -> None:
    rows = compare([summary("a", 0, 2.0), summary("b", 0, 3.0), summary("b", 1, 50.0)]).rows
    difference = rows[1].differences["ttft_mean_s"]
    assert difference is not None
    assert (difference.n, difference.mean) == (1, 1.0)


def test_a_replication_given_twice_is_refused() -> None:
    with pytest.raises(TraceError, match="replication 0 twice"):
        compare([summary("a", 0, 1.0), summary("a", 0, 1.0)])


def test_nothing_compares_to_nothing() -> None:
    assert compare([]).rows == ()
