"""Scaled times fall nowhere: for every device kind and profile that ship, and for any ceilings and times."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from small_models import LLAMA, handmade_profile

from edgesim.model.architecture import Architecture, Component, FloatArray, Slice
from edgesim.model.ceilings import Ceilings
from edgesim.model.profile import MARGIN, Phase, Profile, SurfaceKey
from edgesim.model.scaling import AnalyticTiming, ScaledTiming
from edgesim.model.shard_timing import EqualShards, ShardTiming
from edgesim.model.sharding import to_heads
from edgesim.model.shipped import load_shipped, shipped_profiles
from edgesim.scenario import catalogue

KINDS = [name for name, kind in catalogue.device_kinds().items() if not kind.is_profiled_host]
PROFILES = list(shipped_profiles())
ROUNDING = 1e-12  # of sums of a surface's weights

Read = Callable[..., FloatArray]


@cache
def shipped(name: str) -> Profile:
    return load_shipped(name)


def ceilings(kind: str, dtype: str) -> Ceilings:
    found = catalogue.device_kind(kind).ceilings(dtype)
    assert found is not None
    return found


def fall(seconds: FloatArray, axis: int = -1) -> float:
    """The largest relative fall from one value to the next; 0 where all rise."""
    lower, upper = np.delete(seconds, -1, axis), np.delete(seconds, 0, axis)
    return float(np.max((lower - upper) / lower, initial=0.0))


def largest(profile: Profile) -> tuple[int, int, int]:
    """Batch, prompt and context up to which a profile may be asked."""
    decode = profile.surfaces[SurfaceKey(Component.BLOCK, Phase.DECODE)].largest
    prefill = profile.surfaces[SurfaceKey(Component.BLOCK, Phase.PREFILL)].largest
    return int(decode[0]), int(prefill[1] * MARGIN), int(decode[2] * MARGIN)


@cache
def counts(first: int, last: int) -> NDArray[np.int64]:
    """Every count up to 40, powers of two and their neighbours, 60 at random, and the last."""
    doubling = [2**k + step for k in range(5, last.bit_length()) for step in (-1, 0, 1)]
    drawn = np.random.default_rng(last).integers(first, last + 1, 60)
    found = np.unique(np.concatenate([np.arange(first, 41), doubling, drawn, [last - 1, last]]))
    return found[found <= last]


def assert_rises(read: Read, limits: tuple[int, int, int], first_context: int = 1) -> None:
    """Dense where they are short, random where long; between the grid's points, and behind the last."""
    max_batch, max_new, max_context = limits
    assert fall(read(batch=1, n_new=counts(1, max_new), n_context=0)) <= ROUNDING
    contexts = counts(first_context, max_context)
    decodes = np.stack([read(batch=b, n_new=1, n_context=contexts) for b in range(1, max_batch + 1)])
    assert fall(decodes, 0) <= ROUNDING
    assert fall(decodes, 1) <= ROUNDING


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", PROFILES)
def test_scaled_times_rise_with_tokens_context_and_batch(kind: str, name: str) -> None:
    profile = shipped(name)
    model, limits = profile.architecture, largest(profile)
    for bytes_per_weight in (None, 0.5625):
        scaled = ScaledTiming(profile, ceilings(kind, model.dtype), model.quantised(bytes_per_weight))

        def whole(timing: ScaledTiming = scaled, **call: object) -> FloatArray:
            return timing.seconds(model.whole, **call)  # type: ignore[arg-type]

        assert_rises(whole, limits)
        for n_shards in scaled.shards:

            def blocks(timing: ScaledTiming = scaled, n: int = n_shards, **call: object) -> FloatArray:
                return timing.seconds(Slice(0, 1), n_shards=n, **call)  # type: ignore[arg-type]

            assert_rises(blocks, limits, first_context=0)  # a token behind none is the shortest prompt


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", [name for name in PROFILES if len(shipped(name).shards) > 1])
def test_shards_rise_too_and_take_no_longer_than_larger_ones(kind: str, name: str) -> None:
    profile = shipped(name)
    model, limits = profile.architecture, largest(profile)
    scaled = ScaledTiming(profile, ceilings(kind, model.dtype))
    contexts = counts(1, limits[2])
    for batch in (1, 3, limits[0]):
        call = {"batch": batch, "n_new": 1, "n_context": contexts}
        equal = [scaled.seconds(Slice(0, 1), n_shards=n, **call) for n in reversed(scaled.shards)]
        assert fall(np.stack(equal), 0) <= ROUNDING
    for shard in to_heads([3, 5, 0.4], model):  # one is below the smallest that was measured
        own = ShardTiming(scaled, shard)

        def block(timing: ShardTiming = own, **call: object) -> FloatArray:
            return timing.seconds(Slice(0, 1), **call)  # type: ignore[arg-type]

        assert_rises(block, limits, first_context=0)
        for half in (Component.ATTENTION, Component.MLP):

            def part(timing: ShardTiming = own, of: Component = half, **call: object) -> FloatArray:
                return timing.half_seconds(of, **call)  # type: ignore[arg-type]

            assert_rises(part, limits, first_context=0)


