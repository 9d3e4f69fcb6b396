"""Times of unequal shards: equal to the measured ones where there are, and to closed forms between them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from small_models import LLAMA, handmade_profile

from edgesim.errors import InputError, ProfileError
from edgesim.model.architecture import Architecture, Component, Slice
from edgesim.model.ceilings import Ceilings
from edgesim.model.profile import Point, Profile, Timing
from edgesim.model.scaling import AnalyticTiming, ScaledTiming
from edgesim.model.shard_timing import EqualShards, ShardTiming
from edgesim.model.sharding import to_heads

DECODE = {"batch": 1, "n_new": 1, "n_context": 40}
HALVES = (Component.ATTENTION, Component.MLP)


@pytest.fixture
def model() -> Architecture:
    """16 groups of one head each, and a width that divides by 16: sixteenths round to themselves."""
    sizes = {"num_attention_heads": 16, "num_key_value_heads": 16, "head_dim": 4}
    return Architecture.from_config(LLAMA | sizes, name="sixteenths", dtype="bfloat16")


def profile(model: Architecture, overhead_s: float = 1e-3, shards: tuple[int, ...] = (1, 2, 4, 8)) -> Profile:
    """Handmade times and an overhead on each, a block's less than its halves' as it is in one piece."""
    made = handmade_profile(model, shards=shards)

    def slower(point: Point) -> Point:
        extra_s = overhead_s * (1.5 if point.component is Component.BLOCK else 1.0)
        return replace(point, median_s=point.median_s + extra_s)

    return replace(made, points=tuple(map(slower, made.points)))


def timings(model: Architecture) -> list[EqualShards]:
    measured = profile(model)
    target = Ceilings(flop_per_s=3e10, bytes_per_s=2e8, overhead_s=7e-4)
    return [measured.timing(), ScaledTiming(measured, target), AnalyticTiming(model, target)]


@pytest.mark.parametrize("which", [0, 1, 2])
@pytest.mark.parametrize("n_shards", [1, 2, 4, 8])
def test_an_equal_shard_costs_its_measured_time(model: Architecture, which: int, n_shards: int) -> None:
    timing = timings(model)[which]
    own: Timing = ShardTiming(timing, to_heads([1.0] * n_shards, model)[0])
    own.check(max_new=64, max_context=64)
    assert own.origin == timing.origin
    for part in (model.whole, Slice(2, 5)):
        for n_new, n_context in ((1, np.array([16, 40, 64])), (np.array([1, 30]), 0)):
            asked = {"batch": 1, "n_new": n_new, "n_context": n_context}
            got = own.seconds(part, **asked)
            np.testing.assert_allclose(got, timing.seconds(part, n_shards=n_shards, **asked), rtol=1e-14)
            assert got.shape == np.broadcast_shapes(np.shape(n_new), np.shape(n_context))


def test_halves_take_together_what_the_block_takes(model: Architecture) -> None:
    own = ShardTiming(profile(model).timing(), to_heads([11, 5], model)[0])
    halves = [float(own.half_seconds(half, **DECODE)) for half in HALVES]
    assert sum(halves) == pytest.approx(float(own.seconds(Slice(3, 4), **DECODE)), rel=1e-14)


def test_both_halves_at_once_are_each_by_itself(model: Architecture) -> None:
    own = ShardTiming(profile(model).timing(), to_heads([11, 5], model)[0])
    for half, told_s in zip(HALVES, own.halves_seconds(**DECODE), strict=True):
        assert told_s == own.half_seconds(half, **DECODE)


def test_who_costs_as_another_has_its_timing_and_its_shares(model: Architecture) -> None:
    timing, other = profile(model).timing(), profile(model, overhead_s=2e-3).timing()
    large, small, also_small = (ShardTiming(timing, shard) for shard in to_heads([2, 1, 1], model))

    assert small.costs_as(also_small)
    assert not small.costs_as(large)
    assert not small.costs_as(ShardTiming(other, small.shard))


@pytest.mark.parametrize("sixteenths", range(1, 17))
def test_overhead_stays_and_work_follows_the_share(model: Architecture, sixteenths: int) -> None:
    # Affine in the share, so that the line between two measured shards, and beyond the last, is the truth.
    own = ShardTiming(profile(model).timing(), to_heads([sixteenths, 16 - sixteenths], model)[0])
    work_s = (1 + 40 / 64) * 1e-3 * sixteenths / 16  # by_hand: attention 1 ms, MLP 2 ms, the block 3 ms
    block_s = 3 * work_s + 1.5e-3
    assert float(own.seconds(Slice(0, 1), **DECODE)) == pytest.approx(block_s, rel=1e-12)
    apart_s = 3 * work_s + 2e-3
    for half, parts in zip(HALVES, (1, 2), strict=True):
        told_s = (parts * work_s + 1e-3) * block_s / apart_s
        assert float(own.half_seconds(half, **DECODE)) == pytest.approx(told_s, rel=1e-12)


def test_noise_below_the_smallest_shard_never_makes_a_time_negative_or_larger(model: Architecture) -> None:
    def at(point: Point, quarter: float) -> Point:
        return replace(point, median_s=point.median_s * quarter) if point.n_shards == 4 else point

    shard = to_heads([1, 15], model)[0]  # half of the smallest measured
    smallest = profile(model, 0.0).timing().seconds(Slice(0, 1), n_shards=8, **DECODE)
    for quarter, bound in ((9.0, 0.5), (0.1, 1.0)):  # a line far too steep, and one that falls
        points = tuple(at(point, quarter) for point in profile(model, 0.0).points)
        timing = replace(profile(model, 0.0), points=points).timing()
        got = ShardTiming(timing, shard).seconds(Slice(0, 1), **DECODE)
        assert float(got) == pytest.approx(bound * float(smallest), rel=1e-12)


def test_an_empty_shard_costs_nothing_but_the_ends(model: Architecture) -> None:
    timing = profile(model).timing()
    own = ShardTiming(timing, to_heads([1, 0], model)[1])
    assert float(own.seconds(Slice(0, 6), **DECODE)) == 0.0
    ends = Slice(0, 0, embedding=True, head=True)
    assert float(own.seconds(model.whole, **DECODE)) == float(timing.seconds(ends, **DECODE))


def test_what_was_not_measured_is_refused(model: Architecture) -> None:
    with pytest.raises(InputError, match="measure again with --shard"):
        ShardTiming(profile(model, shards=(1,)).timing(), to_heads([2, 1], model)[0]).check(
            max_new=4, max_context=16
        )
    with pytest.raises(ProfileError, match="requested a"):
        ShardTiming(profile(model).timing(), to_heads([2, 1], model)[0]).check(max_new=999, max_context=0)
