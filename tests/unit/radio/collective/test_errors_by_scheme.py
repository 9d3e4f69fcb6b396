"""Errors of analog sums in a band, against sums that are really sent: precoded, added on air, combined."""

from __future__ import annotations

import math

import numpy as np
import pytest
from bands import band

from edgesim.errors import InputError
from edgesim.planning.transceiver import designer
from edgesim.radio.collective.aircomp import zero_forcing
from edgesim.radio.collective.aircomp_impairments import Synchronisation
from edgesim.radio.collective.aircomp_simple import (
    channel_inversion,
    least_error_inversion,
    truncated_inversion,
)
from edgesim.radio.collective.errors_by_scheme import Combined, Inverted, uncoded_mse

GROUP = ("phone-0", "phone-1", "phone-2")
WEAK_W = np.array([2e-3, 4e-3, 3e-3])  # so weak that noise is seen


def complex_normal(draws: np.random.Generator, *shape: int) -> np.ndarray:
    return (draws.normal(size=shape) + 1j * draws.normal(size=shape)) * math.sqrt(0.5)


def test_known_channels_have_the_noise_that_the_design_amplifies() -> None:
    own = band()
    channels = own.channels(GROUP, 0.0)
    found = designer("subspace")(channels, WEAK_W, 2, None)
    assert Combined(designer("subspace"))(own, GROUP, 0.0, WEAK_W) == own.noise_w * found.alpha


def test_each_design_starts_from_the_one_before() -> None:
    starts = []

    def design(channels, powers_w, n_streams, start):
        starts.append(start)
        return designer("subspace")(channels, powers_w, n_streams, start)

    combined = Combined(design)
    for at_s in (0.0, 0.02):
        combined(band(), GROUP, at_s, WEAK_W)
    assert starts[0] is None
    np.testing.assert_array_equal(
        starts[1], designer("subspace")(band().channels(GROUP, 0.0), WEAK_W, 2).combiner
    )


@pytest.mark.parametrize("clocks", [Synchronisation(), Synchronisation(phase_std_rad=0.3, timing=0.2)])
def test_what_estimates_and_clocks_do_is_met_by_sending(clocks: Synchronisation) -> None:
    """The truth is drawn anew around the estimate; phases, shifts, symbols and noise with it."""
    error, draws, n_draws = 0.4, np.random.default_rng(3), 20_000
    own = band(csi_error=error, synchronisation=clocks)
    known = own.estimate(GROUP, 0.0)
    found = designer("subspace")(known.mean, WEAK_W, 2, None)
    combiner = math.sqrt(found.alpha) * found.combiner
    precoders = zero_forcing(combiner, known.mean)
    sent, neighbours = (complex_normal(draws, n_draws, 3, 2, 1) for _ in range(2))
    truth = known.mean + np.sqrt(known.variance)[:, None, None] * complex_normal(draws, n_draws, 3, 6, 3)
    shift = np.abs(draws.uniform(-clocks.timing, clocks.timing, (n_draws, 3, 1, 1)))
    phase = np.exp(1j * clocks.phase_std_rad * draws.normal(size=(n_draws, 3, 1, 1)))
    heard = (truth @ precoders @ ((1 - shift) * sent + shift * neighbours) * phase).sum(axis=1)
    heard = heard + math.sqrt(own.noise_w) * complex_normal(draws, n_draws, 6, 1)
    errors = np.sum(np.abs(combiner.conj().T @ heard - sent.sum(axis=1)) ** 2, axis=(1, 2))
    expected = Combined(designer("subspace"))(own, GROUP, 0.0, WEAK_W)
    assert abs(errors.mean() - expected) < 4 * errors.std() / math.sqrt(n_draws)
    assert expected > Combined(designer("subspace"))(band(), GROUP, 0.0, WEAK_W)


def test_estimates_are_as_wrong_as_was_asked() -> None:
    """Over blocks the estimate's scattered part correlates with the true one by sqrt(1 - eps^2)."""
    own = band(csi_error=0.6, coherence_s=1.0)
    pairs = [(own.channels(GROUP, t), own.estimate(GROUP, t).channels) for t in np.arange(400.0)]
    true, told = (np.stack(each)[:, 0].ravel() for each in zip(*pairs, strict=True))
    cross = np.mean((true - true.mean()) * (told - told.mean()).conj()).real
    correlation = cross / math.sqrt(np.var(true) * np.var(told))
    assert correlation == pytest.approx(0.8, abs=4 / math.sqrt(true.size))
    assert np.mean(np.abs(told) ** 2) == pytest.approx(np.mean(np.abs(true) ** 2), rel=0.06)


@pytest.mark.parametrize("mse", [uncoded_mse, Combined(designer("subspace"))])
def test_hardly_any_error_is_hardly_worse_than_none(mse) -> None:
    perfect = mse(band(), GROUP, 0.0, WEAK_W)
    assert mse(band(csi_error=1e-9), GROUP, 0.0, WEAK_W) == pytest.approx(perfect, rel=1e-6)
    sloppy = band(synchronisation=Synchronisation(phase_std_rad=0.5))
    assert mse(sloppy, GROUP, 0.0, WEAK_W) > 1.05 * perfect


def test_errors_of_bands_of_their_own_add_up() -> None:
    own = band(csi_error=0.3)
    together = uncoded_mse(own, GROUP, 0.0, WEAK_W)
    thrice = band(csi_error=0.3, bandwidth_hz=10e6 / 3)  # alone in a third of the band
    each = [uncoded_mse(thrice, (name,), 0.0, WEAK_W[i : i + 1]) for i, name in enumerate(GROUP)]
    assert together == pytest.approx(sum(each), rel=1e-9)


@pytest.mark.parametrize("name", ["channel-inversion", "truncated-inversion", "least-error"])
def test_single_antennas_undo_their_channels(name) -> None:
    own = band(n_streams=1, n_station=1, n_terminal=1)
    gains = np.abs(own.channels(GROUP, 0.0)[:, 0, 0]) ** 2
    path_gains = np.array([own.members[each].gain(0.0) for each in GROUP])
    fading = np.sort(gains / path_gains)
    threshold = float(fading[:2].mean())  # one is silent
    expected = {
        "channel-inversion": lambda: channel_inversion(gains, WEAK_W, own.noise_w),
        "truncated-inversion": lambda: truncated_inversion(
            gains / path_gains, WEAK_W * path_gains, own.noise_w, threshold
        ),
        "least-error": lambda: least_error_inversion(gains, WEAK_W, own.noise_w),
    }[name]()
    assert Inverted(name, threshold)(own, GROUP, 0.0, WEAK_W) == pytest.approx(expected.mse, rel=1e-12)
    # The general formula, for powers that it is told, says the same where next to nothing is unknown.
    nearly = band(n_streams=1, n_station=1, n_terminal=1, csi_error=1e-9)
    assert Inverted(name, threshold)(nearly, GROUP, 0.0, WEAK_W) == pytest.approx(expected.mse, rel=1e-6)


def test_inversion_with_several_antennas_is_refused() -> None:
    with pytest.raises(InputError, match=r"6 antennas at station and 3 at a terminal; expected one"):
        Inverted("channel-inversion")(band(), GROUP, 0.0, WEAK_W)
