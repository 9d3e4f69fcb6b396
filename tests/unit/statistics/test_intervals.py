"""Intervals stay inside what is possible and cover what they promise, and pairing removes what is shared."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from scipy import special, stats

from edgesim.statistics.intervals import (
    Scale,
    estimate_mean,
    paired_difference,
    paired_ratio,
    student_t,
)

N_RUNS = 1000


def covering(n_covering: int, confidence: float = 0.95) -> bool:
    """Whether so many of the runs is what binomial chance allows."""
    low, high = stats.binom(N_RUNS, confidence).interval(0.9999)
    return low <= n_covering <= high


def n_covering(samples: np.ndarray, truth: float, scale: Scale, **options: float) -> int:
    found = [estimate_mean(sample.tolist(), scale, **options) for sample in samples]
    return sum(each is not None and each.low <= truth <= each.high for each in found)


def test_interval_is_the_textbook_one() -> None:
    # 4, 6, 8: mean 6, standard deviation 2; with two degrees of freedom t(p) = (2p - 1) / sqrt(2 p (1 - p)).
    t = 0.95 / math.sqrt(2 * 0.975 * 0.025)
    estimate = student_t([4.0, 6.0, 8.0])
    assert estimate is not None
    assert (estimate.n, estimate.mean) == (3, 6.0)
    half_width = t * 2 / math.sqrt(3)
    assert estimate.interval == pytest.approx((6 - half_width, 6 + half_width), rel=1e-12)


@pytest.mark.parametrize("confidence", [0.8, 0.95])
@pytest.mark.parametrize("scale", list(Scale)[:2])
def test_means_cover_the_truth_as_often_as_they_say(confidence: float, scale: Scale) -> None:
    rng, truth = np.random.default_rng(5), 3.0
    samples = rng.normal(truth, 0.4, (N_RUNS, 5))
    assert covering(n_covering(samples, truth, scale, confidence=confidence), confidence)


def test_the_log_scale_covers_the_arithmetic_mean_which_the_mean_logarithm_does_not() -> None:
    """Gamma replications with a coefficient of variation of 0.35, as of a loaded queue."""
    samples = np.random.default_rng(2).gamma(8.0, 1 / 8, (N_RUNS, 20))
    assert covering(n_covering(samples, 1.0, Scale.LOG))
    logs = np.log(samples)
    half = stats.t.ppf(0.975, 19) * logs.std(axis=1, ddof=1) / math.sqrt(20)
    assert not covering(int((np.abs(logs.mean(axis=1)) <= half).sum()))


def test_normal_quantiles_would_not_cover_which_is_why_it_is_students_t() -> None:
    samples = np.random.default_rng(5).normal(0.0, 1.0, (N_RUNS, 5))
    assert not covering(int((np.abs(samples.mean(axis=1)) <= 1.96 * stats.sem(samples, axis=1)).sum()))


@pytest.mark.parametrize("n_replications", [5, 20])
@pytest.mark.parametrize("share", [0.01, 0.5, 0.99])
def test_attainment_covers_the_truth_near_0_near_1_and_between(n_replications: int, share: float) -> None:
    """Each replication has a chance of its own; the truth is its mean, by Gauss and Hermite."""
    rng, scatter, n_requests = np.random.default_rng(11), 0.3, 1000
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    truth = special.expit(special.logit(share) + scatter * nodes) @ weights / weights.sum()
    chances = special.expit(special.logit(share) + scatter * rng.normal(size=(N_RUNS, n_replications)))
    samples = rng.binomial(n_requests, chances) / n_requests
    assert covering(n_covering(samples, truth, Scale.LOGIT, n_trials=n_requests * n_replications))


@pytest.mark.parametrize("n", [2, 5, 20])
@pytest.mark.parametrize("ends", [(0.0, 0.02), (0.9, 1.0), (0.0, 1.0), (0.4, 0.6)])
def test_a_shares_interval_never_leaves_0_to_1(n: int, ends: tuple[float, float]) -> None:
    values = np.linspace(*ends, n).tolist()
    estimate = estimate_mean(values, Scale.LOGIT)
    assert estimate is not None
    assert 0 <= estimate.low < estimate.mean < estimate.high <= 1
    # Symmetric on the logit scale, as Wilson's interval is (Newcombe 1998).
    low, mean, high = special.logit([estimate.low, estimate.mean, estimate.high])
    assert high - mean == pytest.approx(mean - low, rel=1e-9)


def test_a_share_that_is_1_in_all_replications_is_not_certain() -> None:
    estimate = estimate_mean([1.0] * 5, Scale.LOGIT, n_trials=1000)
    assert estimate is not None
    assert estimate.high == 1.0
    # Wilson's own end: n / (n + z²).
    z2 = stats.norm.ppf(0.975) ** 2
    assert estimate.low == pytest.approx(1000 / (1000 + z2), rel=1e-12)
    mirrored = estimate_mean([0.0] * 5, Scale.LOGIT, n_trials=1000)
    assert mirrored is not None
    assert (mirrored.low, mirrored.high) == (0.0, pytest.approx(1 - estimate.low, rel=1e-9))


@pytest.mark.parametrize(("share", "n"), [(0.1, 40), (0.5, 12), (0.975, 200)])
def test_a_share_that_is_the_same_in_all_replications_has_wilsons_interval(share: float, n: int) -> None:
    """Against scipy's closed form, with the normal quantile: no scatter was estimated."""
    exact = stats.binomtest(round(share * n), n).proportion_ci(0.95, method="wilson")
    for n_replications in (2, 5):
        estimate = estimate_mean([share] * n_replications, Scale.LOGIT, n_trials=n)
        assert estimate is not None
        assert estimate.interval == pytest.approx((exact.low, exact.high), rel=1e-9)


