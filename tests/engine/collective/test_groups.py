"""Groups that share every block: a pass against a loop from the definitions, sums against real messages."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from miniature import answered
from small_models import handmade_profile

from edgesim.engine.cluster import Cluster
from edgesim.engine.collective.all_reduce import all_reduce_rounds
from edgesim.engine.collective.idle_rounds import IdleRounds
from edgesim.engine.process.clock import Clock, Life
from edgesim.engine.request import LiveRequest
from edgesim.engine.simulation import simulate
from edgesim.errors import InputError, PlacementError
from edgesim.model.architecture import Architecture, Component, Slice
from edgesim.model.ceilings import Ceilings
from edgesim.model.scaling import AnalyticTiming, ScaledTiming
from edgesim.model.shard_timing import ShardTiming
from edgesim.strategies.tensor_parallel import TensorParallel
from edgesim.strategy import check_memory
from edgesim.trace.reader import Trace
from edgesim.trace.writer import TraceFolder
from edgesim.workload.arrivals import Poisson
from edgesim.workload.lengths import Fixed, Uniform
from edgesim.workload.requests import Workload
from edgesim.world.device import Device, Endpoint, Power
from edgesim.world.fleet import Fleet
from edgesim.world.link import Link
from edgesim.world.world import World

MODEL = Architecture.from_config(
    {
        "model_type": "llama",
        "hidden_size": 256,
        "intermediate_size": 768,
        "num_hidden_layers": 6,
        "num_attention_heads": 8,
        "num_key_value_heads": 4,
        "vocab_size": 4096,
        "max_position_embeddings": 512,
    },
    name="grouped",
    dtype="float32",
)


def world(
    speeds=(1.0, 1.0, 1.0),
    *,
    endpoint: Endpoint | None = None,
    n_requests: int = 4,
    rate_hz: float = 4.0,
    horizon_s: float | None = None,
    memory_bytes: int = 1 << 32,
) -> World:
    devices = {
        f"node-{i}": Device(
            id=f"node-{i}",
            group="node",
            kind="any",
            memory_bytes=memory_bytes,
            timing=AnalyticTiming(MODEL, Ceilings(2e9 * speed, 5e8 * speed, 1e-4)),
            power=Power(idle_w=1.0, active_w=3.0, tx_w=0.5, rx_w=0.25),
            endpoint=endpoint or Endpoint(),
        )
        for i, speed in enumerate(speeds)
    }
    switch = Device(id="switch", group="switch", kind="", memory_bytes=0, timing=None)
    return World(
        model=MODEL,
        devices={**devices, "switch": switch},
        links=tuple(Link(between=(id_, "switch"), rate_bps=1e8, latency_s=2e-5) for id_ in devices),
        workload=Workload(
            arrivals=Poisson(rate_hz=rate_hz),
            prompt_tokens=Uniform(4, 24),
            output_tokens=Fixed(5),
            sources=("node-0",),
            n_requests=n_requests,
            horizon_s=horizon_s,
        ),
        seed=1,
        horizon_s=horizon_s,
    )


def traced(there: World, strategy: TensorParallel, tmp_path) -> Trace:
    folder = TraceFolder(tmp_path / "trace")
    folder.write_run({"status": "complete", "strategies": ["one"], "links": {}})
    fleet = Fleet.of(there)
    placement = strategy.place(there.model, fleet)
    check_memory(placement, there.model, fleet)
    simulate(there, strategy, placement, placement.holdings, folder.parts("one", 0).write)
    return Trace(tmp_path / "trace")


@settings(max_examples=40, deadline=None)
@given(
    st.integers(2, 6),
    st.sampled_from(["ring", "star"]),
    st.floats(0, 1e6),
    st.sampled_from([Endpoint(), Endpoint(overhead_s=3e-4, staging_bytes_per_s=1e8)]),
)
def test_sums_take_as_long_as_the_same_messages_on_idle_wires(n, scheme, size_bytes, endpoint):
    there = world((1.0,) * n, endpoint=endpoint)
    clock = Clock()
    cluster = Cluster(there, clock, {})
    members = tuple(f"node-{i}" for i in range(n))
    wires = IdleRounds(cluster._transport.network, there.devices, cluster.hops)
    told = wires.of(all_reduce_rounds(members, size_bytes, scheme))
    request = LiveRequest(next(iter(there.requests())), MODEL, 4)
    ended = []

    def really():
        answered(request, *members)
        yield from cluster.all_reduce(request, members, size_bytes, via=scheme)
        ended.append(clock.now)

    Life(clock, really())
    clock.run(None)
    assert told.seconds == pytest.approx(ended[0], rel=1e-12, abs=1e-15)
    sent_s = {d: sum(h.busy_s for h in cluster.hops.values() if h.sender == d) for d in there.devices}
    for device, seconds in sent_s.items():
        assert told.tx_s.get(device, 0.0) == pytest.approx(seconds, rel=1e-9, abs=1e-15)


def looped(there: World, strategy: TensorParallel) -> list[list[float]]:
    """Every token's instant by request, from the definitions: one request after the other, block by block."""
    placement = strategy.place(there.model, Fleet.of(there))
    members = placement.devices
    timings = [ShardTiming(there.devices[d].timing, placement.shards[d]) for d in members]
    root = there.devices[members[0]].timing
    free_s, instants = 0.0, []
    cluster = Cluster(there, Clock(), {})
    wires = IdleRounds(cluster._transport.network, there.devices, cluster.hops)
    for asked in there.requests():
        now_s, own = asked.arrived_at_s, []
        for token in range(asked.n_output_tokens):
            n_new = asked.n_prompt_tokens if token == 0 else 1
            n_context = 0 if token == 0 else asked.n_prompt_tokens + token - 1
            at = {"batch": 1, "n_new": n_new, "n_context": n_context}
            now_s = max(now_s, free_s)
            now_s += float(root.seconds(Slice(0, 0, embedding=True), **at))
            size_bytes = n_new * MODEL.hidden_size * strategy.value_bytes
            sum_s = wires.of(all_reduce_rounds(members, size_bytes, strategy.all_reduce)).seconds
            for _ in range(MODEL.n_blocks):
                for half in (Component.ATTENTION, Component.MLP):
                    now_s += max(float(timing.half_seconds(half, **at)) for timing in timings)
                    now_s += strategy.per_sum + sum_s
            now_s += float(root.seconds(Slice(0, 0, head=True), **at))
            free_s = now_s
            own.append(now_s)
        instants.append(own)
    return instants


