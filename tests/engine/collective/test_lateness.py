"""Members that are late: against a loop over members and sums, and the mean of the latest in closed form."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from boards import MODEL, meeting, on_air
from miniature import run

from edgesim.model.architecture import Component, Slice
from edgesim.model.lateness.laws import ExponentialLateness, GammaLateness
from edgesim.model.shard_timing import ShardTiming
from edgesim.rng import key_of, keyed_uniform
from edgesim.strategies.tensor_parallel import TensorParallel
from edgesim.world.device import Endpoint
from edgesim.world.fleet import Fleet
from edgesim.world.world import World

STRATEGY = TensorParallel(over=("node",), per_sum="0.2 ms")
LAWS = (ExponentialLateness(3e-4), None, GammaLateness(2e-3, 2.0))


def late(world: World, laws) -> World:
    devices = {f"node-{n}": replace(world.devices[f"node-{n}"], lateness=law) for n, law in enumerate(laws)}
    return replace(world, devices={**world.devices, **devices})


def waits(told) -> list[tuple[int, int, float]]:
    """Request, token and length of every pass."""
    spans = told.spans[(told.spans["kind"] == "compute") & (told.spans["device"] == "node-0")]
    spans = spans.sort_values(["request_id", "token"])  # requests meet in another order where all is later
    lengths = spans["ended_at_s"] - spans["started_at_s"]
    return list(zip(spans["request_id"], spans["token"], lengths, strict=True))


def test_every_sum_waits_for_its_latest() -> None:
    """Passes take longer by what a loop over blocks, halves and members says; the rest stays as it was."""
    punctual = meeting((1.0, 3.0, 0.5), Endpoint())
    world = late(punctual, LAWS)
    placement = STRATEGY.place(MODEL, Fleet.of(world))
    shards = {m: ShardTiming(world.devices[m].timing, placement.shards[m]) for m in placement.devices}
    told, before = run(world, STRATEGY, placement), run(punctual, STRATEGY, placement)
    requests = told.requests.set_index("request_id")
    n_passes = 0
    for (id_, token, length_s), (_, _, before_s) in zip(waits(told), waits(before), strict=True):
        n_prompt = requests.loc[id_, "n_prompt_tokens"]
        at = (
            {"n_new": n_prompt, "n_context": 0}
            if token == 0
            else {"n_new": 1, "n_context": n_prompt + token - 1}
        )
        more_s = 0.0
        for block in range(MODEL.n_blocks):
            for place, half in enumerate((Component.ATTENTION, Component.MLP)):
                computing = [float(shards[m].half_seconds(half, batch=1, **at)) for m in placement.devices]
                ready = []
                for n, law in enumerate(LAWS):
                    key = key_of(world.seed, world.replication, "lateness", int(id_), 0, int(token))
                    counter = key_of("device", f"node-{n}") + 2 * block + place
                    drawn = 0.0 if law is None else float(law.draws_s(np.array(keyed_uniform(key, counter))))
                    ready.append(computing[n] + drawn)
                more_s += max(ready) - max(computing)
        assert length_s - before_s == pytest.approx(more_s, rel=1e-9, abs=1e-12)
        n_passes += 1
    assert n_passes > 10
    np.testing.assert_allclose(  # late is not busy
        told.devices["busy_s"].astype(float), before.devices["busy_s"].astype(float), rtol=1e-9
    )


@pytest.mark.parametrize("n_members", [2, 4])
def test_alike_members_wait_for_a_harmonic_number_of_means(n_members) -> None:
    """The mean wait of a sum over many passes, within four standard errors."""
    mean_s = 5e-4
    punctual = meeting((1.0,) * n_members, Endpoint(), n_requests=60)
    world = late(punctual, (ExponentialLateness(mean_s),) * n_members)
    placement = STRATEGY.place(MODEL, Fleet.of(world))
    longer = [
        one[2] - other[2]
        for one, other in zip(
            waits(run(world, STRATEGY, placement)),
            waits(run(punctual, STRATEGY, placement)),
            strict=True,
        )
    ]
    each_s = np.array(longer) / (2 * MODEL.n_blocks)
    expected_s = mean_s * sum(1 / k for k in range(1, n_members + 1))
    assert each_s.mean() == pytest.approx(expected_s, abs=4 * each_s.std() / math.sqrt(len(each_s)))


def test_a_device_is_late_alike_in_groups_of_any_size_and_on_no_occasion_alone() -> None:
    """Where the others are never late, it is one device's lateness that is met, whoever they are."""
    law = ExponentialLateness(5e-4)
    punctual, n = meeting((1.0,) * 4, Endpoint(), n_requests=4), {}
    for size in (1, 2, 4):
        strategy = STRATEGY.model_copy(update={"size": size})
        placement = strategy.place(MODEL, Fleet.of(punctual))
        world = late(punctual, (law, None, None, None))
        now, before = run(world, strategy, placement), run(punctual, strategy, placement)
        n[size] = [a[2] - b[2] for a, b in zip(waits(now), waits(before), strict=True)]
    np.testing.assert_allclose(n[1], 0.0, atol=1e-12)
    np.testing.assert_allclose(n[2], n[4], rtol=1e-9)
    assert min(n[2]) > 0


