"""Quantised weights: what shrinks, what stays, and what the times are scaled by."""

from __future__ import annotations

import numpy as np
import pytest

from edgesim.errors import InputError
from edgesim.model.architecture import Architecture, Component, Slice
from edgesim.model.calibration import Measurement, predicted_s
from edgesim.model.ceilings import Ceilings
from edgesim.model.profile import Profile
from edgesim.model.scaling import AnalyticTiming, ScaledTiming
from edgesim.model.weights import WEIGHT_FORMATS

DECODE = {"batch": 1, "n_new": 1, "n_context": 16}


@pytest.mark.parametrize(
    ("name", "n_weights", "n_bytes"),
    [
        ("q40", 32, 18),  # llama.cpp: block_q4_0 has a 2-byte scale and 16 bytes of nibbles
        ("q80", 32, 34),  # block_q8_0: a 2-byte scale and 32 bytes
        ("int8", 1, 1),
        ("int4", 256, 133),  # two groups of 128: 128 bytes, two 2-byte scales, two 4-bit zero points
    ],
)
def test_formats_take_the_bytes_of_their_blocks(name: str, n_weights: int, n_bytes: int) -> None:
    assert WEIGHT_FORMATS[name] * n_weights == n_bytes


def test_weights_shrink_and_cache_and_activations_stay(llama: Architecture) -> None:
    small = llama.quantised(0.5625)
    assert small.weight_bytes(small.whole) == -(-llama.n_parameters * 9 // 16)
    assert small.parts_bytes([small.whole]) < llama.parts_bytes([llama.whole]) / 3
    assert small.n_parameters == llama.n_parameters
    assert small.kv_bytes_per_token(6) == llama.kv_bytes_per_token(6)
    assert small.activation_bytes(3) == llama.activation_bytes(3)


@pytest.mark.parametrize("component", [Component.ATTENTION, Component.MLP, Component.BLOCK, Component.HEAD])
def test_a_call_reads_its_weights_in_fewer_bytes_and_computes_the_same(
    llama: Architecture, component: Component
) -> None:
    plain, small = (model.work(component, **DECODE) for model in (llama, llama.quantised(0.5)))
    n_saved = llama.component_parameters(component) * (llama.dtype_bytes - 0.5)
    assert small.flop == plain.flop
    assert plain.moved_bytes - small.moved_bytes == pytest.approx(n_saved)


def test_it_is_another_model_to_a_digest_and_the_same_when_plain(llama: Architecture) -> None:
    small = llama.quantised(0.5625)
    assert len({llama.digest, small.digest, llama.quantised(1.0).digest}) == 3
    assert small.plain == llama
    assert small.shard(2).quantised(None) == llama.shard(2)
    assert llama.quantised(None) == llama


@pytest.mark.parametrize("size", [0.0, -1.0, 4.5, float("nan")])
def test_what_is_no_size_of_a_weight_is_refused(llama: Architecture, size: float) -> None:
    with pytest.raises(InputError, match="bytes per weight"):
        llama.quantised(size)


def test_analytic_times_are_those_that_calibration_fits(llama: Architecture) -> None:
    """The two ends of one formula: a device calibrated from quantised rates gives them back."""
    row = Measurement(
        model=llama,
        phase="decode",
        n_prompt_tokens=16,
        n_output_tokens=2,
        seconds=1.0,
        bytes_per_weight=0.5625,
    )
    ceilings = Ceilings(flop_per_s=1e10, bytes_per_s=1e9, overhead_s=1e-4)
    told_s = predicted_s(row, flop_per_s=1e10, bytes_per_s=1e9, overhead_s=1e-4)
    timing = AnalyticTiming(llama.quantised(0.5625), ceilings)
    assert float(timing.seconds(llama.whole, **DECODE)) == pytest.approx(told_s, rel=1e-12)


def test_scaled_times_follow_the_bytes_where_memory_binds(profile: Profile) -> None:
    model = profile.architecture
    target = Ceilings(flop_per_s=1e15, bytes_per_s=2e8, overhead_s=0.0)
    plain, small = (ScaledTiming(profile, target, model.quantised(size)) for size in (None, 0.5))
    by_bytes = model.work(Component.HEAD, **DECODE).moved_bytes
    saved = model.component_parameters(Component.HEAD) * 1.5
    ratio = small.component_seconds(Component.HEAD, **DECODE) / plain.component_seconds(
        Component.HEAD, **DECODE
    )
    assert float(ratio) == pytest.approx(1 - saved / by_bytes)


def test_where_compute_binds_nothing_is_gained(profile: Profile) -> None:
    target = Ceilings(flop_per_s=1e3, bytes_per_s=1e15)
    call = {"batch": 1, "n_new": 64, "n_context": 0}
    plain, small = (ScaledTiming(profile, target, profile.architecture.quantised(s)) for s in (None, 0.5))
    assert small.seconds(Slice(0, 6), **call) == plain.seconds(Slice(0, 6), **call)


def test_on_the_host_itself_they_are_scaled_and_not_measured(profile: Profile) -> None:
    """At the host's own ceilings plain weights give the measured time, and quantised ones a shorter one."""
    whole = profile.architecture.whole
    plain = ScaledTiming(profile, profile.ceilings, profile.architecture)
    small = ScaledTiming(profile, profile.ceilings, profile.architecture.quantised(0.5))
    measured_s = profile.timing().seconds(whole, **DECODE)
    np.testing.assert_array_equal(plain.seconds(whole, **DECODE), measured_s)
    assert small.seconds(whole, **DECODE) < measured_s
    assert small.origin == "scaled"


def test_another_model_is_not_scaled_by_mistake(profile: Profile, gpt2: Architecture) -> None:
    with pytest.raises(ValueError, match="cannot be scaled from a profile of small-llama"):
        ScaledTiming(profile, profile.ceilings, gpt2)