@pytest.mark.parametrize("scheme", ["ring", "star"])
@pytest.mark.parametrize("shares", ["even", "compute", (2.0, 1.0, 1.0)])
def test_a_pass_is_its_blocks_in_turn_with_two_sums_each(scheme, shares, tmp_path):
    there = world((1.0, 2.0, 0.7), rate_hz=0.2)  # one request at a time
    strategy = TensorParallel(
        all_reduce=scheme, shares=shares, value_bytes=2.0, per_sum="0.3 ms", over=("node",)
    )
    trace = traced(there, strategy, tmp_path)
    spans = trace.spans("one", 0)
    emitted = spans[spans["kind"] == "emit"].sort_values(["request_id", "token"])
    told = emitted.groupby("request_id")["ended_at_s"].apply(list).tolist()
    np.testing.assert_allclose(told, looped(there, strategy), rtol=1e-12)


@pytest.mark.parametrize("n_output_tokens", [5, 40])
def test_contexts_near_the_end_of_a_profile_are_charged_though_a_stride_goes_beyond(
    n_output_tokens, tmp_path
):
    measured = handmade_profile(MODEL, shards=(1, 2, 4))  # contexts up to 64, a quarter of a stride
    plain = world((1.0, 1.0, 1.0), rate_hz=0.2)
    # Two kinds, so that some members cost alike and one does not.
    fast = ScaledTiming(measured, replace(measured.ceilings, bytes_per_s=3 * measured.ceilings.bytes_per_s))
    kinds = dict(zip(("node-0", "node-1", "node-2"), (measured.timing(), fast, fast), strict=True))
    devices = {id_: replace(device, timing=kinds.get(id_)) for id_, device in plain.devices.items()}
    law = replace(plain.workload, output_tokens=Fixed(n_output_tokens))
    there = replace(plain, devices=devices, workload=law)
    strategy = TensorParallel(shares=(1.0, 1.0, 2.0), over=("node",), value_bytes=2.0)
    spans = traced(there, strategy, tmp_path).spans("one", 0)
    emitted = spans[spans["kind"] == "emit"].sort_values(["request_id", "token"])
    told = emitted.groupby("request_id")["ended_at_s"].apply(list).tolist()

    np.testing.assert_allclose(told, looped(there, strategy), rtol=1e-12)


