"""The pipeline's partitions by memory and by throughput, on fleets and as simulated."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from miniature import PerBlock, device, model, run, world

from edgesim.errors import PlacementError
from edgesim.model.architecture import Slice
from edgesim.planning.partitions.throughput import gap_remark
from edgesim.planning.throughput import Bottleneck, throughput
from edgesim.strategies.pipeline import Pipeline, _Task
from edgesim.strategy import Placement, check_memory
from edgesim.workload.arrivals import Bursts
from edgesim.workload.lengths import Fixed
from edgesim.world.device import Endpoint
from edgesim.world.fleet import Fleet
from edgesim.world.link import Link
from edgesim.world.world import World

N_BLOCKS = 6
N_REQUESTS = 24


def linked(*block_s: float, rate_bps: float = 1e9, memory: tuple[int, ...] = (), **facts) -> World:
    memory = memory or (1 << 60,) * len(block_s)
    devices = [device(f"d-{i}", PerBlock(s), memory_bytes=memory[i], **facts) for i, s in enumerate(block_s)]
    links = [Link(between=(a.id, b.id), rate_bps=rate_bps) for a, b in itertools.combinations(devices, 2)]
    return world(devices, links, architecture=model(N_BLOCKS))


def counts(there: World, **options: object) -> list[tuple[str, int]]:
    placed: Placement = Pipeline(**options).place(there.model, Fleet.of(there))
    check_memory(placed, there.model, Fleet.of(there))
    return [(stage.device, stage.part.n_blocks) for stage in placed.stages[:-1]]


def test_throughput_uses_every_device_where_latency_uses_the_fastest() -> None:
    there = linked(2.0, 1.0, 1.0)
    assert counts(there, partition="latency") == [("d-1", 6)]
    shared = dict(counts(there, partition="throughput"))
    assert set(shared) == {"d-0", "d-1", "d-2"}
    assert max(n * (2.0 if d == "d-0" else 1.0) for d, n in shared.items()) == 3.0


def test_memory_deals_blocks_out_in_proportion_to_what_embedding_and_head_leave() -> None:
    small = model(N_BLOCKS)
    block = small.weight_bytes(Slice(0, 1)) + 2 * small.kv_bytes_per_token(1)
    ends = small.weight_bytes(Slice(0, 0, embedding=True, head=True))
    there = linked(1.0, 1.0, 1.0, memory=(ends + 4 * block, 8 * block, 12 * block))
    assert counts(there, partition="memory") == [("d-0", 1), ("d-1", 2), ("d-2", 3)]
    with pytest.raises(PlacementError, match="room for 3 of the 6 blocks"):
        counts(linked(1.0, 1.0, memory=(ends + block, 2 * block)), partition="memory")
    with pytest.raises(PlacementError, match="embedding and head take"):
        counts(linked(1.0, 1.0, memory=(ends - 1, 20 * block)), partition="memory")


@pytest.mark.parametrize("partition", ["memory", "latency", "throughput"])
def test_room_is_left_for_the_caches_of_as_many_requests_as_are_asked_for(partition: str) -> None:
    small = model(N_BLOCKS)
    weights = small.weight_bytes(Slice(0, 1))
    kv = 2 * small.kv_bytes_per_token(1)  # one token in, one out
    ends = small.weight_bytes(Slice(0, 0, embedding=True, head=True))
    room = ends + 3 * (weights + 10 * kv)
    there = linked(1.0, 1.0, memory=(room, room))
    assert sum(n for _, n in counts(there, partition=partition, in_flight=10)) == N_BLOCKS
    tight = linked(1.0, 1.0, memory=(room - 1, 2 * (weights + 10 * kv)))
    with pytest.raises(PlacementError, match="room for"):
        counts(tight, partition=partition, in_flight=10)


@pytest.mark.parametrize("partition", ["memory", "latency", "throughput"])
def test_a_device_gets_no_more_than_it_can_load(partition: str) -> None:
    small = model(N_BLOCKS)
    whole = small.weight_bytes(small.whole)
    there = linked(1.0, 1.0, memory=(int(1.9 * whole),) * 2, load_copies=2.0)
    placed = dict(counts(there, partition=partition))
    assert len(placed) == 2
    with pytest.raises(PlacementError, match=r"1 copies|2 copies"):
        counts(there, partition=(6, 0))
    assert counts(linked(1.0, 1.0, memory=(2 * whole,) * 2, load_copies=2.0), partition=(6, 0))


@pytest.mark.parametrize(("on_compute", "head"), [(True, "starter"), (False, "starter"), (True, "last")])
def test_no_chain_is_faster_with_all_devices_kept_busy_as_simulated(on_compute: bool, head: str) -> None:
    """Not only by the planner's own formula: a heap of requests is served by every chain."""
    rng = np.random.default_rng(7)
    for _ in range(3):
        speeds, rates = rng.uniform(0.5, 2.0, 3), rng.uniform(2e3, 2e5, 3)
        ends = [Endpoint(overhead_s=float(s), on_compute=on_compute) for s in rng.uniform(0.0, 0.4, 3)]
        devices = [
            device(f"d-{i}", PerBlock(s, head_s=0.3), endpoint=end)
            for i, (s, end) in enumerate(zip(speeds, ends, strict=True))
        ]
        pairs = itertools.combinations(devices, 2)
        links = [Link(between=(a.id, b.id), rate_bps=r) for (a, b), r in zip(pairs, rates, strict=True)]
        there = world(
            devices, links, architecture=model(3), output=Fixed(4), prompt=Fixed(3),
            arrivals=Bursts(n_requests=N_REQUESTS, period_s=1e6), n_requests=N_REQUESTS,
        )  # fmt: skip
        fleet = Fleet.of(there)

        def took_s(strategy: Pipeline, there: World = there, fleet: Fleet = fleet) -> float:
            ran = run(there, strategy, strategy.place(there.model, fleet), keep_spans=False)
            return float(ran.requests["ended_at_s"].max())

        ids = ("d-0", "d-1", "d-2")
        every = [
            Pipeline(over=order, partition=split, starter="d-0", head=head)
            for n in (1, 2, 3)
            for order in itertools.permutations(ids, n)
            if order[0] == "d-0"
            for split in itertools.product(range(4), repeat=n)
            if sum(split) == 3 and all(split[1:])
        ]
        all_took_s = [took_s(strategy) for strategy in every]
        task = _Task(there.model, fleet, ids, True, head, 1)
        found = throughput(task.throughput(), task.message_s())
        assert found.is_proved
        # No chain gets requests through faster than the bottleneck of the best.
        assert min(all_took_s) >= N_REQUESTS * found.bottleneck_s * (1 - 1e-9)
        # And the best falls short of that by no more than filling and emptying it: one request on its own.
        alone_s = fleet_alone_s(there, Pipeline(partition="throughput", starter="d-0", head=head))
        assert took_s(Pipeline(partition="throughput", starter="d-0", head=head)) <= min(all_took_s) + alone_s


