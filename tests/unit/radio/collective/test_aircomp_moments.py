"""Which errors of analog sums have a mean: closed forms, tails that are drawn, and growing samples."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy.special import exp1, stdtrit

from edgesim.errors import InputError
from edgesim.planning.transceiver import designer
from edgesim.radio.channel.fading_law import Nakagami, NoFading, Rayleigh, Rician
from edgesim.radio.channel.mimo import RicianMatrices
from edgesim.radio.collective.aircomp_moments import fade_exponent, has_mean_error
from edgesim.radio.collective.aircomp_simple import (
    channel_inversion,
    least_error_inversion,
    truncated_inversion,
    uncoded_fdma_mse,
)

RAYLEIGH = Rayleigh()


def channels(n_draws: int, n: int, n_receive: int, n_transmit: int, k_db: float = -math.inf) -> Any:
    """[draw, device, receive, transmit]"""
    each = [
        RicianMatrices(key=key + 1, n_receive=n_receive, n_transmit=n_transmit, k_db=k_db) for key in range(n)
    ]
    return np.stack([matrices.matrices(np.arange(n_draws)) for matrices in each], axis=1)


@pytest.mark.parametrize(
    ("law", "facts", "k"),
    [
        (RAYLEIGH, {}, 1.0),
        (Rician(20.0), {}, 1.0),
        (Nakagami(0.5), {}, 0.5),
        (Nakagami(2.5), {}, 2.5),
        (Nakagami(0.5), {"n_receive": 3}, 1.5),
        (RAYLEIGH, {"n_receive": 2}, 2.0),
        (RAYLEIGH, {"n_receive": 2, "n_transmit": 2}, 4.0),
        (RAYLEIGH, {"n_receive": 2, "n_transmit": 2, "n_streams": 2}, 1.0),
        (RAYLEIGH, {"n_receive": 20, "n_transmit": 4, "n_streams": 4}, 17.0),
        (NoFading(), {}, math.inf),
    ],
)
def test_exponents_by_hand(law: Any, facts: dict[str, int], k: float) -> None:
    assert fade_exponent(law, **facts) == k
    assert has_mean_error("uncoded_fdma", law, **facts) == (k > 1)


def test_what_has_no_exponent_is_refused() -> None:
    with pytest.raises(InputError, match="3 streams between 2 and 4 antennas"):
        fade_exponent(RAYLEIGH, n_receive=4, n_transmit=2, n_streams=3)
    with pytest.raises(InputError, match="nakagami"):
        fade_exponent(Nakagami(2.0), n_receive=2, n_transmit=2, n_streams=2)


def test_a_band_of_its_own_has_the_mean_of_the_inverse_gain() -> None:
    """One stream from one antenna to r: E[1 / |h|^2] = 1 / (r - 1) for r >= 2, the inverse gamma's mean."""
    n_draws, n_batches = 8_000, 20
    for n_receive in (3, 4):
        drawn = channels(n_draws, 1, n_receive, 1)
        errors = np.array([uncoded_fdma_mse(each, np.ones(1), 1.0, 1) for each in drawn])
        means = errors.reshape(n_batches, -1).mean(axis=1)
        half = float(stdtrit(n_batches - 1, 0.9999)) * means.std(ddof=1) / math.sqrt(n_batches)
        assert abs(means.mean() - 1 / (n_receive - 1)) < half


@pytest.mark.parametrize("n_devices", [1, 5])
def test_inverting_rayleigh_the_mean_grows_by_the_same_with_every_decade(n_devices: int) -> None:
    """The least of n exponential gains is exponential; cut at gains below x, the mean is n E1(n x).

    E1(n x) = -ln x - ln n - Euler's constant + n x - ...: each decade of draws, of which the least gain is a
    tenth, adds n ln 10 for ever. A median is n / ln 2 at any number.
    """
    cut_at = 10.0 ** -np.arange(2, 9)
    means = []
    for least in cut_at:
        edges = np.geomspace(least, 60.0, 4001)
        gains = np.sqrt(edges[1:] * edges[:-1])
        errors = np.array(
            [channel_inversion(np.full(n_devices, g), np.ones(n_devices), 1.0).mse for g in gains]
        )
        chances = np.exp(-n_devices * edges[:-1]) - np.exp(-n_devices * edges[1:])
        means.append(float(errors @ chances))
    np.testing.assert_allclose(means, n_devices * exp1(n_devices * cut_at), rtol=2e-3)
    assert np.diff(means)[-1] == pytest.approx(n_devices * math.log(10), rel=2e-3)
    assert not has_mean_error("channel-inversion", RAYLEIGH, n_devices=n_devices)
    middle = channel_inversion(np.full(n_devices, math.log(2) / n_devices), np.ones(n_devices), 1.0).mse
    assert middle == pytest.approx(n_devices / math.log(2))


