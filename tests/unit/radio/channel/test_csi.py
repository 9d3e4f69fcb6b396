"""Imperfect channel knowledge: joint distributions and correlations against closed forms, and its changes."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy import stats

from edgesim.errors import InputError
from edgesim.radio.channel.csi import ImperfectCsi, amplitude_correlation, delay_correlation
from edgesim.radio.channel.fading import (
    N_WAVES,
    BlockFading,
    FadingLaw,
    JakesFading,
    Nakagami,
    NoFading,
    Rayleigh,
    Rician,
)
from edgesim.radio.radio_link import Estimation
from edgesim.rng import key_of

Z = float(stats.norm.ppf(1 - 0.5e-4))  # 99.99 % two-sided
N = 20_000
BLOCK_S = 1 / 128
SHIFT_HZ = 10.0
FADES, ERRS = key_of(1, 0, "link"), key_of(1, 0, "link", "csi")


def blocks(law: FadingLaw, error: float, n: int = N) -> tuple[np.ndarray, np.ndarray]:
    """True gains of independent blocks, and their estimates without delay."""
    csi = ImperfectCsi(BlockFading(law, FADES, BLOCK_S), ERRS, error=error)
    times_s = ((np.arange(n) + 0.5) * BLOCK_S).tolist()
    return np.array([csi.fading.gain(t) for t in times_s]), np.array([csi.estimate(t) for t in times_s])


@pytest.mark.parametrize("error", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("law", [Rayleigh(), Rician(6.0), Nakagami(2.0)])
def test_an_estimate_given_the_truth_is_rician(law: FadingLaw, error: float) -> None:
    # |sqrt(1 - eps^2) h + eps e|^2 given h: eps^2 / 2 times a noncentral chi-square, 2 degrees of freedom.
    truth, estimate = blocks(law, error)
    half = error**2 / 2
    uniform = stats.ncx2.cdf(estimate / half, 2, (1 - error**2) * truth / half)
    assert stats.kstest(uniform, "uniform").pvalue > 1e-4


@pytest.mark.parametrize("error", [0.1, 0.5, 1.0])
def test_a_rayleigh_estimate_is_rayleigh_and_its_powers_correlate_by_one_less_the_squared_error(
    error: float,
) -> None:
    truth, estimate = blocks(Rayleigh(), error)
    assert stats.kstest(estimate, "expon").pvalue > 1e-4
    products = truth * estimate
    expected = 1 + amplitude_correlation(error) ** 2
    assert products.mean() == pytest.approx(expected, abs=Z * products.std() / math.sqrt(N))
    assert amplitude_correlation(error) == pytest.approx(math.sqrt(1 - error**2), rel=1e-12)


@pytest.mark.parametrize("backoff", [0.1, 0.5, 1.0, 2.0])
def test_deciding_on_the_estimate_fails_on_the_truth_as_often_as_theory_says(backoff: float) -> None:
    # Rate for a gain of backoff x estimate. The ratio of two exponentials whose amplitudes correlate by rho
    # has P(g / estimate < b) = (1 + (b - 1) / sqrt((b + 1)^2 - 4 b rho^2)) / 2.
    error = 0.3
    truth, estimate = blocks(Rayleigh(), error)
    root = math.sqrt((backoff + 1) ** 2 - 4 * backoff * amplitude_correlation(error) ** 2)
    outage = 0.5 * (1 + (backoff - 1) / root)
    n_failed = int((truth < backoff * estimate).sum())
    assert stats.binomtest(n_failed, N, outage).pvalue > 1e-4


@pytest.mark.parametrize("n_steps", [2, 9, 14])
def test_a_late_estimate_of_jakes_fading_correlates_as_j0_says(n_steps: int) -> None:
    n, errors = 2000, (0.0, 0.4)
    products = np.empty((n, len(errors)))
    for link in range(n):
        fading = JakesFading(Rayleigh(), key_of(5, link), SHIFT_HZ)
        # Asked for in the middle of a step, a delay of whole steps is exact.
        at_s, delay_s = 100.5 * fading.step_s, n_steps * fading.step_s
        for column, error in enumerate(errors):
            csi = ImperfectCsi(fading, key_of(5, link, "csi"), error=error, delay_s=delay_s)
            products[link, column] = fading.gain(at_s) * csi.estimate(at_s)
    # E[g g'] = 1 + |sum c|^2 / N^2 - sum |c|^2 / N^2 for N waves of random phase, where c is the mean of a
    # wave's rotation over its own N-th of the circle; their mean over the circle is J0.
    grid = 2 * math.pi * (np.arange(N_WAVES * 400).reshape(N_WAVES, 400) + 0.5) / (N_WAVES * 400)
    # The first N-th is centred on the angle 2 pi / N.
    turned = np.exp(2j * math.pi * SHIFT_HZ * delay_s * np.cos(grid + math.pi / N_WAVES)).mean(axis=1)
    rho = delay_correlation(SHIFT_HZ, delay_s)
    assert turned.mean() == pytest.approx(rho, abs=1e-6)
    finite = float((np.abs(turned) ** 2).sum()) / N_WAVES**2
    for column, error in enumerate(errors):
        expected = 1 + (1 - error**2) * (rho**2 - finite)
        allowed = Z * products[:, column].std() / math.sqrt(n)
        assert products[:, column].mean() == pytest.approx(expected, abs=allowed)
        analysed = amplitude_correlation(error, SHIFT_HZ, delay_s)
        assert analysed == pytest.approx(math.sqrt(1 - error**2) * rho)


@pytest.mark.parametrize(("argument", "value"), [(0.0, 1.0), (1.0, 0.7651976866), (2.4048255577, 0.0)])
def test_the_correlation_over_a_delay_is_the_tabulated_j0(argument: float, value: float) -> None:
    # Abramowitz and Stegun, tables 9.1 and 9.5.
    assert delay_correlation(5.0, argument / (10 * math.pi)) == pytest.approx(value, abs=1e-10)


@given(st.floats(0, 50), st.floats(0, 0.5))
def test_without_error_the_estimate_is_the_past_itself(at_s: float, delay_s: float) -> None:
    fading = JakesFading(Rician(3.0), FADES, SHIFT_HZ)
    assert ImperfectCsi(fading, ERRS, delay_s=delay_s).estimate(at_s) == fading.gain(at_s - delay_s)


@example(at_s=16.999999999999886, delay_s=0.0, period_s=0.02, process="block")
@given(
    st.floats(0, 1000),
    st.one_of(st.just(0.0), st.floats(1e-5, 0.7)),
    st.sampled_from([None, 0.003, 0.02, 0.25]),
    st.sampled_from(["block", "jakes"]),
)
def test_an_estimate_holds_until_it_changes(
    at_s: float, delay_s: float, period_s: float | None, process: str
) -> None:
    fading = (
        BlockFading(Rayleigh(), FADES, 0.007)
        if process == "block"
        else JakesFading(Rayleigh(), FADES, SHIFT_HZ)
    )
    csi = ImperfectCsi(fading, ERRS, error=0.2, delay_s=delay_s, period_s=period_s)
    kept = csi.estimate(at_s)
    for _ in range(4):
        until_s = csi.until_s(at_s)
        assert until_s > at_s
        for share in (0.25, 0.5, 0.99):
            # Where no instants lie between the two, the sum is rounded to the later one.
            between_s = min(at_s + share * (until_s - at_s), math.nextafter(until_s, 0.0))
            assert csi.estimate(between_s) == kept
            assert csi.until_s(between_s) == until_s
        at_s, before = until_s, kept
        kept = csi.estimate(at_s)
        assert kept != before


@pytest.mark.parametrize("period_s", [None, 0.02])
def test_estimates_do_not_depend_on_the_order_of_questions(period_s: float | None) -> None:
    def asked(times_s: list[float]) -> dict[float, float]:
        fading = JakesFading(Rayleigh(), FADES, SHIFT_HZ)
        csi = ImperfectCsi(fading, ERRS, error=0.3, delay_s=0.004, period_s=period_s)
        return {at_s: csi.estimate(at_s) for at_s in times_s}

    times_s = np.random.default_rng(1).uniform(0, 60, 300).tolist()
    assert asked(times_s) == asked(sorted(times_s)) == asked(times_s[::-1])


def test_periodic_estimates_of_a_constant_channel_err_anew_each_time() -> None:
    csi = ImperfectCsi(BlockFading(NoFading(), FADES, 1.0), ERRS, error=0.5, delay_s=0.003, period_s=1 / 64)
    n = 5000
    estimates = np.array([csi.estimate((i + 0.5) / 64) for i in range(n)])
    uniform = stats.ncx2.cdf(estimates / 0.125, 2, 0.75 / 0.125)
    assert stats.kstest(uniform, "uniform").pvalue > 1e-4
    assert np.corrcoef(estimates[:-1], estimates[1:])[0, 1] == pytest.approx(0, abs=Z / math.sqrt(n - 1))
    # Without a period it is estimated once.
    once = ImperfectCsi(BlockFading(NoFading(), FADES, 1.0), ERRS, error=0.5)
    assert {once.estimate(t) for t in (0.0, 1.0, 1e6)} == {once.estimate(5.0)}
    assert once.until_s(0.0) == math.inf


def test_errors_of_different_links_are_uncorrelated() -> None:
    one, other = (
        ImperfectCsi(BlockFading(Rayleigh(), FADES, BLOCK_S), key, error=1.0) for key in (ERRS, FADES)
    )
    times_s = [(i + 0.5) * BLOCK_S for i in range(N)]
    estimates = [[csi.estimate(t) for t in times_s] for csi in (one, other)]
    # Independent samples: a correlation of n pairs has the standard error 1 / sqrt(n - 1).
    assert np.corrcoef(*estimates)[0, 1] == pytest.approx(0.0, abs=Z / math.sqrt(N - 1))


def test_it_is_what_a_link_asks_for() -> None:
    csi: Estimation = ImperfectCsi(BlockFading(Rayleigh(), FADES, BLOCK_S), ERRS)
    assert csi.estimate(0.0) > 0.0


def test_mistakes_are_told() -> None:
    fading = BlockFading(Rayleigh(), FADES, BLOCK_S)
    with pytest.raises(InputError, match=r"error is 1\.5; expected 0"):
        ImperfectCsi(fading, ERRS, error=1.5)
    with pytest.raises(InputError, match="delay is -1 s"):
        ImperfectCsi(fading, ERRS, delay_s=-1.0)
    with pytest.raises(InputError, match="an estimate every 0 s"):
        ImperfectCsi(fading, ERRS, period_s=0.0)
