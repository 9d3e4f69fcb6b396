"""Fading against closed forms: distributions, outage, capacity, Bessel autocorrelation, level crossings."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special, stats

from edgesim.errors import InputError
from edgesim.radio.channel.fading import (
    N_WAVES,
    BlockFading,
    FadingLaw,
    JakesFading,
    Nakagami,
    NoFading,
    Rayleigh,
    Rician,
    coherence_s,
    doppler_hz,
)
from edgesim.rng import key_of, keyed_uniforms, link_key

N = 100_000
# 99.99 % two-sided: with the fixed keys below a failure means a wrong law, not bad luck.
Z = float(stats.norm.ppf(1 - 0.5e-4))
KEY = key_of(1, 0, "link")
K_9_DB = 10**0.9

# Each law's distribution function of the power gain, from scipy, and the variance from the textbooks.
LAWS: dict[str, tuple[FadingLaw, Callable[[np.ndarray], np.ndarray], float]] = {
    "rayleigh": (Rayleigh(), stats.expon.cdf, 1.0),
    "rician 9 dB": (
        Rician(9.0),
        lambda g: stats.ncx2.cdf(2 * (K_9_DB + 1) * g, 2, 2 * K_9_DB),
        (1 + 2 * K_9_DB) / (1 + K_9_DB) ** 2,
    ),
    "rician 0 dB": (Rician(0.0), lambda g: stats.ncx2.cdf(4 * g, 2, 2), 3 / 4),
    "nakagami 0.5": (Nakagami(0.5), lambda g: stats.gamma.cdf(g, 0.5, scale=2.0), 2.0),
    "nakagami 1": (Nakagami(1.0), stats.expon.cdf, 1.0),
    "nakagami 4": (Nakagami(4.0), lambda g: stats.gamma.cdf(g, 4.0, scale=0.25), 0.25),
}
each_law = pytest.mark.parametrize(("law", "cdf", "variance"), LAWS.values(), ids=LAWS.keys())


@each_law
def test_block_gains_have_the_laws_distribution_mean_and_variance(
    law: FadingLaw, cdf: Callable[[np.ndarray], np.ndarray], variance: float
) -> None:
    gains = BlockFading(law, KEY, 0.01).gains(np.arange(N))
    assert stats.kstest(gains, cdf).pvalue > 1e-4
    assert gains.mean() == pytest.approx(1.0, abs=Z * math.sqrt(variance / N))
    # The sample variance's own error, from the sample's fourth moment.
    squares = (gains - 1.0) ** 2
    assert squares.mean() == pytest.approx(variance, abs=Z * squares.std() / math.sqrt(N))


@pytest.mark.parametrize("threshold", [0.01, 0.1, 0.5, 1.0, 3.0])
def test_rayleigh_outage_matches_its_closed_form(threshold: float) -> None:
    # P(gain x mean SNR < threshold) = 1 - exp(-threshold / mean SNR); exact binomial test.
    gains = BlockFading(Rayleigh(), KEY, 0.01).gains(np.arange(N))
    assert stats.binomtest(int((gains < threshold).sum()), N, -math.expm1(-threshold)).pvalue > 1e-4


@pytest.mark.parametrize(("snr_db", "published"), [(0, 0.8603), (10, 2.9065), (20, 5.8840), (30, 9.1436)])
def test_rayleigh_ergodic_capacity_matches_its_closed_form(snr_db: int, published: float) -> None:
    snr = 10 ** (snr_db / 10)
    closed = math.exp(1 / snr) * float(special.exp1(1 / snr)) / math.log(2)
    assert closed == pytest.approx(published, abs=5e-5)
    rates = np.log2(1 + snr * BlockFading(Rayleigh(), KEY, 0.01).gains(np.arange(N)))
    assert rates.mean() == pytest.approx(closed, abs=Z * rates.std() / math.sqrt(N))


def test_gains_of_different_blocks_and_links_are_uncorrelated() -> None:
    gains = BlockFading(Rayleigh(), KEY, 0.01).gains(np.arange(N))
    other = BlockFading(Rayleigh(), key_of(1, 0, "other"), 0.01).gains(np.arange(N))
    for one, two in ((gains[:-1], gains[1:]), (gains, other)):
        assert np.corrcoef(one, two)[0, 1] == pytest.approx(0.0, abs=Z / math.sqrt(N - 1))


def links(law: FadingLaw, n: int, times_s: list[float]) -> np.ndarray:
    """Gains of n links at the same instants, [link, instant]."""
    return np.array([JakesFading(law, key_of(2, n, i), 10.0).gains(np.array(times_s)) for i in range(n)])


@each_law
def test_jakes_gains_over_links_have_the_laws_distribution_and_mean(
    law: FadingLaw, cdf: Callable[[np.ndarray], np.ndarray], variance: float
) -> None:
    n = 4000
    gains = links(law, n, [1.23])[:, 0]
    # Laguerre expansion of a sum of N unit phasors: its distribution differs from Rayleigh's by
    # exp(-g) (g - g^2 / 2) / (2 N) to first order, at most 0.231 / (2 N); a direct path only dilutes that,
    # and a monotone map keeps it. Kolmogorov's quantile at 1e-4 is 2.2252.
    allowed = 2.2252 / math.sqrt(n) + 0.231 / (2 * N_WAVES)
    assert stats.kstest(gains, cdf).statistic < allowed
    # The same expansion's density is off by L2(g) / (2 N), and L2 has norm 1: by Cauchy and Schwarz,
    # Nakagami's map has a bias of at most the gain's standard deviation / (2 N). The other laws have none.
    bias = math.sqrt(variance) / (2 * N_WAVES) if isinstance(law, Nakagami) else 0.0
    assert gains.mean() == pytest.approx(1.0, abs=Z * math.sqrt(variance / n) + bias)


def test_the_autocorrelation_of_jakes_fading_over_links_is_bessels_j0() -> None:
    n, shift_hz = 4000, 10.0
    lags_s = np.array([0.0, 0.005, 0.01, 0.0239, 0.0383, 0.05, 0.0879, 0.2, 1.0])
    amplitudes = np.array(
        [JakesFading(Rayleigh(), key_of(3, i), shift_hz).scattered(7.7 + lags_s) for i in range(n)]
    )
    products = amplitudes[:, :1].conj() * amplitudes  # [link, lag]
    expected = special.j0(2 * math.pi * shift_hz * lags_s)
    errors = Z * products.std(axis=0) / math.sqrt(n) + 1e-12
    assert np.all(np.abs(products.mean(axis=0).real - expected) < errors)
    assert np.all(np.abs(products.mean(axis=0).imag) < errors)


def test_the_autocorrelation_of_one_link_over_time_is_bessels_j0() -> None:
    # One link has a mean of N waves in place of J0's integral, each at a random angle of its own N-th of
    # the circle: a wave's variance is at most (2 pi / N)^2 / 12 times the square of the slope, 2 pi shift
    # lag, and the waves are independent. The average over n nearly independent instants adds sqrt(2 / n).
    shift_hz, n = 10.0, 50_000
    times_s = np.arange(n) * 0.5 / shift_hz
    fading = JakesFading(Rayleigh(), KEY, shift_hz)
    for lag_s in (0.01, 0.0239, 0.0383, 0.05):
        found = (fading.scattered(times_s).conj() * fading.scattered(times_s + lag_s)).mean()
        slope = 2 * math.pi * shift_hz * lag_s
        error = slope * (2 * math.pi / N_WAVES) / math.sqrt(12 * N_WAVES)
        expected = float(special.j0(2 * math.pi * shift_hz * lag_s))
        assert found.real == pytest.approx(expected, abs=Z * (error + math.sqrt(2 / n)))


def test_a_rayleigh_jakes_channel_fades_as_often_as_rice_found() -> None:
    # Downward crossings of a level R times the root mean square, per second: sqrt(2 pi) f_D R exp(-R^2).
    # A sum of N waves crosses rarer by O(1/N), as its distribution does. Student's t over independent links.
    shift_hz, duration_s, level = 10.0, 20.0, 0.5
    times_s = np.arange(0.0, duration_s, 0.001)
    crossings = []
    for i in range(60):
        below = JakesFading(Rayleigh(), key_of(5, i), shift_hz).gains(times_s) < level**2
        crossings.append(int((below[1:] & ~below[:-1]).sum()))
    expected = math.sqrt(2 * math.pi) * shift_hz * level * math.exp(-(level**2)) * duration_s
    allowed = stats.t.ppf(1 - 0.5e-4, 59) * np.std(crossings, ddof=1) / math.sqrt(60)
    assert np.mean(crossings) == pytest.approx(expected, abs=allowed + expected / N_WAVES)


@pytest.mark.parametrize("law", [Rayleigh(), Rician(9.0), Nakagami(2.0)])
def test_a_held_jakes_gain_is_the_continuous_process_sampled_on_its_grid(law: FadingLaw) -> None:
    fading = JakesFading(law, KEY, 33.0)
    assert fading.step_s == pytest.approx(0.1 * 0.4231 / 33.0, rel=1e-4)
    steps = np.array([0, 1, 63, 64, 65, 1000, 123_456])
    held = [fading.gain(step * fading.step_s) for step in steps.tolist()]
    # Phases reach 2 pi f t; both ways of computing them round at that size.
    rounding = 2 * math.pi * 33.0 * float(steps[-1]) * fading.step_s * np.finfo(float).eps * N_WAVES
    assert held == pytest.approx(fading.gains(steps * fading.step_s).tolist(), abs=10 * rounding)


PROCESSES: dict[str, Callable[[], BlockFading | JakesFading]] = {
    "block": lambda: BlockFading(Rician(3.0), KEY, 0.0123),
    "jakes": lambda: JakesFading(Rayleigh(), KEY, 17.5),
}
each_process = pytest.mark.parametrize("make", PROCESSES.values(), ids=PROCESSES.keys())


@each_process
def test_a_gain_does_not_depend_on_what_was_asked_before(
    make: Callable[[], BlockFading | JakesFading],
) -> None:
    instants = (30.0 * keyed_uniforms(1, np.arange(500))).tolist()  # in no order
    in_order = make()
    expected = {at_s: in_order.gain(at_s) for at_s in sorted(instants)}
    shuffled = make()
    assert all(shuffled.gain(at_s) == expected[at_s] for at_s in instants)
    assert all(make().gain(at_s) == expected[at_s] for at_s in instants[:20])
    assert all(type(gain) is float for gain in expected.values())


def test_block_gains_one_by_one_and_as_an_array_are_equal_to_the_bit() -> None:
    fading = BlockFading(Rayleigh(), KEY, 0.25)
    assert [fading.gain(0.25 * i) for i in range(300)] == fading.gains(np.arange(300)).tolist()


@given(at_s=st.floats(0, 1e6), step_s=st.floats(1e-6, 1e3))
def test_until_is_later_and_a_gain_holds_exactly_until_then(at_s: float, step_s: float) -> None:
    fading = BlockFading(Rayleigh(), KEY, step_s)
    until_s = fading.until_s(at_s)
    assert at_s < until_s <= at_s + step_s * (1 + 1e-9) + math.ulp(at_s)
    assert fading.gain(math.nextafter(until_s, 0.0)) == fading.gain(at_s)
    assert fading.until_s(math.nextafter(until_s, 0.0)) == until_s
    assert fading.gain(until_s) != fading.gain(at_s)
    assert fading.until_s(until_s) > until_s


def test_the_channel_is_the_same_in_both_directions() -> None:
    there = BlockFading(Rayleigh(), link_key(1, 0, "user", "cell", "fading"), 0.01)
    back = BlockFading(Rayleigh(), link_key(1, 0, "cell", "user", "fading"), 0.01)
    assert [there.gain(t / 7) for t in range(50)] == [back.gain(t / 7) for t in range(50)]


def test_a_link_at_rest_and_a_link_without_fading_never_change() -> None:
    assert coherence_s(0.0, 3.5e9) == math.inf
    for fading in (
        BlockFading(Rayleigh(), KEY, math.inf),
        JakesFading(Rician(9.0), KEY, 0.0),
        BlockFading(NoFading(), KEY, 0.01),
        JakesFading(NoFading(), KEY, 20.0),
    ):
        assert fading.gain(0.0) == fading.gain(1e9) > 0
        assert fading.until_s(5.0) == math.inf
        if isinstance(fading.law, NoFading):
            assert fading.gain(3.0) == 1.0


def test_doppler_and_coherence_of_a_walk_at_three_and_a_half_gigahertz() -> None:
    # 1.5 m/s x 3.5 GHz / c = 17.51 Hz; 0.423 / 17.51 Hz = 24.16 ms.
    assert doppler_hz(1.5, 3.5e9) == pytest.approx(17.512, abs=5e-4)
    assert coherence_s(1.5, 3.5e9) == pytest.approx(0.02416, abs=5e-6)


@pytest.mark.parametrize(
    "wrong", [lambda: Nakagami(0.4), lambda: Nakagami(math.nan), lambda: Rician(math.inf)]
)
def test_laws_that_do_not_exist_are_refused(wrong: Callable[[], object]) -> None:
    with pytest.raises(InputError, match="expected a finite"):
        wrong()


@pytest.mark.parametrize("step_s", [0.0, -1.0, math.nan])
def test_a_coherence_time_must_be_above_zero(step_s: float) -> None:
    with pytest.raises(InputError, match="expected a time above 0"):
        BlockFading(Rayleigh(), KEY, step_s)
