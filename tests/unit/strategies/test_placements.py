from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from miniature import PerBlock, device, model, run, world
from pydantic import ValidationError

from edgesim.errors import PlacementError
from edgesim.model.architecture import Slice
from edgesim.strategies.local import Local
from edgesim.strategies.offload import Offload
from edgesim.strategies.pipeline import Pipeline
from edgesim.strategy import Placement, Stage, check_memory
from edgesim.workload.arrivals import Bursts
from edgesim.workload.lengths import Fixed
from edgesim.world.device import Endpoint
from edgesim.world.fleet import Fleet
from edgesim.world.link import Link
from edgesim.world.world import World

N_BLOCKS = 6


def linked(*block_s: float, rate_bps: float = 1e9, **facts) -> World:
    devices = [device(f"d-{i}", PerBlock(s), **facts) for i, s in enumerate(block_s)]
    links = [Link(between=(a.id, b.id), rate_bps=rate_bps) for a, b in itertools.combinations(devices, 2)]
    return world(devices, links, architecture=model(N_BLOCKS))


def counts(placement: Placement) -> list[tuple[str, int]]:
    return [(stage.device, stage.part.n_blocks) for stage in placement.stages[:-1]]


def place(strategy: Pipeline, there: World) -> Placement:
    placement = strategy.place(there.model, Fleet.of(there))
    check_memory(placement, there.model, Fleet.of(there))
    return placement


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"partition": "even"}, [("d-0", 2), ("d-1", 2), ("d-2", 2)]),
        ({"partition": (1, 2, 3)}, [("d-0", 1), ("d-1", 2), ("d-2", 3)]),
        ({"partition": (0, 3, 3)}, [("d-0", 0), ("d-1", 3), ("d-2", 3)]),
        ({"partition": (3, 0, 3)}, [("d-0", 3), ("d-2", 3)]),
        ({"partition": "even", "over": ("d-2", "d-0")}, [("d-2", 3), ("d-0", 3)]),
        ({"partition": "even", "starter": "d-1"}, [("d-1", 2), ("d-0", 2), ("d-2", 2)]),
        ({"partition": "even", "over": "d"}, [("d-0", 2), ("d-1", 2), ("d-2", 2)]),
    ],
)
def test_partitions_are_laid_out_in_the_order_of_the_devices(
    options: dict[str, object], expected: list[tuple[str, int]]
) -> None:
    assert counts(place(Pipeline(**options), linked(1.0, 1.0, 1.0))) == expected


def test_even_fit_gives_what_has_no_room_to_the_others_equally() -> None:
    block_bytes = model(N_BLOCKS).weight_bytes(Slice(0, 1))
    kv_bytes = model(N_BLOCKS).kv_bytes_per_token()
    there = linked(1.0, 1.0, 1.0)
    small = replace(there.devices["d-1"], memory_bytes=block_bytes + 10 * kv_bytes)
    there = replace(there, devices={**there.devices, "d-1": small})
    even_fit = Pipeline(partition="even-fit", starter="d-0")
    assert counts(place(even_fit, linked(1.0, 1.0, 1.0))) == [("d-0", 2), ("d-1", 2), ("d-2", 2)]
    assert counts(place(even_fit, there)) == [("d-0", 3), ("d-1", 1), ("d-2", 2)]
    with pytest.raises(PlacementError, match="of weights, and has"):
        place(Pipeline(partition="even", starter="d-0"), there)


def test_latency_takes_the_fastest_device_where_links_cost_next_to_nothing() -> None:
    assert counts(place(Pipeline(), linked(3.0, 1.0, 2.0))) == [("d-1", 6)]


def test_latency_starts_where_it_is_told_to() -> None:
    placed = place(Pipeline(starter="d-0"), linked(3.0, 1.0, 2.0))
    assert counts(placed) == [("d-0", 0), ("d-1", 6)]
    assert placed.stages[-1].device == "d-0"


def test_latency_stays_at_home_where_the_way_is_long() -> None:
    far = linked(3.0, 1.0, 2.0, rate_bps=1e3)  # 8 s per token each way
    assert counts(place(Pipeline(starter="d-0"), far)) == [("d-0", 6)]
    # Free to choose, it takes the starter itself elsewhere: token ids are 4 bytes, activations 1,000.
    assert counts(place(Pipeline(), far)) == [("d-1", 6)]


def test_latency_respects_memory_with_weights_and_the_longest_cache() -> None:
    """Room for three blocks and the ends on every device: the two fastest share, whatever they cost."""
    small = model(N_BLOCKS)
    per_block = small.weight_bytes(place(Pipeline(), linked(1.0)).stages[0].part) // N_BLOCKS
    ends = small.weight_bytes(small.whole) - N_BLOCKS * per_block
    room = ends + 3 * per_block + 3 * 2 * small.kv_bytes_per_token(1) + per_block // 2
    there = linked(3.0, 1.0, 2.0, memory_bytes=room)
    placed = place(Pipeline(), there)
    assert sorted(counts(placed)) == [("d-1", 3), ("d-2", 3)]


