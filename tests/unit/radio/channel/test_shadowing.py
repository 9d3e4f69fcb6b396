"""Shadowing and line-of-sight fields against the Gaussian law and the exponential autocorrelation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from edgesim.errors import InputError
from edgesim.radio.channel.path_loss.environments import UrbanMicro
from edgesim.radio.channel.shadowing import N_WAVES, LosField, ShadowField
from edgesim.rng import key_of, link_key

# 99.99 % two-sided: with the fixed keys below a failure means a wrong field, not bad luck.
Z = float(stats.norm.ppf(1 - 0.5e-4))
N = 6000
SIGMA_DB, CORRELATION_M = 7.82, 13.0


def over_links(x_m: list[float], y_m: list[float]) -> np.ndarray:
    """Shadowing of N links at the same places, [link, place]."""
    places = np.array(x_m), np.array(y_m)
    return np.array([ShadowField(key_of(1, i), SIGMA_DB, CORRELATION_M).at(*places) for i in range(N)])


def test_shadowing_over_links_is_gaussian_with_the_models_sigma() -> None:
    shadow_db = over_links([120.0], [-45.0])[:, 0]
    # A sum of n waves of random phase differs from a Gaussian by its excess kurtosis, -1.5 / n: to first
    # order its distribution is off by at most 1.5 / n / 24 x 0.55 (Edgeworth). Kolmogorov's quantile at 1e-4
    # is 2.2252.
    allowed = 2.2252 / math.sqrt(N) + 1.5 / N_WAVES / 24 * 0.55
    assert stats.kstest(shadow_db, stats.norm(0.0, SIGMA_DB).cdf).statistic < allowed
    assert shadow_db.mean() == pytest.approx(0.0, abs=Z * SIGMA_DB / math.sqrt(N))
    # Relative error of a sample variance: sqrt((kurtosis - 1) / n), at most that of a Gaussian.
    assert shadow_db.var() == pytest.approx(SIGMA_DB**2, rel=Z * math.sqrt(2 / N))


def test_shadowing_over_links_decorrelates_exponentially_in_every_direction() -> None:
    moved = [
        (d * math.cos(a), d * math.sin(a)) for d in (1.0, 6.5, 13.0, 26.0, 60.0) for a in (0.0, 1.0, 4.0)
    ]
    x_m, y_m = [50.0] + [50.0 + dx for dx, _ in moved], [80.0] + [80.0 + dy for _, dy in moved]
    shadow_db = over_links(x_m, y_m)
    for place, (dx, dy) in enumerate(moved, start=1):
        expected = math.exp(-math.hypot(dx, dy) / CORRELATION_M)
        # Fisher's transform of a correlation is normal with variance 1 / (n - 3).
        found = np.corrcoef(shadow_db[:, 0], shadow_db[:, place])[0, 1]
        assert math.atanh(found) == pytest.approx(math.atanh(expected), abs=Z / math.sqrt(N - 3))


def test_with_both_ends_moving_the_correlation_is_the_product_over_the_ends() -> None:
    pairs = np.empty((N, 2))
    for i in range(N):
        field = ShadowField(key_of(2, i), SIGMA_DB, CORRELATION_M)
        pairs[i] = field.at(10.0, 20.0, 3.0, 4.0), field.at(15.0, 20.0, 3.0, 12.0)
    found = np.corrcoef(pairs.T)[0, 1]
    expected = math.exp(-5.0 / CORRELATION_M) * math.exp(-8.0 / CORRELATION_M)
    assert math.atanh(found) == pytest.approx(math.atanh(expected), abs=Z / math.sqrt(N - 3))


def test_along_one_track_the_autocorrelation_is_exponential() -> None:
    # Every user of one link sees a single field. Tracks far apart are nearly independent pieces of it;
    # Student's t over them, for the product at a lag (mean 0 and sigma known).
    field = ShadowField(key_of(3), SIGMA_DB, CORRELATION_M)
    along_m = np.arange(0.0, 400.0, 1.0)
    tracks = [field.at(along_m + 977.0 * i, np.full(along_m.shape, 1009.0 * (i % 17))) for i in range(200)]
    for lag in (3, 13, 26):
        products = [(track[:-lag] * track[lag:]).mean() / SIGMA_DB**2 for track in tracks]
        allowed = stats.t.ppf(1 - 0.5e-4, 199) * np.std(products, ddof=1) / math.sqrt(200)
        assert np.mean(products) == pytest.approx(math.exp(-lag / CORRELATION_M), abs=allowed)


def test_a_place_has_one_shadow_however_often_and_in_whatever_order_it_is_asked_for() -> None:
    field = ShadowField(key_of(4), SIGMA_DB, CORRELATION_M)
    x_m, y_m = np.linspace(-300, 300, 61), np.linspace(200, -100, 61)
    forward = [field.at(float(x), float(y)) for x, y in zip(x_m, y_m, strict=True)]
    fresh = ShadowField(key_of(4), SIGMA_DB, CORRELATION_M)
    backward = [fresh.at(float(x), float(y)) for x, y in zip(x_m[::-1], y_m[::-1], strict=True)]
    assert forward == backward[::-1]
    assert field.at(x_m, y_m).tolist() == pytest.approx(forward, abs=1e-12)
    assert type(forward[0]) is float


def test_shadowing_is_the_same_in_both_directions_and_differs_between_links() -> None:
    there = ShadowField(link_key(1, 0, "user", "cell", "shadow"), 4.0, 10.0)
    back = ShadowField(link_key(1, 0, "cell", "user", "shadow"), 4.0, 10.0)
    other = ShadowField(link_key(1, 0, "user", "cell 2", "shadow"), 4.0, 10.0)
    assert there.at(3.0, 4.0) == back.at(3.0, 4.0) != other.at(3.0, 4.0)


def test_without_spread_there_is_no_shadow() -> None:
    field = ShadowField(key_of(5), 0.0, math.inf)
    assert field.at(1.0, 2.0) == 0.0
    assert field.at(np.ones(3), np.ones(3)).tolist() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("distance_m", [30.0, 60.0, 200.0])
def test_the_share_of_places_in_line_of_sight_is_the_models_probability(distance_m: float) -> None:
    probability = UrbanMicro().los_probability(distance_m, station_height_m=10.0, terminal_height_m=1.5)
    fields = [LosField(key_of(6, i), 50.0) for i in range(N)]
    n_los = sum(field.is_los(distance_m, 0.0, probability) for field in fields)
    # Exact binomial, but for the field's kurtosis (at most 0.0006 of the distribution, as above).
    low, high = stats.binom.ppf([0.5e-4, 1 - 0.5e-4], N, [probability - 0.0006, probability + 0.0006])
    assert low <= n_los <= high


def test_neighbours_share_their_line_of_sight_as_a_gaussian_copula_says() -> None:
    # P(both in sight) = bivariate normal orthant at correlation exp(-25 / 50).
    probability = 0.4
    fields = [LosField(key_of(7, i), 50.0) for i in range(N)]
    both = sum(f.is_los(0.0, 10.0, probability) and f.is_los(0.0, 35.0, probability) for f in fields)
    rho = math.exp(-0.5)
    quantile = stats.norm.ppf(probability)
    joint = float(stats.multivariate_normal([0, 0], [[1, rho], [rho, 1]]).cdf([quantile, quantile]))
    low, high = stats.binom.ppf([0.5e-4, 1 - 0.5e-4], N, [joint - 0.0012, joint + 0.0012])
    assert low <= both <= high


def test_certainty_needs_no_field() -> None:
    field = LosField(key_of(8), math.inf)
    assert field.is_los(0.0, 0.0, 1.0) is True
    assert field.is_los(0.0, 0.0, 0.0) is False


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: ShadowField(1, -1.0, 10.0), "sigma is -1 dB"),
        (lambda: ShadowField(1, 4.0, 0.0), "correlation distance is 0 m"),
    ],
)
def test_mistakes_are_told(wrong: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        wrong()  # type: ignore[operator]
