"""Noise, building entry and channel matrices against hand computations and distributions."""

from __future__ import annotations

import math
import sys

import numpy as np
import pytest
from scipy import stats

from edgesim.errors import InputError
from edgesim.radio.channel.mimo import RicianMatrices
from edgesim.radio.channel.noise import sinr, thermal_noise_dbm, thermal_noise_w
from edgesim.radio.channel.path_loss.outdoor_to_indoor import Facade
from edgesim.radio.channel.sionna_matrices import Tr38901Matrices
from edgesim.rng import key_of
from edgesim.units import BOLTZMANN_J_PER_K, w_to_dbm

Z = float(stats.norm.ppf(1 - 0.5e-4))


@pytest.mark.parametrize(
    ("bandwidth_hz", "expected_dbm"),
    [(1e6, -114.0), (20e6, -100.99), (40e6, -97.98), (80e6, -94.97), (100e6, -94.0)],
)
def test_noise_in_the_usual_bands(bandwidth_hz: float, expected_dbm: float) -> None:
    assert thermal_noise_dbm(bandwidth_hz) == pytest.approx(expected_dbm, abs=0.005)
    assert thermal_noise_dbm(bandwidth_hz, 7.0) == pytest.approx(expected_dbm + 7.0, abs=0.005)
    assert w_to_dbm(thermal_noise_w(bandwidth_hz, 7.0)) == pytest.approx(thermal_noise_dbm(bandwidth_hz, 7.0))


def test_noise_is_boltzmanns_at_room_temperature_and_splits_with_the_band() -> None:
    # -174 dBm/Hz is kT at 288.4 K: between 288 and 290 K.
    assert BOLTZMANN_J_PER_K * 288.0 < thermal_noise_w(1.0) < BOLTZMANN_J_PER_K * 290.0
    assert thermal_noise_w(5e6, 5.0) + thermal_noise_w(15e6, 5.0) == pytest.approx(thermal_noise_w(20e6, 5.0))
    assert thermal_noise_w(0.0) == 0.0


def test_interference_adds_to_noise() -> None:
    assert sinr(6.0, 1.0) == 6.0
    assert sinr(6.0, 1.0, 2.0) == 2.0


def test_walls_by_hand_at_three_and_a_half_gigahertz() -> None:
    # Plain glass 2.7 dB, reflecting glass 24.05 dB, concrete 19 dB; shares 30 % and 70 % of glass.
    low = 5 - 10 * math.log10(0.3 * 0.537032 + 0.7 * 0.0125893)
    high = 5 - 10 * math.log10(0.7 * 0.00393550 + 0.3 * 0.0125893)
    assert low == pytest.approx(12.70, abs=0.005)
    assert high == pytest.approx(26.85, abs=0.005)
    assert Facade("low-loss").wall_db(3.5e9) == pytest.approx(low, abs=1e-4)
    assert Facade("high-loss").wall_db(3.5e9) == pytest.approx(high, abs=1e-4)
    assert Facade("simple").loss_db(12.0, carrier_hz=3.5e9) == 26.0
    assert Facade("low-loss").loss_db(12.0, carrier_hz=3.5e9) == pytest.approx(low + 6.0, abs=1e-4)


@pytest.mark.parametrize(("kind", "sigma_db"), [("low-loss", 4.4), ("high-loss", 6.5)])
def test_the_random_part_of_building_entry_is_gaussian(kind: str, sigma_db: float) -> None:
    facade = Facade(kind)
    median_db = facade.loss_db(5.0, carrier_hz=3.5e9)
    losses_db = [facade.loss_db(5.0, carrier_hz=3.5e9, key=key_of("terminal", i)) for i in range(5000)]
    assert stats.kstest(losses_db, stats.norm(median_db, sigma_db).cdf).pvalue > 1e-4
    assert facade.loss_db(5.0, carrier_hz=3.5e9, key=7) == facade.loss_db(5.0, carrier_hz=3.5e9, key=7)
    assert Facade("simple").loss_db(5.0, carrier_hz=3.5e9, key=7) == 22.5