@pytest.mark.parametrize("kind", KINDS)
def test_analytic_times_rise_for_every_model(kind: str) -> None:
    for name in catalogue.models():
        model = catalogue.model(name).architecture("bfloat16")
        timing = AnalyticTiming(model, ceilings(kind, "bfloat16"))
        longest = min(model.max_context, 9000)
        n_new = np.unique(np.geomspace(1, longest, 150).astype(np.int64))

        def whole(timing: AnalyticTiming = timing, **call: object) -> FloatArray:
            return timing.seconds(timing.architecture.whole, **call)  # type: ignore[arg-type]

        assert fall(whole(batch=1, n_new=n_new, n_context=0)) <= ROUNDING
        if model.is_causal:
            decodes = np.stack([whole(batch=b, n_new=1, n_context=n_new) for b in (1, 2, 3, 8, 64)])
            assert fall(decodes, 0) <= ROUNDING
            assert fall(decodes, 1) <= ROUNDING


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", PROFILES)
def test_no_scaled_time_is_below_the_devices_own_roofline(kind: str, name: str) -> None:
    profile = shipped(name)
    model, roof = profile.architecture, ceilings(kind, profile.architecture.dtype)
    scaled = ScaledTiming(profile, roof)
    max_batch, max_new, max_context = largest(profile)
    for component in (Component.ATTENTION, Component.MLP, Component.HEAD, Component.EMBEDDING):
        for call in (
            {"batch": 1, "n_new": np.arange(1, max_new + 1), "n_context": 0},
            {"batch": max_batch, "n_new": 1, "n_context": np.arange(16, max_context + 1)},
        ):
            told_s = scaled.component_seconds(component, **call)  # type: ignore[arg-type]
            least_s = roof.roofline_s(*model.work_arrays(component, **call))  # type: ignore[arg-type]
            assert np.all(told_s >= least_s * (1 - ROUNDING))


RATES = st.floats(9.0, 16.0).map(lambda exponent: 10.0**exponent)
FACTORS = st.lists(st.floats(0.3, 3.0), min_size=60, max_size=60)


