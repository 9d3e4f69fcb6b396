"""The outer loop: step by step, and where it settles."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from edgesim.errors import InputError
from edgesim.radio.adaptation.nr import Nr
from edgesim.radio.adaptation.outer_loop import (
    Adapting,
    OuterLoop,
    estimate_ratio_db,
    estimate_spread,
    mean_first_error,
    settled_offset_db,
)
from edgesim.radio.adaptation.shannon import Shannon
from edgesim.radio.adaptation.wifi import Wifi

TARGET = 0.1


def linear(db: float) -> float:
    return 10.0 ** (0.1 * db)


@pytest.mark.parametrize("power_correlation", [0.0, 0.5, 0.9, 0.99])
def test_quantiles_of_the_ratio_against_drawn_channels(power_correlation: float) -> None:
    rng = np.random.default_rng(7)
    n = 100_000
    gain, noise = rng.normal(size=(2, 2, n))
    estimate = math.sqrt(power_correlation) * gain + math.sqrt(1.0 - power_correlation) * noise
    ratio_db = 10.0 * np.log10((gain**2).sum(axis=0) / (estimate**2).sum(axis=0))
    for probability in (0.01, 0.1, 0.5, 0.9, 0.99):
        below = int((ratio_db <= estimate_ratio_db(probability, power_correlation)).sum())
        low, high = stats.binomtest(below, n).proportion_ci(0.9999)
        assert low <= probability <= high


def test_perfect_knowledge_has_no_spread() -> None:
    assert estimate_ratio_db(0.01, 1.0) == 0.0


def test_a_step_up_and_a_step_down() -> None:
    loop = OuterLoop(target_bler=0.1, step_db=0.9)
    assert loop.update(acknowledged=False).offset_db == pytest.approx(0.9)
    assert loop.update(acknowledged=True).offset_db == pytest.approx(-0.1)
    assert OuterLoop(0.1, 1.0, 40.0).update(acknowledged=False).offset_db == 40.0


INTERFACES: list[tuple[Adapting, float, float]] = [
    (Nr(40e6), 40e6, 0.99),
    (Nr(40e6), 40e6, 1.0),
    (Nr(20e6, 15e3, mcs_table=2, cqi_table=2), 20e6, 0.9),
    (Wifi("ac"), 20e6, 0.95),
    (Shannon(cap=6.0), 10e6, 0.9),
]


@pytest.mark.parametrize(("air", "bandwidth_hz", "correlation"), INTERFACES[:4], ids=range(4))
def test_the_settled_offset_meets_the_target(air: Adapting, bandwidth_hz: float, correlation: float) -> None:
    offset_db = settled_offset_db(air, bandwidth_hz, correlation)
    errors = estimate_spread(correlation)
    # Bisected to 0.001 dB: the errors 0.001 dB to either side enclose the target.
    assert mean_first_error(air, bandwidth_hz, offset_db - 1e-3, errors) >= TARGET
    assert mean_first_error(air, bandwidth_hz, offset_db + 1e-3, errors) <= TARGET


def test_the_settled_offset_of_capacity_in_closed_form() -> None:
    # Shannon fails exactly when the true ratio falls short of the lowered estimate: F(1/Δ) is the target,
    # so Δ is 1/F⁻¹(target). A step is not smooth, and the nodes leave one weight of probability open.
    found_db = settled_offset_db(Shannon(cap=6.0), 10e6, 0.9)
    open_to = max(weight for weight, ratio_db in estimate_spread(0.9) if ratio_db <= -found_db + 1.0)
    low_db = -estimate_ratio_db(TARGET + open_to, 0.9)
    high_db = -estimate_ratio_db(TARGET - open_to, 0.9)
    assert low_db <= found_db <= high_db


@pytest.mark.parametrize("correlation", [0.0, 0.5, 0.99])
def test_the_spread_has_the_mean_of_a_smooth_function(correlation: float) -> None:
    # E[1/(1+z)] = 1/2, whatever the correlation: z and 1/z have one law, and 1/(1+z) + 1/(1+1/z) = 1. By
    # symmetry that would hold for any symmetric nodes; E[z/(1+z)²] does not: for independent gains z/(1+z)
    # is uniform, so it is 1/6.
    spread = estimate_spread(correlation)
    assert sum(weight for weight, _ in spread) == pytest.approx(1.0)
    assert sum(weight / (1.0 + linear(ratio_db)) for weight, ratio_db in spread) == pytest.approx(0.5)
    if correlation == 0.0:
        second = sum(weight * linear(ratio_db) / (1.0 + linear(ratio_db)) ** 2 for weight, ratio_db in spread)
        assert second == pytest.approx(1.0 / 6.0, rel=1e-5)


@pytest.mark.parametrize(("air", "bandwidth_hz", "correlation"), INTERFACES[:4], ids=range(4))
def test_the_loop_settles_where_the_equation_says(
    air: Adapting, bandwidth_hz: float, correlation: float
) -> None:
    """Run the loop step by step, and compare its long-run errors and offset with the solved ones."""
    rng = np.random.default_rng(11)
    n, step_db = 40_000, 0.02
    settled_db = settled_offset_db(air, bandwidth_hz, correlation)
    low_db, high_db = air.reach_db(bandwidth_hz)
    lowered_db = rng.uniform(low_db, high_db, n).tolist()
    drawn, coins = rng.uniform(size=n), rng.uniform(size=n).tolist()
    spread_db = [estimate_ratio_db(probability, correlation) for probability in drawn.tolist()]
    loop = OuterLoop(TARGET, step_db, settled_db)
    n_failed, total_db = 0, 0.0
    for lowered, ratio_db, coin in zip(lowered_db, spread_db, coins, strict=True):
        total_db += loop.offset_db
        grant = air.grant(linear(lowered), bandwidth_hz)
        failed = coin < air.errors(grant, linear(lowered + loop.offset_db + ratio_db))[0]
        n_failed += failed
        loop = loop.update(acknowledged=not failed)
    # Errors: every error moves the offset up by s, every success down by s·p/(1−p); so what the loop has
    # moved is (failed − n·p)·s/(1−p), exactly.
    moved_db = (n_failed - n * TARGET) * step_db / (1.0 - TARGET)
    assert loop.offset_db - settled_db == pytest.approx(moved_db, abs=1e-6)
    # Offset: near the root f(Δ) ≈ p + f'·(Δ−Δ*), and the mean of n steps has standard deviation
    # √(p(1−p)/n)/|f'|, whatever the step. Four of them, and one step up for what is not linear.
    errors = estimate_spread(correlation)
    slope = (
        mean_first_error(air, bandwidth_hz, settled_db + 0.2, errors)
        - mean_first_error(air, bandwidth_hz, settled_db - 0.2, errors)
    ) / 0.4
    deviation_db = math.sqrt(TARGET * (1.0 - TARGET) / n) / abs(slope)
    assert abs(total_db / n - settled_db) <= 4.0 * deviation_db + step_db


def test_worse_knowledge_needs_a_larger_offset() -> None:
    offsets_db = [settled_offset_db(Nr(40e6), 40e6, correlation) for correlation in (0.999, 0.99, 0.9, 0.5)]
    assert offsets_db == sorted(offsets_db)


def test_a_stricter_target_needs_a_larger_offset() -> None:
    offsets_db = [settled_offset_db(Nr(40e6), 40e6, 0.9, target_bler=target) for target in (0.3, 0.1, 0.03)]
    assert offsets_db == sorted(offsets_db)


def test_a_target_out_of_reach_is_refused() -> None:
    with pytest.raises(InputError, match="raise the target or the correlation"):
        settled_offset_db(Wifi(), 20e6, 0.0, target_bler=1e-9)
    with pytest.raises(InputError, match="expected 0 to 1"):
        settled_offset_db(Wifi(), 20e6, 1.5)