def test_parts_add_up_to_the_pass() -> None:
    world = late(meeting((1.0, 3.0, 0.5), Endpoint(overhead_s=1e-4)), LAWS)
    told = run(world, STRATEGY, STRATEGY.place(MODEL, Fleet.of(world)))
    passes = told.spans[told.spans["kind"] == "compute"]
    devices = told.devices.set_index("device")
    for device, own in passes.groupby("device", observed=True):
        length_s = (own["ended_at_s"] - own["started_at_s"]).sum()
        parts_s = own[["straggler_s", "air_s", "wire_s", "handling_s"]].sum().sum()
        assert length_s - parts_s == pytest.approx(float(devices.loc[device, "busy_s"]), rel=1e-9)


@pytest.mark.parametrize("coherence_s", [0.01, np.inf])
def test_sums_over_the_air_wait_sum_by_sum(coherence_s) -> None:
    """On the air as long as before; a pass is longer by what it waits, whether channels change or not."""
    world = on_air(Endpoint(), coherence_s=coherence_s)
    strategy = TensorParallel(over=("phone",), all_reduce="aircomp", transceiver="subspace")
    devices = {
        id_: replace(device, lateness=ExponentialLateness(5e-4) if device.timing else None)
        for id_, device in world.devices.items()
    }
    placement = strategy.place(MODEL, Fleet.of(world))
    tables = []
    for one in (replace(world, devices=devices), world):
        spans = run(one, strategy, placement).spans
        spans = spans[(spans["kind"] == "compute") & (spans["device"] == "phone-1")]
        spans = spans.sort_values(["request_id", "token"])
        length_s = (spans["ended_at_s"] - spans["started_at_s"]).to_numpy()
        tables.append((length_s, spans["straggler_s"].to_numpy(), spans["air_s"].to_numpy()))
    (length_s, waits_s, air_s), (length_before_s, waits_before_s, air_before_s) = tables
    np.testing.assert_allclose(length_s - length_before_s, waits_s - waits_before_s, rtol=1e-6)
    np.testing.assert_allclose(air_s, air_before_s, rtol=1e-9)
    assert (waits_s > waits_before_s).all()


def test_a_slice_without_ends_draws_for_its_own_blocks() -> None:
    """Two groups of the same devices, for different blocks, meet different lateness."""
    from edgesim.engine.collective.lateness import LatenessDraws

    device = replace(meeting((1.0,), Endpoint()).devices["node-0"], lateness=ExponentialLateness(1.0))

    class Asked:
        id, attempt, index = 3, 0, 2

    halves_s = np.zeros((1, 2))
    whole = LatenessDraws([device], Slice(0, 6), 1, 0).ready_s(Asked, Asked, halves_s)
    upper = LatenessDraws([device], Slice(4, 6), 1, 0).ready_s(Asked, Asked, halves_s)
    np.testing.assert_array_equal(whole[4:], upper)
    assert len(np.unique(whole)) == 12