def test_a_positive_means_interval_stays_positive_where_students_does_not() -> None:
    values = [0.1, 0.2, 3.0]
    linear, log = student_t(values), estimate_mean(values, Scale.LOG)
    assert linear is not None
    assert log is not None
    assert linear.low < 0 < log.low < log.mean < log.high
    assert log.low * log.high == pytest.approx(log.mean**2, rel=1e-12)


def test_what_was_zero_in_all_replications_has_no_interval_and_perplexity_ends_at_1() -> None:
    none = estimate_mean([0.0, 0.0], Scale.LOG)
    assert none is not None
    assert (none.mean, none.interval) == (0.0, None)
    perplexity = estimate_mean([1.001, 1.2], Scale.LOG, least=1.0)
    assert perplexity is not None
    assert perplexity.low == 1.0


def test_one_replication_has_no_interval_and_none_has_no_estimate() -> None:
    for scale in Scale:
        one = estimate_mean([0.5], scale)
        assert one is not None
        assert (one.mean, one.interval) == (0.5, None)
        assert estimate_mean([], scale) is None
    lone = paired_difference([3.0], [2.0])
    assert lone is not None
    assert (lone.mean, lone.interval, lone.differs) == (1.0, None, None)
    assert lone.ratio is not None
    assert (lone.ratio.ratio, lone.ratio.low) == (pytest.approx(1.5), None)


def test_paired_ratio_is_scipys_paired_t_of_logarithms() -> None:
    a, b = [1.0, 2.0, 3.5, 4.0], [0.5, 1.8, 2.0, 4.4]
    ratio = paired_ratio(a, b)
    tested = stats.ttest_rel(np.log(a), np.log(b))
    interval = tested.confidence_interval(0.95)
    assert ratio is not None
    assert (ratio.low, ratio.high) == pytest.approx((math.exp(interval.low), math.exp(interval.high)))
    assert ratio.ratio == pytest.approx(stats.gmean(np.divide(a, b)), rel=1e-12)
    assert ratio.excludes_one == (tested.pvalue < 0.05)


def test_a_ratios_interval_knows_that_loads_are_shared() -> None:
    """Means of 28 s that scatter by a quarter over replications, against 0.6 s that scatter with them."""
    rng = np.random.default_rng(1)
    load = np.exp(rng.normal(0, 0.25, 5))
    difference = paired_difference(
        (0.6 * load).tolist(), (28 * load * np.exp(rng.normal(0, 0.02, 5))).tolist()
    )
    assert difference is not None
    assert difference.ratio is not None
    low, ratio, high = difference.ratio.low, difference.ratio.ratio, difference.ratio.high
    assert low < 0.6 / 28 < high < 1.06 * low
    assert ratio == pytest.approx(math.sqrt(low * high), rel=1e-12)
    # What used to be printed: the half-width of the difference over a fixed mean.
    half_width = (difference.high - difference.low) / 2
    assert half_width / (28 * load).mean() > 5 * (high - low)


