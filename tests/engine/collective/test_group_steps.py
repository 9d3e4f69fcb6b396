"""A group's pass as one event, against the same pass step by step: shards, messages and waits as events."""

from __future__ import annotations

import itertools
from collections import deque
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from boards import ENDPOINTS, MODEL, meeting
from miniature import answered, run

from edgesim.errors import InputError, PlacementError
from edgesim.model.architecture import Component, Slice
from edgesim.model.shard_timing import ShardTiming
from edgesim.radio.motion.outages import ScheduledOutages
from edgesim.strategies.tensor_parallel import GroupPlacement, TensorParallel
from edgesim.world.battery import Battery
from edgesim.world.device import Endpoint
from edgesim.world.disciplines.fifo import FirstComeFirstServed
from edgesim.world.faults import Faults
from edgesim.world.fleet import Fleet
from edgesim.world.world import World


class StepByStep:
    """The oracle: whoever has the group computes half a block on every member, waits for all, and sums.

    Sums are real messages over real links, by the verb `all_reduce`; whoever asked first has the group.
    """

    def __init__(self, strategy: TensorParallel, world: World) -> None:
        self._strategy, self._world = strategy, world
        self._is_taken, self._waiting = False, deque()

    def control(self, cluster, placement):
        return None

    def serve(self, request, cluster, placement):
        devices, strategy = self._world.devices, self._strategy
        members = placement.devices
        shards = [ShardTiming(devices[id_].timing, placement.shards[id_]) for id_ in members]
        root = devices[members[0]].timing
        yield from cluster.admit(request, members)
        answered(request, *members)  # what is booked by hand here, the engine knows nothing of
        for token in request.tokens():
            yield from self._take(cluster)
            at = {"batch": 1, "n_new": token.n_new, "n_context": token.n_context}
            yield from self._busy(cluster, {members[0]: root.seconds(Slice(0, 0, embedding=True), **at)})
            for _, half in itertools.product(range(MODEL.n_blocks), (Component.ATTENTION, Component.MLP)):
                yield from self._busy(
                    cluster,
                    {m: shard.half_seconds(half, **at) for m, shard in zip(members, shards, strict=True)},
                )
                yield cluster.now_s + strategy.per_sum
                size_bytes = token.n_new * MODEL.hidden_size * MODEL.dtype_bytes
                yield from cluster.all_reduce(request, members, size_bytes, via=strategy.all_reduce)
            yield from self._busy(cluster, {members[0]: root.seconds(Slice(0, 0, head=True), **at)})
            self._give_back()
            yield from cluster.emit(request, members[0], token)

    def _take(self, cluster):
        if self._is_taken:
            free = cluster._clock.event()
            self._waiting.append(free)
            yield free
        self._is_taken = True

    def _give_back(self) -> None:
        self._is_taken = bool(self._waiting)
        if self._waiting:
            self._waiting.popleft().succeed()

    @staticmethod
    def _busy(cluster, seconds):
        ends = [cluster.hosts[id_].book(cluster.now_s, float(each))[1] for id_, each in seconds.items()]
        yield max(ends)


def both(world: World, strategy: TensorParallel):
    placement = strategy.place(MODEL, Fleet.of(world))
    assert isinstance(placement, GroupPlacement)
    return run(world, strategy, placement), run(world, StepByStep(strategy, world), placement)


@pytest.mark.parametrize("endpoint", ENDPOINTS)
@pytest.mark.parametrize("scheme", ["ring", "star"])
@pytest.mark.parametrize("speeds", [(1.0, 1.0), (1.0, 3.0, 0.5), (2.0, 1.0, 1.0, 1.0)])
def test_one_event_tells_what_many_tell(speeds, scheme, endpoint) -> None:
    """Every token's instant, and every board's time and energy, with several requests in turn."""
    strategy = TensorParallel(over=("node",), all_reduce=scheme, per_sum="0.2 ms")
    collapsed, stepped = both(meeting(speeds, ENDPOINTS[endpoint]), strategy)

    def instants(told: pd.DataFrame) -> pd.DataFrame:
        return told[told["kind"] == "emit"].set_index(["request_id", "token"])["ended_at_s"].sort_index()

    pd.testing.assert_series_equal(
        instants(collapsed.spans), instants(stepped.spans), rtol=1e-9, check_index=True
    )
    # Requests really were served in turn, token by token.
    order = collapsed.spans[collapsed.spans["kind"] == "emit"].sort_values("ended_at_s")["request_id"]
    assert (np.diff(order) != 0).sum() > len(set(order))
    columns = [
        "busy_s",
        "energy_compute_j",
        "energy_tx_j",
        "energy_rx_j",
        "energy_idle_j",
        "peak_memory_bytes",
    ]
    np.testing.assert_allclose(
        collapsed.devices.set_index("device")[columns].astype(float),
        stepped.devices.set_index("device")[columns].astype(float),
        rtol=1e-9,
        atol=1e-12,
    )


@pytest.mark.parametrize(
    ("facts", "what"),
    [
        ({"serving": FirstComeFirstServed(queue_limit=9)}, "serving discipline"),
        ({"battery": Battery(capacity_j=1e6)}, "battery"),
    ],
)
def test_a_device_whose_passes_can_be_cut_short_joins_no_group(facts, what) -> None:
    world = meeting((1.0, 1.0), Endpoint())
    member = replace(world.devices["node-1"], **facts)
    world = replace(world, devices={**world.devices, "node-1": member})
    with pytest.raises(PlacementError, match=f"'node-1' has a {what}"):
        TensorParallel(over=("node",)).place(MODEL, Fleet.of(world))


@pytest.mark.parametrize(
    ("faults", "what"),
    [
        (
            Faults(devices={"node-1": ScheduledOutages([(6.0, 7.0)])}),
            "'node-1' is a member of a group and may",
        ),
        (Faults(links={"node-1--switch": ScheduledOutages([(6.0, 7.0)])}), "between 'node-1' and 'switch'"),
    ],
)
def test_members_and_wires_that_may_fail_are_refused(faults, what) -> None:
    world = meeting((1.0, 1.0), Endpoint())
    strategy = TensorParallel(over=("node",))
    placement = strategy.place(MODEL, Fleet.of(world))
    with pytest.raises(InputError, match=what):
        run(replace(world, faults=faults), strategy, placement)