@given(RATES, RATES, st.floats(0.0, 1e-2), FACTORS, st.integers(1, 15))
@settings(max_examples=30, deadline=None)
def test_they_rise_for_any_ceilings_and_any_noise(
    flop_per_s: float, bytes_per_s: float, overhead_s: float, factors: list[float], heads: int
) -> None:
    sizes = {"num_attention_heads": 16, "num_key_value_heads": 16, "head_dim": 4}
    model = Architecture.from_config(LLAMA | sizes, name="noisy", dtype="bfloat16")
    made = handmade_profile(model, batches=(1, 2, 4), shards=(1, 2, 4))
    points = tuple(
        replace(point, median_s=point.median_s * factors[i % len(factors)])
        for i, point in enumerate(made.points)
    )
    profile = replace(made, points=points)
    scaled = ScaledTiming(profile, Ceilings(flop_per_s, bytes_per_s, overhead_s))
    own: list[EqualShards | ShardTiming] = [
        scaled,
        ShardTiming(scaled, to_heads([heads, 16 - heads], model)[0]),
    ]
    for timing in own:

        def block(timing: EqualShards | ShardTiming = timing, **call: object) -> FloatArray:
            return timing.seconds(Slice(0, 1), **call)  # type: ignore[arg-type]

        news, contexts = np.arange(1, 71), np.arange(0, 71)
        prompts = np.stack([block(batch=b, n_new=news, n_context=0) for b in (1, 2, 3, 4)])
        decodes = np.stack([block(batch=b, n_new=1, n_context=contexts) for b in (1, 2, 3, 4)])
        for seconds in (prompts, decodes):
            assert max(fall(seconds, 0), fall(seconds, 1)) <= ROUNDING


def test_more_tokens_and_more_sequences_take_longer_on_an_orin_nano() -> None:
    """Its ridge lies at 98 FLOP per byte, the host's at 22: what is bound by compute there is not here."""
    profile = shipped("tinyllama-1.1b-bfloat16-epyc")
    whole = profile.architecture.whole
    scaled = ScaledTiming(profile, ceilings("jetson-orin-nano", "bfloat16"))
    short_s, long_s = scaled.seconds(whole, batch=1, n_new=np.array([24, 96]), n_context=0)
    assert short_s < long_s
    one_s, two_s = (float(scaled.seconds(whole, batch=b, n_new=1, n_context=100)) for b in (1, 2))
    assert one_s <= two_s
    # 24 tokens are bound by reading the weights once there, at what the host achieves of its bandwidth.
    roof = ceilings("jetson-orin-nano", "bfloat16")
    reading_s = profile.architecture.weight_bytes(Slice(0, 22)) / roof.bytes_per_s
    calls_s = 25 * roof.overhead_s
    assert reading_s + calls_s < short_s < 1.5 * reading_s + calls_s


def test_measured_times_stay_as_they_are_on_their_host() -> None:
    profile = shipped("tinyllama-1.1b-float32-epyc")
    call = {"batch": 1, "n_new": np.arange(1, 513), "n_context": 0}
    measured_s = profile.timing().seconds(profile.architecture.whole, **call)  # type: ignore[arg-type]
    same = ScaledTiming(profile, profile.ceilings)
    assert fall(measured_s) > 0.05  # a kernel of this host takes longer for three rows than for five
    np.testing.assert_array_equal(same.seconds(profile.architecture.whole, **call), measured_s)  # type: ignore[arg-type]
    assert not same.corrections
    target = replace(profile.ceilings, flop_per_s=2 * profile.ceilings.flop_per_s)
    changes = ScaledTiming(profile, target).corrections
    assert changes[Component.BLOCK].n_changed > 0
    assert 0 < changes[Component.BLOCK].largest < 0.3


def test_prompts_in_other_batches_than_decodes_rise_too() -> None:
    """A node between two of prompts, where decode steps bend, bends prompts of one token with them."""
    model = Architecture.from_config(LLAMA, name="batches", dtype="bfloat16")
    made = handmade_profile(model, batches=(1, 2, 4))
    steps = {1: 1.0, 2: 1.05, 4: 3.0}
    points = tuple(
        replace(p, median_s=p.median_s * (steps[p.batch] if p.phase is Phase.DECODE else 2.0))
        for p in made.points
        if p.phase is Phase.DECODE or p.batch != 2
    )
    scaled = ScaledTiming(replace(made, points=points), Ceilings(2e10, 2e9, 1e-4))
    call = {"n_new": 1, "n_context": np.arange(0, 65)}
    seconds = np.stack([scaled.seconds(Slice(0, 1), batch=b, **call) for b in (1, 2, 3, 4)])  # type: ignore[arg-type]
    assert max(fall(seconds, 0), fall(seconds, 1)) <= ROUNDING
