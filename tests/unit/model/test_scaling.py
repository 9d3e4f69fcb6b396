"""Scaling against the formula worked by hand, and its limits."""

from __future__ import annotations

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
    host_roof = max(work.flop / 1e10, work.moved_bytes / 1e9)
    target_roof = max(work.flop / 3e10, work.moved_bytes / 2e8)
    measured = float(profile.component_seconds(Component.HEAD, **DECODE))

    got = ScaledTiming(profile, target).component_seconds(Component.HEAD, **DECODE)
    assert got == pytest.approx((measured - 1e-4) * target_roof / host_roof + 7e-4)


def test_prefill_follows_compute_and_decode_follows_memory(profile: Profile) -> None:
    balance = 5.0  # FLOP per byte: above this a call is bound by compute
    host = Ceilings(flop_per_s=balance * 1e9, bytes_per_s=1e9)
    profile = replace(profile, ceilings=host)
    faster = {
        "compute": Ceilings(host.flop_per_s * 4, host.bytes_per_s),
        "memory": Ceilings(host.flop_per_s, host.bytes_per_s * 4),
    }

    def gain(which: str, call: dict[str, int]) -> float:
        scaled = ScaledTiming(profile, faster[which]).component_seconds(Component.MLP, **call)
        return float(profile.component_seconds(Component.MLP, **call) / scaled)

    assert gain("compute", DECODE) == pytest.approx(1)
    assert gain("memory", DECODE) == pytest.approx(4)
    assert gain("memory", PREFILL) == pytest.approx(1)
    assert 1 < gain("compute", PREFILL) <= 4


def test_a_block_changes_as_its_halves_do_together(profile: Profile) -> None:
    scaled = ScaledTiming(profile, Ceilings(flop_per_s=1e10, bytes_per_s=2.5e8, overhead_s=1e-4))
    halves = [
        (float(timing.component_seconds(half, **DECODE)))
        for timing in (profile.timing(), scaled)
        for half in (Component.ATTENTION, Component.MLP)
    ]
    block = float(profile.component_seconds(Component.BLOCK, **DECODE))
    # The halves alone are charged a full overhead each; within a block they share one.
    attention, mlp = ((t - 5e-5) * 4 + 5e-5 for t in halves[:2])

    got = scaled.component_seconds(Component.BLOCK, **DECODE)
    assert got == pytest.approx(block * (attention + mlp) / sum(halves[:2]))


def test_overhead_alone_stays_overhead(profile: Profile) -> None:
    slow = replace(profile, ceilings=Ceilings(1e10, 1e9, overhead_s=1.0))  # above every measured time
    target = Ceilings(1.0, 1.0, overhead_s=3.0)
    measured = profile.component_seconds(Component.HEAD, **DECODE)

    assert ScaledTiming(slow, target).component_seconds(Component.HEAD, **DECODE) == pytest.approx(
        3 * measured
    )


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