def test_an_unknown_facade_is_told() -> None:
    with pytest.raises(InputError, match="did you mean 'low-loss'"):
        Facade("lowloss")


@pytest.mark.parametrize("k_db", [-math.inf, 0.0, 6.0])
def test_rician_matrices_have_the_stated_mean_variance_and_independent_entries(k_db: float) -> None:
    # The AirComp papers' arrays: 20 antennas at the server, 4 at a device.
    n = 3000
    matrices = RicianMatrices(key=key_of(1), n_receive=20, n_transmit=4, k_db=k_db).matrices(np.arange(n))
    assert matrices.shape == (n, 20, 4)
    k = 10 ** (k_db / 10)
    mean, variance = math.sqrt(k / (k + 1)), 1 / (k + 1)
    scattered = (matrices - mean) / math.sqrt(variance / 2)
    assert stats.kstest(scattered.real.ravel(), "norm").pvalue > 1e-4
    assert stats.kstest(scattered.imag.ravel(), "norm").pvalue > 1e-4
    # Entries, and an entry from block to block, are uncorrelated: one test for each of 80 x 79 / 2 pairs.
    flat = scattered.reshape(n, 80)
    off_diagonal = np.abs(np.corrcoef(np.hstack([flat.real, flat.imag]).T) - np.eye(160))
    n_pairs = 160 * 159 / 2
    assert off_diagonal.max() < stats.norm.ppf(1 - 0.5e-4 / n_pairs) / math.sqrt(n)
    assert abs(np.corrcoef(flat.real[:-1, 0], flat.real[1:, 0])[0, 1]) < Z / math.sqrt(n - 1)


def test_a_matrix_is_a_function_of_its_block_alone() -> None:
    law = RicianMatrices(key=key_of(2), n_receive=3, n_transmit=2, k_db=3.0)
    together = law.matrices(np.arange(50))
    assert np.array_equal(law.matrices(np.arange(49, -1, -1)), together[::-1])
    assert np.array_equal(law.matrices(np.array(17)), together[17])
    assert np.array_equal(law.matrices(np.arange(50).reshape(5, 10)), together.reshape(5, 10, 3, 2))


def test_the_beamforming_gain_of_a_rayleigh_row_is_gamma_distributed() -> None:
    # The squared singular value of a 1 x n row is Gamma(n, 1): diversity of order n.
    matrices = RicianMatrices(key=key_of(3), n_receive=1, n_transmit=4).matrices(np.arange(20_000))
    gains = np.linalg.svd(matrices, compute_uv=False)[:, 0] ** 2
    assert stats.kstest(gains, stats.gamma(4).cdf).pvalue > 1e-4


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"n_receive": 0}, "n_receive is 0"),
        ({"k_db": math.inf}, "k is inf dB"),
        ({"k_db": math.nan}, "k is nan dB"),
    ],
)
def test_wrong_arrays_are_told(wrong: dict[str, float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        RicianMatrices(**{"key": 1, "n_receive": 1, "n_transmit": 1, **wrong})  # type: ignore[arg-type]


TR38901 = {
    "key": 5,
    "environment": "umi",
    "carrier_hz": 3.5e9,
    "n_receive": 2,
    "n_transmit": 1,
    "station_m": (0.0, 0.0, 10.0),
    "terminal_m": (60.0, 20.0, 1.5),
    "is_los": True,
}


def test_without_sionna_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sionna.phy", None)
    with pytest.raises(InputError, match=r"pip install 'edgesim\[sionna\]'"):
        Tr38901Matrices(**TR38901).matrices(1, 1e-3)  # type: ignore[arg-type]


def test_an_unknown_environment_is_told_without_sionna() -> None:
    with pytest.raises(InputError, match="did you mean 'umi'"):
        Tr38901Matrices(**{**TR38901, "environment": "umj"})  # type: ignore[arg-type]