def fleet_alone_s(there: World, strategy: Pipeline) -> float:
    lone = replace(there, workload=replace(there.workload, n_requests=1))
    ran = run(lone, strategy, strategy.place(there.model, Fleet.of(lone)), keep_spans=False)
    return float(ran.requests["ended_at_s"].max())


def test_with_its_head_on_the_last_stage_a_token_id_returns_instead_of_an_activation() -> None:
    """4 blocks at 1 s, two devices, 1 ms per activation of 1,000 bytes, 4 bytes per token id at 8 Mbit/s."""
    devices = [device("d-0", PerBlock(1.0, head_s=0.5)), device("d-1", PerBlock(1.0, head_s=0.25))]
    there = world(
        devices, [Link(between=("d-0", "d-1"), rate_bps=8e6)], architecture=model(4), output=Fixed(2)
    )
    strategy = Pipeline(partition="even", head="last")
    placed = strategy.place(there.model, Fleet.of(there))
    assert [str(stage.part) for stage in placed.stages] == ["embedding+0-1", "2-3", "head"]
    assert [stage.device for stage in placed.stages] == ["d-0", "d-1", "d-1"]
    ran = run(there, strategy, placed)
    assert ran.requests["ended_at_s"][0] == pytest.approx(2 * (4 + 0.25 + 1e-3 + 4e-6), rel=1e-12)


def test_a_chain_that_is_not_proved_the_best_says_how_far_from_it_it_may_be() -> None:
    assert gap_remark(Bottleneck((), 1.25, 1.0)) == (
        "throughput partition: at most 25.0% slower than the best chain could be"
    )
    assert gap_remark(Bottleneck((), 1.0, 1.0)) == ""
