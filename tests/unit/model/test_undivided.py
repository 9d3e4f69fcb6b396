"""What of a block is not divided: Amdahl's law, and who computes it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from boards import MODEL, meeting
from small_models import handmade_profile

from edgesim.model.architecture import Slice
from edgesim.model.ceilings import Ceilings
from edgesim.model.scaling import AnalyticTiming, ScaledTiming
from edgesim.model.shard_timing import ShardTiming
from edgesim.model.sharding import to_heads
from edgesim.strategies.tensor_parallel import TensorParallel, Unsharded
from edgesim.world.device import Endpoint
from edgesim.world.fleet import Fleet

DECODE = {"batch": 1, "n_new": 1, "n_context": np.array([3, 40])}
CEILINGS = Ceilings(1e12, 1e9, 0.0)
BLOCKS = Slice(0, MODEL.n_blocks)


def seconds(shard, timing=None):
    return ShardTiming(timing or AnalyticTiming(MODEL, CEILINGS), shard).seconds(BLOCKS, **DECODE)


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("share", [0.1, 0.5])
def test_amdahl(n, share) -> None:
    """u of the whole, and of the rest a shard's part; who does not compute it pays the shard's alone."""
    shard, whole = to_heads([1.0] * n, MODEL)[0], to_heads([1.0], MODEL)[0]
    for computes in (True, False):
        told = seconds(replace(shard, undivided=share, computes_undivided=computes))
        truth = (1 - share) * seconds(shard) + computes * share * seconds(whole)
        np.testing.assert_allclose(told, truth, rtol=1e-12)


def test_members_are_told_apart_by_what_they_compute() -> None:
    timing = AnalyticTiming(MODEL, CEILINGS)
    shard = to_heads([1.0, 1.0], MODEL)[0]
    plain, root, other = (
        ShardTiming(timing, replace(shard, undivided=u, computes_undivided=c))
        for u, c in ((0.0, False), (0.2, True), (0.2, False))
    )
    assert not root.costs_as(other)
    assert not plain.costs_as(other)
    assert root.costs_as(ShardTiming(timing, root.shard))


def placed(where: str, world, n: int = 2):
    strategy = TensorParallel(over=("node",), size=n, unsharded=Unsharded(share=0.2, where=where))
    return [
        (shard.undivided, shard.computes_undivided)
        for shard in strategy.place(MODEL, Fleet.of(world)).shards.values()
    ]


def test_the_root_computes_it_for_all_or_everybody_for_himself() -> None:
    world = meeting((1.0, 1.0), Endpoint())
    assert placed("root", world) == [(0.2, True), (0.2, False)]
    assert placed("everywhere", world) == [(0.2, True), (0.2, True)]
    assert placed("root", world, n=1) == [(0.0, False)]


def test_measured_shards_have_what_every_member_computes_in_their_times() -> None:
    world = meeting((1.0, 1.0), Endpoint())
    profile = handmade_profile(MODEL, shards=(1, 2))
    scaled = replace(world.devices["node-1"], timing=ScaledTiming(profile, CEILINGS))
    world = replace(world, devices={**world.devices, "node-1": scaled})
    assert placed("everywhere", world) == [(0.2, True), (0.0, False)]
    assert placed("root", world) == [(0.2, True), (0.2, False)]
    # Its shard costs what was measured of one, with whatever is not divided.
    half = to_heads([1.0, 1.0], MODEL)[0]
    told = ShardTiming(profile.timing(), half).seconds(BLOCKS, batch=1, n_new=1, n_context=16)
    assert told == pytest.approx(
        float(profile.timing().seconds(BLOCKS, batch=1, n_new=1, n_context=16, n_shards=2))
    )