def test_a_sample_of_growing_size_settles_in_its_median_and_not_in_its_mean() -> None:
    """Twenty samples of each size: means keep growing, by 2 ln 10 a decade; medians settle at 2 / ln 2."""
    generator = np.random.default_rng(5)

    def told(n: int) -> tuple[float, float]:
        gains = generator.exponential(size=(20, n, 2))
        errors = 1.0 / gains.min(axis=2)
        assert channel_inversion(gains[0, 0], np.ones(2), 1.0).mse == pytest.approx(errors[0, 0])
        return float(np.median(errors.mean(axis=1))), float(np.median(np.median(errors, axis=1)))

    (few_mean, few_median), (many_mean, many_median) = told(100), told(100_000)
    assert many_mean - few_mean > 0.5 * 2 * math.log(1000)
    # The median of n has a relative standard error of 1 / (ln 2 sqrt(n)), and there are twenty of them.
    for median, n in ((few_median, 100), (many_median, 100_000)):
        assert median == pytest.approx(2 / math.log(2), rel=4 * 1.2533 / (math.log(2) * math.sqrt(20 * n)))


@pytest.mark.parametrize("law", [RAYLEIGH, Rician(6.0), Nakagami(0.5)])
def test_a_threshold_or_the_least_error_bounds_the_error(law: Any) -> None:
    assert has_mean_error("truncated-inversion", law, threshold=0.1)
    assert not has_mean_error("truncated-inversion", law, threshold=0.0)
    assert has_mean_error("least-error", law)
    gains = np.array([1e-12, 1.0, 3.0])
    assert truncated_inversion(gains, np.ones(3), 1.0, 0.1).mse <= 1 + 1 / 0.1
    assert least_error_inversion(gains, np.ones(3), 1.0).mse <= 3


def test_nakagami_is_milder_than_rayleigh_above_1_only() -> None:
    """E[1 / g] of Gamma(m, 1/m) is m / (m - 1)."""
    assert [has_mean_error("channel-inversion", Nakagami(m)) for m in (0.5, 1.0, 1.01, 3.0)] == [
        False,
        False,
        True,
        True,
    ]


def tail_exponent(errors: Any, cut: float) -> tuple[float, float]:
    """Hill's estimate of k from the errors above a quantile, and its standard error k / sqrt(n)."""
    above = np.sort(errors)[-int(cut * len(errors)) :]
    k = 1 / float(np.mean(np.log(above[1:] / above[0])))
    return k, k / math.sqrt(len(above) - 1)


@pytest.mark.parametrize(
    ("name", "n", "n_receive", "n_transmit", "n_streams", "k_db"),
    [
        ("subspace", 3, 6, 2, 2, -math.inf),
        ("subspace", 3, 2, 1, 1, -math.inf),
        ("subspace", 3, 6, 2, 2, 3.0),
        ("subspace", 1, 3, 2, 2, -math.inf),
        pytest.param("first-order", 3, 2, 1, 1, -math.inf, marks=pytest.mark.slow),
        pytest.param("first-order", 2, 2, 2, 2, -math.inf, marks=pytest.mark.slow),
    ],
)
def test_common_combiners_have_the_tail_that_their_antennas_say(
    name: Any, n: int, n_receive: int, n_transmit: int, n_streams: int, k_db: float
) -> None:
    """Exponents of 1, whose means are infinite, and of 2 or more, by Hill's estimate of the tail.

    It has a bias, for a tail is a power of t only in its end: half the way between the two, sqrt(2), has to
    be two of its standard errors away.
    """
    facts = {"n_receive": n_receive, "n_transmit": n_transmit, "n_streams": n_streams}
    drawn = channels(8_000 if name == "subspace" else 3_000, n, n_receive, n_transmit, k_db)
    design = designer(name)
    alphas = np.array([design(each, np.ones(n), n_streams, None).alpha for each in drawn])
    k, error = tail_exponent(alphas, 0.02 if name == "subspace" else 0.05)
    is_finite = has_mean_error(name, RAYLEIGH, n_devices=n, **facts)
    assert k - 2 * error > math.sqrt(2) if is_finite else k + 2 * error < math.sqrt(2)
