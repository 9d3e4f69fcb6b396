"""Outages against the availability of alternating renewal processes, and schedules by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from edgesim.errors import InputError
from edgesim.radio.motion.outages import AnyOutages, RandomOutages, ScheduledOutages
from edgesim.rng import key_of

N = 2000
SHAPES = [(1.0, 1.0), (2.5, 1.0), (0.7, 3.0)]


def alternations(**facts):
    return [RandomOutages(key_of("outages", i), 100.0, 25.0, **facts) for i in range(N)]


@pytest.mark.parametrize(("up", "down"), SHAPES)
@pytest.mark.parametrize("at_s", [0.0, 40.0, 1000.0])
def test_availability_is_mtbf_over_mtbf_plus_mttr_at_any_instant(up: float, down: float, at_s: float) -> None:
    n_up = sum(not one.down(at_s) for one in alternations(up_shape=up, down_shape=down))
    assert stats.binomtest(n_up, N, 100.0 / 125.0).pvalue > 1e-5


@pytest.mark.parametrize(("up", "down"), SHAPES)
def test_times_follow_their_laws(up: float, down: float) -> None:
    one = RandomOutages(key_of("long"), 100.0, 25.0, up, down)
    at_s = one.next_up(one.next_down(0.0))
    lasts_s = []
    for _ in range(1000):
        failed_at_s = one.next_down(at_s)
        mended_at_s = one.next_up(failed_at_s)
        lasts_s.append((failed_at_s - at_s, mended_at_s - failed_at_s))
        at_s = mended_at_s
    for told_s, mean_s, shape in zip(np.transpose(lasts_s), (100.0, 25.0), (up, down), strict=True):
        law = stats.weibull_min(shape, scale=mean_s / math.gamma(1 + 1 / shape))
        assert law.mean() == pytest.approx(mean_s)
        assert stats.kstest(told_s, law.cdf).pvalue > 1e-5


@pytest.mark.parametrize("shape", [0.7, 1.0, 2.5])
def test_the_first_failure_comes_as_the_residual_life_does(shape: float) -> None:
    # The residual life of a renewal process in its steady state has the density (1 - F(x)) / mean.
    outages = alternations(up_shape=shape)
    first_s = [one.next_down(0.0) for one in outages if not one.down(0.0)]
    law = stats.weibull_min(shape, scale=100.0 / math.gamma(1 + 1 / shape))
    grid_s = np.linspace(0.0, 5000.0, 200_001)
    grid_p = np.concatenate([[0.0], np.cumsum(law.sf((grid_s[1:] + grid_s[:-1]) / 2)) * grid_s[1] / 100.0])
    assert stats.kstest(first_s, lambda x: np.interp(x, grid_s, grid_p)).pvalue > 1e-5


def test_one_that_starts_as_new_starts_up() -> None:
    outages = alternations(starts_up=True)
    assert not any(one.down(0.0) for one in outages)
    assert stats.kstest([one.next_down(0.0) for one in outages], stats.expon(scale=100.0).cdf).pvalue > 1e-5


def test_outages_are_the_same_in_whatever_order_they_are_asked() -> None:
    one, other = RandomOutages(5, 10.0, 2.0), RandomOutages(5, 10.0, 2.0)
    instants = np.random.default_rng(1).uniform(0.0, 5000.0, 200)
    assert [one.down(t) for t in instants] == [other.down(t) for t in instants[::-1]][::-1]


def test_windows_are_half_open_and_merge() -> None:
    outages = ScheduledOutages([(8.0, 9.0), (1.0, 3.0), (3.0, 4.0), (20.0, math.inf)])
    assert outages.windows_s == ((1.0, 4.0), (8.0, 9.0), (20.0, math.inf))
    assert [outages.down(t) for t in (0.0, 1.0, 3.5, 4.0, 8.5, 9.0, 1e9)] == [
        False,
        True,
        True,
        False,
        True,
        False,
        True,
    ]
    assert [outages.next_down(t) for t in (0.0, 1.0, 2.0, 4.0, 9.0)] == [1.0, 1.0, 2.0, 8.0, 20.0]
    assert [outages.next_up(t) for t in (0.0, 1.0, 3.0, 4.0, 20.0)] == [0.0, 4.0, 4.0, 4.0, math.inf]
    assert ScheduledOutages([]).next_down(0.0) == math.inf


def test_any_of_several_takes_it_down() -> None:
    both = AnyOutages([ScheduledOutages([(1.0, 3.0), (9.0, math.inf)]), ScheduledOutages([(2.0, 5.0)])])
    assert [both.down(t) for t in (0.5, 2.5, 4.0, 5.0, 10.0)] == [False, True, True, False, True]
    assert [both.next_down(t) for t in (0.0, 4.0, 5.0)] == [1.0, 4.0, 9.0]
    assert [both.next_up(t) for t in (0.0, 1.0, 4.0, 9.0)] == [0.0, 5.0, 5.0, math.inf]
    assert AnyOutages([]).next_down(3.0) == math.inf


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(InputError, match="an end after it"):
        ScheduledOutages([(3.0, 3.0)])
    with pytest.raises(InputError, match="mtbf"):
        RandomOutages(1, 0.0, 1.0)
    with pytest.raises(InputError, match="up_shape"):
        RandomOutages(1, 1.0, 1.0, up_shape=-1.0)
