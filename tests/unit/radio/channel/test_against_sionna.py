"""Propagation and matrices against Sionna's TR 38.901, an independent implementation of the same report."""

from __future__ import annotations

import importlib.util
import math
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from scipy import stats

from edgesim.radio.channel.sionna_matrices import Tr38901Matrices
from edgesim.rng import key_of

pytest.importorskip("sionna.phy", reason="sionna-no-rt is not installed: pip install 'edgesim[sionna]'")

BENCHMARK = Path(__file__).parents[4] / "benchmarks" / "radio_against_sionna.py"
N = 10_000
CARRIER_HZ = 3.5e9
# 99.99 % two-sided: with the fixed seeds below a failure means a wrong law, not bad luck.
Z = float(stats.norm.ppf(1 - 0.5e-4))


@pytest.fixture(scope="module")
def benchmark() -> ModuleType:
    spec = importlib.util.spec_from_file_location("radio_against_sionna", BENCHMARK)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where its dataclasses look for their annotations
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    "name",
    [
        *("umi", "uma", "umi-upstairs", "uma-upstairs"),
        *("inh-mixed", "inh-open", "inf-sl", "inf-dl", "inf-sh", "inf-dh"),
    ],
)
def test_path_losses_and_probabilities_of_sight_are_equal_over_ten_thousand_drops(
    benchmark: ModuleType, name: str
) -> None:
    found = benchmark.compare_formulas(name, N, CARRIER_HZ)
    # Double precision on both sides: some dozen operations on numbers below 256 dB.
    rounding_db = 50 * 256 * np.finfo(float).eps
    assert found.near_db < rounding_db
    assert found.nlos_db < rounding_db
    assert found.los_probability < 50 * np.finfo(float).eps
    # Beyond the break point by the known constant, no more and no less: c is 3e8 m/s in the report.
    known_db = benchmark.break_point_db(benchmark.CASES[name], CARRIER_HZ)
    assert known_db < 0.006
    assert found.far_db == pytest.approx(known_db, abs=rounding_db)


@pytest.mark.parametrize("name", ["umi", "uma"])
def test_large_scale_statistics_are_equal_over_ten_thousand_drops(benchmark: ModuleType, name: str) -> None:
    found = benchmark.compare_statistics(name, N, CARRIER_HZ)
    model = benchmark.CASES[name].model
    # Drops differ in their probability, so the share's variance is at most the binomial one at the mean.
    allowed = Z * math.sqrt(found.expected_los * (1 - found.expected_los) / N)
    assert found.los == pytest.approx((found.expected_los, found.expected_los), abs=allowed)
    for is_los, share in ((True, found.expected_los), (False, 1 - found.expected_los)):
        # Table 7.4.1-1's sigma on both sides, at 3.5 GHz too: neither takes the 7 dB that ns-3 has there.
        sigma_db = model.shadowing_db(is_los)
        n_in_state = N * (share - allowed)
        assert found.sigma_db[is_los] == pytest.approx(
            (sigma_db, sigma_db), rel=Z / math.sqrt(2 * n_in_state)
        )
        assert found.shadowing_p[is_los] > 1e-4
    assert found.loss_p > 1e-4
    mean_db, spread_db = model.rician_k_db(True)
    assert found.k_db[0] == pytest.approx(mean_db, abs=Z * spread_db / math.sqrt(found.n_k))
    assert found.k_db[1] == pytest.approx(spread_db, rel=Z / math.sqrt(2 * found.n_k))


@pytest.mark.parametrize("name", ["umi", "uma"])
@pytest.mark.parametrize("is_los", [True, False])
def test_shadowing_decorrelates_alike_along_a_street(benchmark: ModuleType, name: str, is_los: bool) -> None:
    found = benchmark.compare_correlation(name, N // 2, CARRIER_HZ, is_los, 12.0)
    expected = math.atanh(math.exp(-12.0 / benchmark.CASES[name].model.correlation_m(is_los)))
    # Fisher's transform of a correlation is normal with variance 1 / (n - 3).
    assert np.arctanh(found).tolist() == pytest.approx([expected, expected], abs=Z / math.sqrt(N // 2 - 3))


@pytest.mark.parametrize(("kind", "carrier_hz"), [("simple", 3.5e9), ("low-loss", 28e9), ("high-loss", 28e9)])
def test_building_entry_loses_alike(benchmark: ModuleType, kind: str, carrier_hz: float) -> None:
    found = benchmark.compare_entry(kind, N, carrier_hz)
    ours_db, theirs_db = found.sigma_db
    assert found.mean_db == pytest.approx(found.median_db, abs=Z * ours_db / math.sqrt(N) + 1e-9)
    assert theirs_db == pytest.approx(ours_db, rel=Z / math.sqrt(2 * N), abs=1e-9)


def matrices(environment: str, i: int, *, is_los: bool, speed_m_per_s: float = 0.0) -> Tr38901Matrices:
    return Tr38901Matrices(
        key=key_of(1, environment, i),
        environment=environment,
        carrier_hz=CARRIER_HZ,
        n_receive=4,
        n_transmit=2,
        station_m=(0.0, 0.0, 3.0 if environment == "inh" else 10.0),
        terminal_m=(60.0, 20.0, 1.5),
        is_los=is_los,
        velocity_m_per_s=(speed_m_per_s, 0.0, 0.0),
    )


@pytest.mark.parametrize("environment", ["umi", "uma", "inh"])
@pytest.mark.parametrize("is_los", [True, False])
def test_matrices_have_mean_power_one_over_links(environment: str, is_los: bool) -> None:
    powers = [
        float((np.abs(matrices(environment, i, is_los=is_los).matrices(1, 1e-3)) ** 2).mean())
        for i in range(25)
    ]
    allowed = stats.t.ppf(1 - 0.5e-4, 24) * np.std(powers, ddof=1) / 5
    assert np.mean(powers) == pytest.approx(1.0, abs=allowed)


def test_matrices_are_a_function_of_key_and_time() -> None:
    once = matrices("umi", 0, is_los=False, speed_m_per_s=3.0).matrices(4, 1e-3)
    matrices("uma", 1, is_los=True).matrices(2, 1e-3)  # another link's draws in between change nothing
    again = matrices("umi", 0, is_los=False, speed_m_per_s=3.0).matrices(6, 1e-3)
    assert once.shape == (4, 4, 2)
    assert np.array_equal(again[:4], once)
    assert not np.allclose(again[4], once[3])
    assert not np.allclose(matrices("umi", 2, is_los=False, speed_m_per_s=3.0).matrices(4, 1e-3), once)


def test_at_rest_a_matrix_does_not_change() -> None:
    still = matrices("umi", 3, is_los=True).matrices(3, 0.1)
    assert still[2] == pytest.approx(still[0], abs=1e-9)
