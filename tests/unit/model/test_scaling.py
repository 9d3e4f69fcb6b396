"""Scaling against the formula worked by hand, and its limits."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from edgesim.model.architecture import Architecture, Component, Slice
from edgesim.model.ceilings import Ceilings
from edgesim.model.profile import Profile, Timing
from edgesim.model.scaling import AnalyticTiming, ScaledTiming

DECODE = {"batch": 1, "n_new": 1, "n_context": 16}
PREFILL = {"batch": 1, "n_new": 64, "n_context": 0}


def test_the_hosts_own_ceilings_give_the_measured_times_to_the_last_bit(profile: Profile) -> None:
    scaled: Timing = ScaledTiming(profile, profile.ceilings)
    whole, contexts = profile.architecture.whole, np.arange(1, 65)
    measured = profile.timing().seconds(whole, batch=1, n_new=1, n_context=contexts)

    assert scaled.origin == "scaled"
    np.testing.assert_array_equal(scaled.seconds(whole, batch=1, n_new=1, n_context=contexts), measured)


def test_a_component_scales_by_the_formula(profile: Profile) -> None:
    target = Ceilings(flop_per_s=3e10, bytes_per_s=2e8, overhead_s=7e-4)
    work = profile.architecture.work(Component.HEAD, **DECODE)
    measured = float(profile.component_seconds(Component.HEAD, **DECODE))
    efficiency = math.hypot(work.flop / 1e10, work.moved_bytes / 1e9) / (measured - 1e-4)

    got = ScaledTiming(profile, target).component_seconds(Component.HEAD, **DECODE)
    assert got == pytest.approx(
        math.hypot(work.flop / 3e10, work.moved_bytes / 2e8) / efficiency + 7e-4, rel=1e-12
    )
    # Far from the ridge of either machine it is their bandwidths that count, whatever they compute.
    assert got == pytest.approx((measured - 1e-4) * 5 + 7e-4, rel=0.01)


def test_prefill_follows_compute_and_decode_follows_memory(profile: Profile) -> None:
    """Deep in one regime on both machines a time changes as that regime's rate alone."""
    intensity = {"decode": 1.0, "prefill": 28.0}  # FLOP per byte of the MLP: about 1, and 28 of 64 tokens
    call = {"decode": DECODE, "prefill": PREFILL}

    def gain(phase: str, ridge: float, compute: float, memory: float) -> float:
        host = Ceilings(flop_per_s=ridge * 1e9, bytes_per_s=1e9)
        scaled = ScaledTiming(
            replace(profile, ceilings=host), Ceilings(host.flop_per_s * compute, host.bytes_per_s * memory)
        )
        ratio = profile.component_seconds(Component.MLP, **call[phase]) / scaled.component_seconds(
            Component.MLP, **call[phase]
        )
        return float(ratio)

    assert gain("decode", 200.0, 4.0, 1.0) == pytest.approx(1, rel=1e-4)
    assert gain("decode", 200.0, 1.0, 4.0) == pytest.approx(4, rel=1e-3)
    assert gain("prefill", 0.1, 1.0, 4.0) == pytest.approx(1, rel=1e-4)
    assert gain("prefill", 0.1, 4.0, 1.0) == pytest.approx(4, rel=1e-3)
    at_the_ridge = gain("prefill", intensity["prefill"], 1.0, 1e9)  # half of the square is left, or so
    assert at_the_ridge == pytest.approx(math.sqrt(2), rel=0.05)


def test_a_block_changes_as_its_halves_do_together(profile: Profile) -> None:
    target = Ceilings(flop_per_s=1e10, bytes_per_s=2.5e8, overhead_s=1e-4)
    scaled = ScaledTiming(profile, target)
    halves_s: list[float] = []
    for half in (Component.ATTENTION, Component.MLP):
        work = profile.architecture.work(half, **DECODE)
        measured = float(profile.component_seconds(half, **DECODE))
        # The halves alone are charged a full overhead each; within a block they share one.
        efficiency = math.hypot(work.flop / 1e10, work.moved_bytes / 1e9) / (measured - 5e-5)
        halves_s.append(math.hypot(work.flop / 1e10, work.moved_bytes / 2.5e8) / efficiency + 5e-5)
        assert scaled.component_seconds(half, **DECODE) == pytest.approx(halves_s[-1])

    assert scaled.component_seconds(Component.BLOCK, **DECODE) == pytest.approx(sum(halves_s))


def test_overhead_alone_stays_overhead(profile: Profile) -> None:
    slow = replace(profile, ceilings=Ceilings(1e10, 1e9, overhead_s=1.0))  # above every measured time
    measured = profile.component_seconds(Component.HEAD, **DECODE)
    fast = Ceilings(1e15, 1e15, overhead_s=3.0)
    assert ScaledTiming(slow, fast).component_seconds(Component.HEAD, **DECODE) == pytest.approx(3 * measured)
    # What it reads and computes, it reads and computes at the target's rates all the same.
    work = profile.architecture.work(Component.HEAD, **DECODE)
    poor = Ceilings(1e15, 1.0, overhead_s=3.0)
    got = ScaledTiming(slow, poor).component_seconds(Component.HEAD, **DECODE)
    assert got == pytest.approx(work.moved_bytes + 3 * measured)


def test_a_generation_step_scales_with_the_overhead(profile: Profile) -> None:
    target = Ceilings(flop_per_s=1.0, bytes_per_s=1.0, overhead_s=3e-4)
    measured = profile.component_seconds(Component.STEP, **DECODE)

    assert ScaledTiming(profile, target).component_seconds(Component.STEP, **DECODE) == pytest.approx(
        3 * measured
    )


def test_analytic_times_are_roofline_and_overhead(llama: Architecture) -> None:
    ceilings = Ceilings(flop_per_s=1e10, bytes_per_s=1e9, overhead_s=1e-3)
    timing: Timing = AnalyticTiming(llama, ceilings)
    work = llama.work(Component.BLOCK, **DECODE)
    block_s = max(work.flop / 1e10, work.moved_bytes / 1e9) + 1e-3

    assert timing.seconds(Slice(1, 4), **DECODE) == pytest.approx(3 * block_s)
    assert timing.origin == "analytic"
    timing.check(max_new=10**6, max_context=10**6)


def test_impossible_ceilings_are_refused() -> None:
    with pytest.raises(ValueError, match="positive rates"):
        Ceilings(flop_per_s=0.0, bytes_per_s=1.0)
