"""Length laws against their moments, their clipping and an independent sum."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from edgesim.errors import InputError
from edgesim.rng import Streams
from edgesim.workload.lengths import Fixed, Lengths, Lognormal, Uniform

N = 200_000
Z = float(stats.norm.ppf(1 - 0.5e-4))  # 99.99 % two-sided

LAWS: list[Lengths] = [
    Fixed(7),
    Uniform(3, 12),
    Lognormal(median=64, sigma=0.6),
    Lognormal(median=64, sigma=0.6, max=128),
    Lognormal(median=1.2, sigma=1.0),
    Lognormal(median=50, sigma=1.5, min=20, max=1000),
    Lognormal(median=9.6, sigma=0.0),
]


def draw(law: Lengths, n: int = N) -> np.ndarray:
    return law.draw(Streams(11)["lengths"], n)


@pytest.mark.parametrize("law", LAWS, ids=str)
def test_drawn_mean_is_the_stated_mean(law: Lengths) -> None:
    lengths = draw(law)
    assert lengths.mean() == pytest.approx(law.mean, abs=Z * lengths.std() / math.sqrt(N) + 1e-9)


@pytest.mark.parametrize("law", LAWS, ids=str)
def test_lengths_are_whole_positive_and_within_bounds(law: Lengths) -> None:
    lengths = draw(law)
    assert lengths.dtype == np.int64
    assert lengths.min() >= 1
    assert law.longest is None or lengths.max() <= law.longest


def test_uniform_draws_both_ends_and_all_between_equally_often() -> None:
    values, counts = np.unique(draw(Uniform(3, 12)), return_counts=True)
    assert values.tolist() == list(range(3, 13))
    assert stats.chisquare(counts).pvalue > 1e-3


def test_lognormal_has_the_stated_coefficient_of_variation() -> None:
    sigma = 0.3
    lengths = draw(Lognormal(median=2000, sigma=sigma))
    cv = math.sqrt(math.exp(sigma**2) - 1)
    # Bootstrap-free bound: delta method with the sample's own fourth moment.
    kurtosis = stats.kurtosis(lengths, fisher=False)
    relative = math.sqrt((kurtosis - 1) / N) / 2 + cv / math.sqrt(N)
    assert lengths.std() / lengths.mean() == pytest.approx(cv, rel=Z * relative)


def test_lognormal_is_lognormal_by_kolmogorov_smirnov() -> None:
    # At a median of a million the rounding (half a token) is far below the test's resolution.
    lengths = draw(Lognormal(median=1e6, sigma=0.8), 20_000)
    assert stats.kstest(lengths, stats.lognorm(0.8, scale=1e6).cdf).pvalue > 1e-3


@pytest.mark.parametrize(
    "law",
    [
        Lognormal(median=100, sigma=1.0, max=200),
        Lognormal(median=30, sigma=1.2, min=10, max=500),
        Lognormal(median=1e6, sigma=2.0, max=3_000_000),
        Lognormal(median=7, sigma=3.0, max=200_000),
    ],
    ids=str,
)
def test_mean_is_the_sum_over_every_length(law: Lognormal) -> None:
    # Oracle: scipy's lognormal, mass of each whole length one by one.
    law_x = stats.lognorm(law.sigma, scale=law.median)
    lengths = np.arange(law.min, law.max + 1)
    mass = law_x.cdf(lengths + 0.5) - law_x.cdf(lengths - 0.5)
    mass[0] = law_x.cdf(law.min + 0.5)
    mass[-1] = law_x.sf(law.max - 0.5)
    assert law.mean == pytest.approx(float(mass @ lengths), rel=1e-9)


def test_clipped_fractions_are_those_of_the_law_and_of_the_draws() -> None:
    law = Lognormal(median=64, sigma=0.6, min=32, max=128)
    law_x = stats.lognorm(0.6, scale=64)
    assert law.fraction_above_max == pytest.approx(law_x.sf(128.5), rel=1e-12)
    assert law.fraction_below_min == pytest.approx(law_x.cdf(31.5), rel=1e-12)
    whole = draw(Lognormal(median=64, sigma=0.6))
    for stated, drawn in ((law.fraction_above_max, whole > 128), (law.fraction_below_min, whole < 32)):
        assert drawn.mean() == pytest.approx(stated, abs=Z * math.sqrt(stated * (1 - stated) / N))


def test_clipping_moves_the_tail_to_the_bound_and_redraws_nothing() -> None:
    whole, clipped = Lognormal(median=64, sigma=0.6), Lognormal(median=64, sigma=0.6, min=20, max=128)
    assert draw(clipped).tolist() == np.clip(draw(whole), 20, 128).tolist()


def test_an_unbounded_lognormal_clips_nothing_above() -> None:
    assert Lognormal(median=64, sigma=0.6).fraction_above_max == 0.0


@pytest.mark.parametrize(
    "make",
    [
        lambda: Fixed(0),
        lambda: Uniform(0, 3),
        lambda: Uniform(5, 4),
        lambda: Lognormal(median=0, sigma=1),
        lambda: Lognormal(median=math.nan, sigma=1),
        lambda: Lognormal(median=8, sigma=-0.1),
        lambda: Lognormal(median=8, sigma=40),
        lambda: Lognormal(median=8, sigma=1, min=0),
        lambda: Lognormal(median=8, sigma=1, min=9, max=8),
    ],
)
def test_impossible_laws_are_refused(make) -> None:
    with pytest.raises(InputError, match="expected"):
        make()