def test_latency_is_the_best_of_all_chains_as_simulated() -> None:
    """Not only by the planner's own formula: a lone request is served by every chain, and none is faster."""
    rng = np.random.default_rng(5)
    for _ in range(5):
        speeds, rates = rng.uniform(0.5, 2.0, 3), rng.uniform(2e3, 2e4, 3)
        devices = [
            device(f"d-{i}", PerBlock(s), endpoint=Endpoint(overhead_s=0.1)) for i, s in enumerate(speeds)
        ]
        pairs = itertools.combinations(devices, 2)
        links = [Link(between=(a.id, b.id), rate_bps=r) for (a, b), r in zip(pairs, rates, strict=True)]
        there = world(devices, links, architecture=model(3), output=Fixed(4), prompt=Fixed(3))

        def took_s(strategy: Pipeline, there: World = there) -> float:
            ran = run(there, strategy, strategy.place(there.model, Fleet.of(there)))
            return float(ran.requests["ended_at_s"][0])

        every = [
            Pipeline(over=order, partition=split)
            for n in (1, 2, 3)
            for order in itertools.permutations(("d-0", "d-1", "d-2"), n)
            for split in itertools.product(range(4), repeat=n)
            if sum(split) == 3 and all(split[1:])
        ]
        assert took_s(Pipeline()) <= min(map(took_s, every)) * (1 + 1e-9)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"partition": (1, 2)}, "places 3 blocks on 2 devices; the model has 6, and 3 devices take part"),
        ({"partition": (1, 2, 2)}, "the model has 6"),
        ({"partition": (-1, 4, 3)}, "give one count for each"),
        ({"over": ("d-7",)}, "'d-7'; did you mean 'd-"),
        ({"starter": "nobody"}, "'nobody'"),
        ({"partition": "even", "starter": "d"}, "stands for 3 devices"),
    ],
)
def test_what_cannot_be_placed_is_told(options: dict[str, object], complaint: str) -> None:
    with pytest.raises(PlacementError, match=complaint):
        place(Pipeline(**options), linked(1.0, 1.0, 1.0))


def test_more_devices_than_blocks_are_refused() -> None:
    with pytest.raises(PlacementError, match="6 blocks"):
        place(Pipeline(partition="even"), linked(*[1.0] * 8))


def test_a_model_too_large_for_every_chain_tells_what_is_needed() -> None:
    with pytest.raises(PlacementError, match="room"):
        place(Pipeline(), linked(1.0, 1.0, memory_bytes=1000))


def test_unknown_options_and_values_are_refused() -> None:
    with pytest.raises(ValidationError):
        Pipeline(partition="evenly")
    with pytest.raises(ValidationError):
        Offload()


def test_an_island_is_told_before_time_zero() -> None:
    there = replace(linked(1.0, 1.0, 1.0), links=(Link(between=("d-0", "d-1"), rate_bps=1e9),))
    for strategy in (Pipeline(partition="even"), Offload(to="d-2")):
        with pytest.raises(PlacementError, match=r"no path leads from 'd-\d' to 'd-2'"):
            strategy.place(there.model, Fleet.of(there))


def test_local_puts_the_model_on_every_source() -> None:
    there = linked(1.0, 1.0)
    there = replace(there, workload=replace(there.workload, sources=("d-0", "d-1")))
    assert Local().place(there.model, Fleet.of(there)).holdings == {
        "d-0": (there.model.whole,),
        "d-1": (there.model.whole,),
    }


def test_offload_joins_the_shortest_queue() -> None:
    """Six at once over servers of different speed: alternately while both are as long, then to the faster."""
    there = linked(1.0, 1.0, 0.5)
    law = replace(there.workload, arrivals=Bursts(n_requests=4, period_s=20.0), n_requests=6)
    there = replace(there, workload=law)
    strategy = Offload(to=("d-1", "d-2"))
    ran = run(there, strategy, strategy.place(there.model, Fleet.of(there)))
    work = ran.spans[ran.spans["kind"] == "compute"].sort_values("request_id")
    assert work["device"].tolist() == ["d-1", "d-2", "d-1", "d-2", "d-1", "d-2"]


def test_offload_first_uses_the_first_only() -> None:
    there = linked(1.0, 1.0, 1.0)
    placed = Offload(to=("d-2", "d-1"), choose="first").place(there.model, Fleet.of(there))
    assert placed.devices == ("d-2",)


def test_memory_is_checked_for_every_strategy() -> None:
    there = linked(
        1.0, memory_bytes=model(N_BLOCKS).weight_bytes(model(N_BLOCKS).whole)
    )  # no room for a cache
    with pytest.raises(PlacementError, match="'d-0' would hold"):
        check_memory(Local().place(there.model, Fleet.of(there)), there.model, Fleet.of(there))


def test_a_placement_on_what_does_not_compute_is_told() -> None:
    """A name that nothing has, with the nearest one that computes; and a switch."""
    there = linked(1.0, 1.0)
    switch = replace(there.devices["d-1"], timing=None)
    there = replace(there, devices=there.devices | {"d-1": switch})
    fleet = Fleet.of(there)
    with pytest.raises(PlacementError, match=r"names 'd-00', which is not a computing device.*'d-0'"):
        check_memory(Placement((Stage("d-00", there.model.whole),)), there.model, fleet)
    with pytest.raises(PlacementError, match="names 'd-1', which is not a computing device"):
        check_memory(Placement((Stage("d-1", there.model.whole),)), there.model, fleet)


def test_a_block_given_twice_to_one_device_is_told() -> None:
    there = linked(1.0)
    twice = Placement((Stage("d-0", there.model.whole), Stage("d-0", there.model.whole)))
    with pytest.raises(PlacementError, match="block 0 twice"):
        check_memory(twice, there.model, Fleet.of(there))
