"""Percentiles with requests that were cut off or failed, against SciPy, numpy and the papers' slow loops."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from edgesim.statistics.survival import Distribution, met_share, percentiles

LEVELS = (0.0, 0.1, 0.5, 0.9, 0.95, 0.99, 1.0)


def kaplan_meier(times: np.ndarray, is_end: np.ndarray) -> list[tuple[float, float]]:
    """Each end's time and the share that ended by then, one distinct time after the other (1958, eq. 2b)."""
    survival, shares = 1.0, []
    for time in sorted(set(times)):
        n_at_risk, n_ends = int((times >= time).sum()), int(((times == time) & is_end).sum())
        survival *= 1 - n_ends / n_at_risk
        shares += [(time, 1 - survival)] * (n_ends > 0)
    return shares


@pytest.mark.parametrize("n", [1, 2, 5, 100, 999])
def test_where_all_is_known_they_are_numpys(n: int) -> None:
    values = np.random.default_rng(n).exponential(size=n)
    expected = np.percentile(values, [100 * level for level in LEVELS])
    assert percentiles(values, np.empty(0), 0, LEVELS) == expected.tolist()


@pytest.mark.parametrize(("n", "n_never"), [(1, 1), (19, 1), (20, 1), (100, 5), (100, 6), (3, 100)])
def test_failed_requests_take_longer_than_any(n: int, n_never: int) -> None:
    """Numpy's percentiles with a number so large that any share of it shows."""
    values = np.random.default_rng(n).exponential(size=n)
    expected = np.percentile(
        np.concatenate([values, np.full(n_never, 1e12)]), [100 * level for level in LEVELS]
    )
    for found, exact in zip(percentiles(values, np.empty(0), n_never, LEVELS), expected, strict=True):
        assert (found is None) == (exact > 1e6)
        assert found is None or found == pytest.approx(exact, rel=1e-12)


@pytest.mark.parametrize("seed", range(20))
def test_with_requests_cut_off_they_are_kaplan_and_meiers(seed: int) -> None:
    """At each end the share is SciPy's and the slow loop's; between two ends it rises in a line."""
    rng = np.random.default_rng(seed)
    latency, age = rng.exponential(1.0, 200).round(2) + 0.01, rng.uniform(0.2, 3.0, 200).round(2)
    is_end = latency <= age
    values, censored, n_never = latency[is_end], age[~is_end], seed % 3
    never = np.full(n_never, 99.0)
    shares = kaplan_meier(
        np.concatenate([np.minimum(latency, age), never]), np.concatenate([is_end, np.zeros(n_never, bool)])
    )
    known = stats.ecdf(stats.CensoredData(uncensored=values, right=np.concatenate([censored, never]))).cdf
    n = values.size + censored.size + n_never
    for time, share in shares:
        assert share == pytest.approx(float(known.evaluate(time)), rel=1e-9)
        (found,) = percentiles(values, censored, n_never, [(n * share - 1) / (n - 1)])
        assert found == pytest.approx(time, rel=1e-9)
    last = shares[-1][1]
    levels = np.linspace(0, (n * last - 1) / (n - 1), 50)[:-1]
    found = percentiles(values, censored, n_never, levels.tolist())
    assert (np.diff(found) >= 0).all()  # type: ignore[arg-type]
    if last < 0.99:
        assert percentiles(values, censored, n_never, [0.999]) == [None]


def test_the_order_of_an_end_and_a_cut_at_the_same_time_is_kaplan_and_meiers() -> None:
    # Of three, one ends and one is cut off at 1 s: the one cut off was still at risk, and a third has ended.
    distribution = Distribution.of(np.array([1.0, 2.0]), np.array([1.0]))
    assert distribution is not None
    assert percentiles(np.array([1.0, 2.0]), np.array([1.0]), 0, [0.0, 1.0]) == [1.0, 2.0]


def test_a_distribution_gives_bounds_for_what_it_does_not_know() -> None:
    distribution = Distribution.of(np.array([1.0, 2.0, 3.0]), np.array([6.0]), n_never=1)
    assert distribution is not None
    assert (distribution.n, distribution.n_censored, distribution.n_never) == (5, 1, 1)
    assert (distribution.mean, distribution.mean_at_least) == (None, 3.0)
    assert (distribution.p50, distribution.p95, distribution.longest_s) == (3.0, None, 6.0)
    assert Distribution.of(np.empty(0)) is None
    never = Distribution.of(np.empty(0), n_never=2)
    assert never is not None
    assert (never.p50, never.mean_at_least, never.longest_s) == (None, None, None)


def test_completed_latencies_alone_flatter_and_kaplan_and_meiers_do_not() -> None:
    """Exponential latencies, each seen for a time of its own; the truth is known."""
    rng = np.random.default_rng(8)
    latency, age = rng.exponential(1.0, 100_000), rng.uniform(0.0, 5.0, 100_000)
    seen = latency[latency <= age]
    found = percentiles(seen, age[latency > age], 0, [0.5, 0.95])
    assert found == pytest.approx([np.log(2), np.log(20)], rel=0.02)
    assert np.percentile(seen, 95) < 0.9 * np.log(20)


@pytest.mark.parametrize("seed", range(10))
def test_the_share_within_a_limit_is_kaplan_and_meiers_at_it(seed: int) -> None:
    rng, limit = np.random.default_rng(seed), 1.5
    latency, age = rng.exponential(1.0, 100), rng.uniform(0.0, 4.0, 100)
    is_end = latency <= age
    met = is_end & (latency <= limit)
    undecided = ~is_end & (age <= limit)
    missed = ~met & ~undecided
    share, (low, high) = met_share(latency[met], np.full(int(missed.sum()), limit), age[undecided])
    by_the_limit = [part for time, part in kaplan_meier(np.minimum(latency, age), is_end) if time <= limit]
    assert share == pytest.approx(by_the_limit[-1], rel=1e-12)
    assert low == met.mean()
    assert high == (met | undecided).mean()
    assert low <= share <= high


def test_where_the_oldest_are_undecided_a_share_is_only_bounded() -> None:
    assert met_share(np.array([1.0]), np.array([2.0]), np.array([3.0])) == (None, (1 / 3, 2 / 3))
    assert met_share(np.array([1.0]), np.array([2.0]), np.empty(0)) == (0.5, (0.5, 0.5))
    assert met_share(np.empty(0), np.empty(0), np.empty(0))[0] is None
