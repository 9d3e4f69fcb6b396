"""Sums over the air: formulas against drawn symbols, loops over definitions, and closed forms."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from itertools import pairwise

import numpy as np
import pytest
from aircomp_drawn import simulated_impaired_mse, simulated_mse
from scipy import optimize, stats

from edgesim.errors import InputError
from edgesim.radio.collective.aircomp import (
    AirComp,
    alpha_star,
    channel_uses,
    mse,
    normalised_mse,
    power_left,
    powers_w,
    zero_forcing,
)
from edgesim.radio.collective.aircomp_impairments import (
    PERFECT,
    ChannelEstimate,
    Synchronisation,
    estimated,
    impaired_mse,
)
from edgesim.radio.collective.aircomp_simple import (
    channel_inversion,
    least_error_inversion,
    truncated_inversion,
    uncoded_fdma_mse,
)
from edgesim.rng import link_key

Z = float(stats.norm.ppf(1 - 0.5e-4))  # 99.99 % two-sided
NOISE_W = 0.05


def normals(generator: np.random.Generator, *shape: int) -> np.ndarray:
    return (generator.standard_normal(shape) + 1j * generator.standard_normal(shape)) / math.sqrt(2)


def drawn(n: int = 5, n_receive: int = 9, n_transmit: int = 3, n_streams: int = 3, seed: int = 1):  # type: ignore[no-untyped-def]
    """A combiner, channels and budgets."""
    generator = np.random.default_rng(seed)
    combiner = normals(generator, n_receive, n_streams)
    return combiner, normals(generator, n, n_receive, n_transmit), generator.uniform(0.5, 2.0, n)


# --- channels ---------------------------------------------------------------------------------------


def test_channels_are_a_function_of_key_and_block_with_the_mean_and_power_asked_for() -> None:
    air = AirComp(n_receive=20, n_transmit=4, n_streams=4, gain=2.0)
    keys = [link_key(3, 0, f"device-{i}", "station") for i in range(8)]
    later = air.channels(keys, 7)
    blocks = np.stack([air.channels(keys, block) for block in range(10)])
    assert np.array_equal(blocks[7], later)
    assert np.array_equal(air.channels(keys[2:4], 7), later[2:4])
    n = blocks.size  # entries of mean 1 and variance 1: real and imaginary parts of variance 1/2
    assert blocks.real.mean() == pytest.approx(1.0, abs=Z * math.sqrt(0.5 / n))
    assert blocks.imag.mean() == pytest.approx(0.0, abs=Z * math.sqrt(0.5 / n))
    # |h - 1|^2 is exponential: variance 1.
    assert (np.abs(blocks - 1.0) ** 2).mean() == pytest.approx(1.0, abs=Z * math.sqrt(1.0 / n))


@pytest.mark.parametrize("wrong", [{"n_streams": 5}, {"n_streams": 0}, {"noise_w": 0.0}, {"gain": -1.0}])
def test_a_set_up_that_cannot_be_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(InputError, match="aircomp"):
        AirComp(**wrong)  # type: ignore[arg-type]


# --- error and precoders ----------------------------------------------------------------------------


def test_mse_is_the_sum_of_traces_of_its_definition() -> None:
    combiner, channels, _ = drawn(n_transmit=4)
    precoders = normals(np.random.default_rng(5), 5, 4, 3)
    expected = NOISE_W * np.trace(combiner.conj().T @ combiner).real
    for channel, precoder in zip(channels, precoders, strict=True):
        excess = combiner.conj().T @ channel @ precoder - np.eye(3)
        expected += np.trace(excess @ excess.conj().T).real
    assert mse(combiner, precoders, channels, NOISE_W) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("forced", [True, False])
def test_drawn_symbols_err_as_the_formula_says_within_one_per_cent(forced: bool) -> None:
    combiner, channels, budgets = drawn(n=4, n_receive=8)
    scaled = (
        math.sqrt(alpha_star(combiner, channels, budgets).alpha / np.sum(np.abs(combiner) ** 2)) * combiner
    )
    precoders = zero_forcing(scaled, channels)
    if not forced:  # misaligned on purpose
        precoders = 0.8 * precoders + 0.02 * normals(np.random.default_rng(2), *precoders.shape)
    expected = mse(scaled, precoders, channels, NOISE_W)
    mean, error = simulated_mse(scaled, precoders, channels, NOISE_W, 120_000, np.random.default_rng(3))
    assert Z * error < 0.01 * expected  # the draws are enough to tell one per cent
    assert mean == pytest.approx(expected, abs=Z * error)


@pytest.mark.parametrize("n_transmit", [3, 4])
def test_zero_forcing_leaves_the_noise_alone_at_the_least_power(n_transmit: int) -> None:
    combiner, channels, _ = drawn(n_transmit=n_transmit)
    precoders = zero_forcing(combiner, channels)
    assert mse(combiner, precoders, channels, NOISE_W) == pytest.approx(
        NOISE_W * np.sum(np.abs(combiner) ** 2), rel=1e-12
    )
    for channel, precoder in zip(channels, precoders, strict=True):  # the pseudo-inverse has least norm
        assert precoder == pytest.approx(np.linalg.pinv(combiner.conj().T @ channel), rel=1e-9, abs=1e-12)


def test_more_streams_than_antennas_cannot_be_forced() -> None:
    combiner, channels, _ = drawn(n_transmit=2, n_streams=3)
    with pytest.raises(InputError, match="3 streams from 2 antennas"):
        zero_forcing(combiner, channels)


# --- alpha ------------------------------------------------------------------------------------------


def test_the_binding_device_spends_its_whole_budget_and_no_other_more_than_its_own() -> None:
    combiner, channels, _ = drawn(n=6, n_transmit=4)
    generator = np.random.default_rng(8)
    budgets, energies = generator.uniform(50.0, 80.0, 6), generator.uniform(0.5, 1.5, 6)
    shares, n_parameters, n_entries = np.full(6, 1 / 6), 100.0, 4096
    left = power_left(budgets, energies, shares, n_parameters)
    found = alpha_star(combiner, channels, left, n_entries)
    scaled = math.sqrt(found.alpha / np.sum(np.abs(combiner) ** 2)) * combiner
    precoders = zero_forcing(scaled, channels)
    spent = energies * shares * n_parameters + channel_uses(n_entries, 3) * powers_w(precoders)
    assert spent[found.device] == pytest.approx(budgets[found.device], rel=1e-12)
    others = np.arange(6) != found.device
    assert (spent[others] < budgets[others]).all()
    assert mse(scaled, precoders, channels, NOISE_W) == pytest.approx(NOISE_W * found.alpha, rel=1e-12)


def test_alpha_depends_on_the_combiners_column_space_metric_alone() -> None:
    combiner, channels, budgets = drawn()
    alpha = alpha_star(combiner, channels, budgets).alpha
    unitary = np.linalg.qr(normals(np.random.default_rng(4), 3, 3))[0]
    assert alpha_star(3.7j * combiner @ unitary, channels, budgets).alpha == pytest.approx(alpha, rel=1e-12)


def test_alpha_falls_in_proportion_to_power_and_never_falls_with_another_device() -> None:
    combiner, channels, budgets = drawn(n=8)
    alphas = [alpha_star(combiner, channels[:n], budgets[:n]).alpha for n in range(1, 9)]
    assert all(before <= after for before, after in pairwise(alphas))
    assert alphas[-1] > alphas[0]
    assert alpha_star(combiner, channels, 4.0 * budgets).alpha == pytest.approx(alphas[-1] / 4, rel=1e-12)


def test_who_has_nothing_left_or_cannot_be_heard_makes_alpha_infinite() -> None:
    combiner, channels, budgets = drawn()
    assert alpha_star(combiner, channels, np.where(np.arange(5) == 2, 0.0, budgets))[:2] == (math.inf, 2)
    assert alpha_star(np.zeros_like(combiner), channels, budgets).alpha == math.inf
    each = alpha_star(combiner, channels, budgets).each
    silenced = np.where(np.arange(5)[:, np.newaxis, np.newaxis] == 3, 0.0, channels)
    expected = np.where(np.arange(5) == 3, math.inf, each)
    assert alpha_star(combiner, silenced, budgets).each == pytest.approx(expected, rel=1e-9)


def test_uses_round_up_and_normalising_divides_by_the_sums_variance() -> None:
    assert [channel_uses(n, 4) for n in (0, 1, 4, 5, 4096)] == [0, 1, 1, 2, 1024]
    assert normalised_mse(6.4, 8, 4) == pytest.approx(0.2)
    with pytest.raises(InputError, match="over 0 streams"):
        channel_uses(4, 0)


# --- estimates and clocks ---------------------------------------------------------------------------


def test_an_estimate_tells_mean_and_variance_of_the_truth() -> None:
    generator = np.random.default_rng(6)
    n, error, mean, variance = 200_000, 0.4, 0.7, np.array([0.5])
    truth = mean + math.sqrt(0.5) * normals(generator, 1, n, 1)
    found = estimated(truth, math.sqrt(0.5) * normals(generator, 1, n, 1), error, np.array(mean), variance)
    missed = (truth - found.mean).ravel()
    powers = np.abs(missed) ** 2  # exponential, of the variance told
    assert found.variance == pytest.approx([error**2 * 0.5])
    assert powers.mean() == pytest.approx(error**2 * 0.5, abs=Z * powers.std() / math.sqrt(n))
    scattered = (found.channels - mean).ravel()
    product = (missed * scattered.conj()).real  # what is missed does not depend on what was estimated
    assert product.mean() == pytest.approx(0.0, abs=Z * product.std() / math.sqrt(n))
    assert (np.abs(scattered) ** 2).mean() == pytest.approx(0.5, abs=Z * 0.5 / math.sqrt(n))


@pytest.mark.parametrize(
    ("error", "clocks"),
    [
        (0.0, PERFECT),
        (0.3, PERFECT),
        (0.0, Synchronisation(phase_std_rad=0.3)),
        (0.0, Synchronisation(timing=0.4)),
        (0.2, Synchronisation(phase_std_rad=0.2, timing=0.3)),
    ],
)
def test_impaired_sums_err_as_the_formula_says(error: float, clocks: Synchronisation) -> None:
    combiner, channels, budgets = drawn(n=3, n_receive=6, n_transmit=2, n_streams=2)
    errors = normals(np.random.default_rng(11), *channels.shape)
    estimate = estimated(channels, errors, error, np.zeros(1), np.ones(3))
    scaled = math.sqrt(alpha_star(combiner, estimate.channels, budgets).alpha) * combiner
    scaled /= np.linalg.norm(combiner)
    precoders = zero_forcing(scaled, estimate.channels)
    expected = impaired_mse(scaled, precoders, estimate, NOISE_W, clocks)
    mean, spread = simulated_impaired_mse(
        scaled, precoders, estimate, NOISE_W, clocks, 40_000, np.random.default_rng(12)
    )
    assert mean == pytest.approx(expected, abs=Z * spread)
    assert Z * spread < 0.05 * expected


def test_without_impairments_the_error_is_that_of_perfect_knowledge() -> None:
    combiner, channels, _ = drawn()
    precoders = normals(np.random.default_rng(5), 5, 3, 3)
    perfect = ChannelEstimate(channels, channels, np.zeros(5))
    assert impaired_mse(combiner, precoders, perfect, NOISE_W) == pytest.approx(
        mse(combiner, precoders, channels, NOISE_W), rel=1e-12
    )


def test_phases_cost_as_much_with_any_channel() -> None:
    # Zero forcing: M_n = I, so N L (2 - 2 exp(-s^2 / 2)) is added.
    combiner, channels, _ = drawn()
    precoders = zero_forcing(combiner, channels)
    known = ChannelEstimate(channels, channels, np.zeros(5))
    added = impaired_mse(combiner, precoders, known, NOISE_W, Synchronisation(phase_std_rad=0.25)) - mse(
        combiner, precoders, channels, NOISE_W
    )
    assert added == pytest.approx(5 * 3 * 2 * (1 - math.exp(-(0.25**2) / 2)), rel=1e-9)


@pytest.mark.parametrize(
    "wrong",
    [
        partial(Synchronisation, phase_std_rad=-0.1),
        partial(Synchronisation, timing=1.5),
        partial(estimated, np.ones((1, 1, 1)), np.ones((1, 1, 1)), 1.5, np.zeros(1), np.ones(1)),
    ],
)
def test_impairments_that_cannot_be_are_refused(wrong: Callable[[], object]) -> None:
    with pytest.raises(InputError, match="expected 0"):
        wrong()


# --- single antennas and separate bands -------------------------------------------------------------

GAINS, BUDGETS_W = np.array([0.02, 0.3, 0.9, 2.5]), np.array([1.0, 1.0, 0.5, 0.4])


def error_of(powers: np.ndarray, amplitude: float) -> float:
    """What a station that divides by an amplitude makes of these powers."""
    return float(np.sum((np.sqrt(GAINS * powers) / amplitude - 1.0) ** 2) + NOISE_W / amplitude**2)


def test_full_inversion_is_zero_forcing_with_one_antenna() -> None:
    channels = (np.sqrt(GAINS) * np.exp(1j * np.arange(4)))[:, np.newaxis, np.newaxis]
    found = channel_inversion(GAINS, BUDGETS_W, NOISE_W)
    assert found.mse == pytest.approx(NOISE_W * alpha_star(np.ones((1, 1)), channels, BUDGETS_W).alpha)
    assert found.mse == pytest.approx(error_of(found.powers_w, math.sqrt(found.gain)))
    assert (found.powers_w <= BUDGETS_W * (1 + 1e-12)).all()


def test_truncation_trades_the_silent_for_the_noise() -> None:
    found = truncated_inversion(GAINS, BUDGETS_W, NOISE_W, 0.1)
    assert found.powers_w[0] == 0.0
    assert found.mse == pytest.approx(1 + NOISE_W / 0.3)
    assert found.mse == pytest.approx(error_of(found.powers_w, math.sqrt(found.gain)))
    assert truncated_inversion(GAINS, BUDGETS_W, NOISE_W, 5.0).mse == 4.0
    assert channel_inversion(np.array([0.0, 1.0]), np.ones(2), NOISE_W).mse == math.inf


@pytest.mark.parametrize("noise_w", [1e-3, 0.05, 1.0, 30.0])
def test_the_least_error_is_what_a_search_over_amplitudes_finds(noise_w: float) -> None:
    strongest = np.sqrt(GAINS * BUDGETS_W)

    def best(log_amplitude: float) -> float:  # for an amplitude, each power is best on its own
        amplitude = math.exp(log_amplitude)
        return float(np.sum((np.minimum(strongest, amplitude) / amplitude - 1) ** 2) + noise_w / amplitude**2)

    grid = np.linspace(-6, 8, 4001)
    start = grid[int(np.argmin([best(point) for point in grid]))]
    searched = optimize.minimize_scalar(best, bounds=(start - 0.01, start + 0.01), method="bounded")
    found = least_error_inversion(GAINS, BUDGETS_W, noise_w)
    assert found.mse == pytest.approx(float(searched.fun), rel=1e-6)
    assert (found.powers_w <= BUDGETS_W * (1 + 1e-12)).all()
    for threshold in (0.0, 0.1, 0.5, 1.0, 5.0):
        assert found.mse <= truncated_inversion(GAINS, BUDGETS_W, noise_w, threshold).mse * (1 + 1e-12)


def test_nobody_heard_leaves_the_whole_sum_as_error() -> None:
    assert least_error_inversion(np.zeros(3), np.ones(3), NOISE_W).mse == 3.0
    with pytest.raises(InputError, match="one of each"):
        channel_inversion(GAINS, BUDGETS_W[:2], NOISE_W)
    with pytest.raises(InputError, match="negative"):
        channel_inversion(-GAINS, BUDGETS_W, NOISE_W)


def test_errors_of_separate_bands_add_up_and_each_is_attained() -> None:
    _, channels, budgets = drawn(n=3, n_receive=6, n_transmit=4)
    total = 0.0
    for channel, budget in zip(channels, budgets, strict=True):
        # The combiner that attains it: left singular vectors with power in proportion to 1 / s_l.
        left, singular, _ = np.linalg.svd(channel, full_matrices=False)
        combiner = left[:, :3] / np.sqrt(singular[:3])
        total += NOISE_W * alpha_star(combiner, channel[np.newaxis], np.array([budget])).alpha
    assert uncoded_fdma_mse(channels, budgets, NOISE_W, 3) == pytest.approx(total, rel=1e-9)
    with pytest.raises(InputError, match="expected 1 to 4"):
        uncoded_fdma_mse(channels, budgets, NOISE_W, 5)