def test_the_laws_hold_at_a_horizon_that_cuts_passes_short(tmp_path):
    there = world((1.0, 2.0), rate_hz=30.0, n_requests=40, horizon_s=0.5)
    trace = traced(there, TensorParallel(over=("node",)), tmp_path)
    assert trace.check() == []
    assert (trace.requests("one", 0)["outcome"] == "censored").any()


def test_members_compute_only_their_part_and_wait_for_the_others(tmp_path):
    there = world((1.0, 4.0), rate_hz=0.2)
    trace = traced(there, TensorParallel(over=("node",)), tmp_path)
    devices = trace.devices("one", 0).set_index("device")
    assert devices.loc["node-1", "busy_s"] < devices.loc["node-0", "busy_s"] / 2
    assert trace.check() == []


def test_weights_and_caches_are_held_by_share(tmp_path):
    whole = MODEL.weight_bytes(MODEL.whole)
    there = world((1.0, 1.0))
    strategy = TensorParallel(over=("node",), shares=(3.0, 1.0))
    placement = strategy.place(MODEL, Fleet.of(there))
    blocks_bytes = MODEL.weight_bytes(Slice(0, MODEL.n_blocks))
    held = [placement.shards[d].weight_bytes(Slice(0, MODEL.n_blocks)) for d in placement.devices]
    assert held[0] / blocks_bytes == pytest.approx(0.75, abs=0.01)
    assert held[1] / blocks_bytes == pytest.approx(0.25, abs=0.01)
    small = world((1.0, 1.0), memory_bytes=int(0.8 * whole))
    trace = traced(small, TensorParallel(over=("node",)), tmp_path)  # neither could hold it alone
    assert (trace.requests("one", 0)["outcome"] == "completed").all()


def test_a_group_of_one_is_the_device_alone(tmp_path):
    there = world((1.0,), rate_hz=0.2)
    trace = traced(there, TensorParallel(over=("node",), per_sum="1 ms"), tmp_path)
    requests = trace.requests("one", 0)
    timing = there.devices["node-0"].timing
    for told in requests.itertuples():
        contexts = [(told.n_prompt_tokens, 0), *((1, told.n_prompt_tokens + i) for i in range(4))]
        alone_s = sum(
            float(timing.seconds(MODEL.whole, batch=1, n_new=new, n_context=context))
            for new, context in contexts
        )
        assert told.ended_at_s - told.arrived_at_s == pytest.approx(alone_s, rel=1e-9)


def test_groups_that_cannot_be_are_refused(tmp_path):
    there = world((1.0, 1.0))
    fleet = Fleet.of(there)
    with pytest.raises(PlacementError, match="'size' requests 3 devices of 2"):
        TensorParallel(over=("node",), size=3).place(MODEL, fleet)
    with pytest.raises(PlacementError, match="'shares' has 3 numbers for 2"):
        TensorParallel(over=("node",), shares=(1.0, 1.0, 1.0)).place(MODEL, fleet)
    with pytest.raises(InputError, match="no station has a band for node-0, node-1"):
        traced(there, TensorParallel(over=("node",), all_reduce="aircomp"), tmp_path)
    for bad in ({"per_sum": "3 apples"}, {"per_sum": True}, {"per_sum": math.inf}, {"value_bytes": 1e9}):
        with pytest.raises(ValueError, match=next(iter(bad))):
            TensorParallel(**bad)
    with pytest.raises(ValueError, match="shares"):
        TensorParallel(shares=(1.0, 0.0))
    with pytest.raises(PlacementError, match="'ssca' are those with the least error"):
        TensorParallel(over=("node",), shares="ssca").place(MODEL, fleet)
    with pytest.raises(PlacementError, match=r"'node-0' spends .* of a budget of 1e-09 J"):
        TensorParallel(over=("node",), budget=1e-9).place(MODEL, fleet)


def test_no_sum_is_quicker_than_light_and_bytes_are_conserved():
    there = world((1.0,) * 4)
    cluster = Cluster(there, Clock(), {})
    members = tuple(f"node-{i}" for i in range(4))
    wires = IdleRounds(cluster._transport.network, there.devices, cluster.hops)
    told = wires.of(all_reduce_rounds(members, 4000.0, "ring"))
    per_round_s = 2 * (1000 * 8 / 1e8 + 2e-5)  # two hops, store and forward
    assert told.seconds == pytest.approx(6 * per_round_s)
    assert sum(told.tx_s.values()) == pytest.approx(sum(told.rx_s.values()))
    assert told.tx_s["node-0"] == pytest.approx(6 * 1000 * 8 / 1e8)