def test_paired_difference_is_scipys_paired_t() -> None:
    a, b = [1.0, 2.0, 3.5, 4.0], [0.5, 1.8, 2.0, 4.4]
    difference = paired_difference(a, b)
    interval = stats.ttest_rel(a, b).confidence_interval(0.95)
    assert difference is not None
    assert difference.interval == pytest.approx((interval.low, interval.high), rel=1e-12)
    assert difference.excludes_zero == (stats.ttest_rel(a, b).pvalue < 0.05)


def test_pairing_finds_a_difference_that_shared_randomness_hides() -> None:
    # Replications differ by about 10, strategies by 1: only ratios within replications show it.
    rng = np.random.default_rng(0)
    shared = rng.normal(100.0, 10.0, 8)
    a, b = shared + rng.normal(1.0, 0.1, 8), shared + rng.normal(0.0, 0.1, 8)
    paired = paired_difference(a.tolist(), b.tolist())
    unpaired = stats.ttest_ind(a, b).confidence_interval(0.95)
    assert paired is not None
    assert paired.differs
    assert paired.excludes_zero
    assert unpaired.low < 0 < unpaired.high


def test_equal_runs_differ_by_nothing_and_not_significantly() -> None:
    difference = paired_difference([1.0, 2.0], [1.0, 2.0])
    assert difference is not None
    assert (difference.mean, difference.interval, difference.differs) == (0.0, (0.0, 0.0), False)
    assert difference.ratio is not None
    assert (difference.ratio.low, difference.ratio.high) == (1.0, 1.0)


@pytest.mark.parametrize(
    ("values", "reference", "reason"),
    [
        ([1.0, 2.0, 3.0], [0.0, 0.0, 1.0], "zero in 2 of 3 replications"),
        ([0.0, 2.0], [1.0, 1.0], "zero in 1 of 2 replications"),
        ([-1.0, 2.0], [1.0, 1.0], "negative in 1 of 2 replications"),
    ],
)
def test_zero_and_negative_metrics_have_a_difference_and_say_why_no_ratio(
    values: list[float], reference: list[float], reason: str
) -> None:
    difference = paired_difference(values, reference)
    assert difference is not None
    assert (difference.ratio, difference.no_ratio) == (None, reason)
    assert difference.differs == difference.excludes_zero


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("paired", [paired_difference, paired_ratio])
def test_pairs_with_a_number_that_is_none_are_refused(
    paired: Callable[[list[float], list[float]], object], wrong: float
) -> None:
    for values, reference in (([1.0, wrong], [1.0, 1.0]), ([1.0, 1.0], [1.0, wrong])):
        with pytest.raises(ValueError, match=rf"number 1 is {wrong}; expected finite"):
            paired(values, reference)


def test_what_has_no_ratio_is_refused_with_its_reason() -> None:
    with pytest.raises(ValueError, match=r"found -2\.0; expected positive"):
        paired_ratio([1.0, 2.0], [1.0, -2.0])
    assert paired_ratio([], []) is None


@pytest.mark.parametrize(("value", "against"), [(1e-308, 1e308), (1e308, 1e-308), (5e-324, 1.0)])
def test_a_ratio_beyond_what_a_float_holds_is_finite_and_on_its_side_of_1(
    value: float, against: float
) -> None:
    ratio = paired_ratio([value] * 2, [against] * 2)
    assert ratio is not None
    assert 0 < ratio.low <= ratio.ratio <= ratio.high < math.inf
    assert (ratio.ratio > 1) == (value > against)
    assert ratio.excludes_one


@pytest.mark.parametrize("n_replications", [5, 20])
def test_ratios_cover_the_truth(n_replications: int) -> None:
    rng = np.random.default_rng(3)
    shared = rng.normal(0, 0.4, (N_RUNS, n_replications))
    a = np.exp(shared + rng.normal(-3, 0.1, shared.shape))
    b = np.exp(shared + rng.normal(0, 0.1, shared.shape))
    found = [paired_ratio(one.tolist(), two.tolist()) for one, two in zip(a, b, strict=True)]
    assert covering(sum(each is not None and each.low <= math.exp(-3) <= each.high for each in found))
