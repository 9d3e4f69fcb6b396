"""What a group's pass is made of, told by its spans: against a loop that keeps every member's own diary."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from boards import ENDPOINTS, MODEL, meeting, on_air
from miniature import Serve, run

from edgesim.engine.collective.all_reduce import all_reduce_rounds
from edgesim.model.architecture import Component, Slice
from edgesim.model.shard_timing import ShardTiming
from edgesim.statistics.activities import Activity, activities
from edgesim.strategies.tensor_parallel import TensorParallel
from edgesim.trace.buffer import Parts
from edgesim.world.device import Endpoint
from edgesim.world.fleet import Fleet
from edgesim.world.routes import Network
from edgesim.world.world import World

PARTS = list(Parts._fields)


def of_a_round(world: World, messages: list[tuple[str, str, float]]) -> tuple[float, float]:
    """How long a round takes on idle wires, and how much of it its last message is at its ends.

    Every message walks its stations by itself, and is served at each in the order of coming; ties in that of
    the list.
    """
    network = Network(world.devices, world.links, 1)
    walks = []
    for source, target, size_bytes in messages:
        path = network.path(source, target)
        hops = itertools.pairwise(path)
        stations = [
            *((("end", source),) if not world.devices[source].endpoint.is_free else ()),
            *(("hop", *hop) for hop in hops),
            *((("end", target),) if not world.devices[target].endpoint.is_free else ()),
        ]
        walks.append({"at_s": 0.0, "left": stations, "size_bytes": size_bytes, "ends_s": 0.0, "came": 0})
    free_s: dict[object, float] = {}
    n_came = 0
    while any(walk["left"] for walk in walks):
        walk = min((w for w in walks if w["left"]), key=lambda w: (w["at_s"], w["came"]))
        station = walk["left"].pop(0)
        if station[0] == "end":
            service_s, latency_s = world.devices[station[1]].endpoint.seconds(walk["size_bytes"]), 0.0
        else:
            link = network.link(*station[1:])
            service_s, latency_s = 8 * walk["size_bytes"] / link.rate_bps, link.latency_s
        done_s = max(walk["at_s"], free_s.get(station, 0.0)) + service_s
        free_s[station] = done_s
        if station[0] == "end":
            walk["ends_s"] += done_s - walk["at_s"]
        n_came += 1
        walk["at_s"], walk["came"] = done_s + latency_s, n_came
    last = max(walks, key=lambda w: w["at_s"])
    return last["at_s"], last["ends_s"]


def diary(world: World, strategy: TensorParallel, n_new: int, n_context: int) -> dict[str, dict[str, float]]:
    """Every member's own pass, half a block at a time: seconds of each of the parts, and of computing."""
    placement = strategy.place(MODEL, Fleet.of(world))
    members = placement.devices
    shards = {m: ShardTiming(world.devices[m].timing, placement.shards[m]) for m in members}
    root = world.devices[members[0]].timing
    at = {"batch": 1, "n_new": n_new, "n_context": n_context}
    told = {m: dict.fromkeys(["computing", *PARTS], 0.0) for m in members}
    rounds = all_reduce_rounds(members, n_new * MODEL.hidden_size * MODEL.dtype_bytes, strategy.all_reduce)
    walks = [of_a_round(world, messages) for messages in rounds]

    def together(seconds: dict[str, float]) -> None:
        for member in members:
            own_s = seconds.get(member, 0.0)
            told[member]["computing"] += own_s
            told[member]["straggler_s"] += max(seconds.values()) - own_s

    together({members[0]: float(root.seconds(Slice(0, 0, embedding=True), **at))})
    for _ in range(MODEL.n_blocks):
        for half in (Component.ATTENTION, Component.MLP):
            together({m: float(shards[m].half_seconds(half, **at)) for m in members})
            for member in members:
                told[member]["handling_s"] += strategy.per_sum
                for whole_s, ends_s in walks:
                    told[member]["wire_s"] += whole_s - ends_s
                    told[member]["handling_s"] += ends_s
    together({members[0]: float(root.seconds(Slice(0, 0, head=True), **at))})
    return told


@pytest.mark.parametrize("endpoint", ENDPOINTS)
@pytest.mark.parametrize("scheme", ["ring", "star"])
@pytest.mark.parametrize("speeds", [(1.0, 1.0), (1.0, 3.0, 0.5), (2.0, 1.0, 1.0, 1.0)])
def test_over_wires_every_part_is_the_diarys(speeds, scheme, endpoint) -> None:
    world = meeting(speeds, ENDPOINTS[endpoint])
    strategy = TensorParallel(over=("node",), all_reduce=scheme, per_sum="0.2 ms")
    ran = run(world, strategy, strategy.place(MODEL, Fleet.of(world)))
    passes = ran.spans[ran.spans["kind"] == "compute"]
    requests = ran.requests.set_index("request_id")
    assert (passes["air_s"] == 0).all()
    assert (passes["straggler_s"] > 0).any()
    for span in passes.itertuples():
        n_prompt = int(requests.loc[span.request_id, "n_prompt_tokens"])
        n_new, n_context = (n_prompt, 0) if span.token == 0 else (1, n_prompt + span.token - 1)
        own = diary(world, strategy, n_new, n_context)[str(span.device)]
        told = {part: getattr(span, part) for part in PARTS}
        assert told == pytest.approx({part: own[part] for part in PARTS}, rel=1e-9, abs=1e-15)
        length_s = span.ended_at_s - span.started_at_s
        assert sum(own.values()) == pytest.approx(length_s, rel=1e-12, abs=1e-12)
        assert length_s - sum(told.values()) == pytest.approx(own["computing"], rel=1e-9, abs=1e-12)
    others = ran.spans[ran.spans["kind"] != "compute"]
    assert (others[PARTS] == 0).all(axis=None)
    sums = ran.spans[ran.spans["kind"] == "all_reduce"]
    assert set(sums["link_kind"]) == {"wired"}
    assert sums["error_variance"].isna().all()


@pytest.mark.parametrize("scheme", ["aircomp", "uncoded_fdma"])
@pytest.mark.parametrize("coherence_s", [0.01, np.inf])
def test_a_pass_is_mostly_on_the_air_where_its_sums_are(scheme: str, coherence_s: float) -> None:
    """Two values to a channel use of 0.1 us, up and down: the air's share by hand, not the computing's."""
    endpoint, latency_s = Endpoint(overhead_s=3e-6), 1e-6
    world = on_air(endpoint, coherence_s=coherence_s, latency_s=latency_s)
    strategy = TensorParallel(over=("phone",), all_reduce=scheme, transceiver="subspace", per_sum="2 us")
    ran = run(world, strategy, strategy.place(MODEL, Fleet.of(world)))
    passes = ran.spans[ran.spans["kind"] == "compute"]
    requests = ran.requests.set_index("request_id")
    n_sums = 2 * MODEL.n_blocks
    n_new = requests.loc[passes["request_id"], "n_prompt_tokens"].to_numpy()
    n_new = np.where(passes["token"] == 0, n_new, 1)
    n_uses = np.ceil(n_new * MODEL.hidden_size / 2) * ((3 if scheme == "uncoded_fdma" else 1) + 1)
    np.testing.assert_allclose(passes["air_s"], n_sums * (n_uses / 10e6 + 2 * latency_s), rtol=1e-12)
    np.testing.assert_allclose(passes["handling_s"], n_sums * (2 * 3e-6 + 2e-6), rtol=1e-12)
    assert (passes["wire_s"] == 0).all()
    length_s = passes["ended_at_s"] - passes["started_at_s"]
    computing_s = length_s - passes[PARTS].sum(axis=1)
    busy_s = computing_s.groupby(passes["device"], observed=True).sum()
    told = ran.devices.set_index("device")["busy_s"]
    np.testing.assert_allclose(busy_s, told[busy_s.index.astype(str)], rtol=1e-9)
    sums = ran.spans[ran.spans["kind"] == "all_reduce"]
    assert set(sums["link_kind"]) == {"radio"}
    # The same in the breakdown: a request's time on the air is its passes', and no longer computing.
    parts = activities(ran.requests, ran.spans)
    np.testing.assert_allclose(
        parts.sum(axis=1), requests["ended_at_s"] - requests["arrived_at_s"], rtol=1e-12
    )
    root = passes[passes["device"] == "phone-0"].groupby("request_id")["air_s"].sum()
    np.testing.assert_allclose(parts[Activity.AIR], root, rtol=1e-9)
    mean_s = computing_s.groupby(passes["request_id"]).sum() / 3
    np.testing.assert_allclose(parts[Activity.COMPUTING], mean_s, rtol=1e-9)


def test_a_pass_that_the_end_of_the_run_cuts_has_no_parts() -> None:
    world = replace(meeting((1.0, 2.0), Endpoint()), horizon_s=0.1)
    strategy = TensorParallel(over=("node",))
    ran = run(world, strategy, strategy.place(MODEL, Fleet.of(world)))
    passes = ran.spans[ran.spans["kind"] == "compute"]
    is_cut = passes["ended_at_s"].isna()
    assert is_cut.any()
    assert (passes[PARTS].isna().all(axis=1) == is_cut).all()
    assert (passes[PARTS].isna().any(axis=1) == is_cut).all()


def test_a_member_that_waits_for_a_busy_one_draws_nothing_for_it() -> None:
    """The root computes by itself first; the others stand by, idle, and are held for the pass alone."""
    world = meeting((1.0, 1.0, 1.0), Endpoint(), n_requests=1)
    strategy = TensorParallel(over=("node",))
    placement = strategy.place(MODEL, Fleet.of(world))
    alone = run(world, strategy, placement)

    def after_own_work(request, cluster):
        cluster.hosts["node-0"].book(cluster.now_s, 0.5)
        yield from strategy.serve(request, cluster, placement)

    late = run(world, Serve(after_own_work), placement)
    columns = ["busy_s", "energy_compute_j", "energy_tx_j", "energy_rx_j"]
    before, after = (ran.devices.set_index("device")[columns] for ran in (alone, late))
    np.testing.assert_allclose(
        after.loc[["node-1", "node-2"]].astype(float), before.loc[["node-1", "node-2"]].astype(float)
    )
    assert after.loc["node-0", "busy_s"] - before.loc["node-0", "busy_s"] == pytest.approx(0.5)
    first = late.spans[(late.spans["kind"] == "compute") & (late.spans["token"] == 0)]
    np.testing.assert_allclose(first["started_at_s"] - first["asked_at_s"], 0.5)
    # Cut while they wait, they have done nothing yet.
    half_s = float(late.requests["arrived_at_s"][0]) + 0.25
    cut = run(replace(world, horizon_s=half_s), Serve(after_own_work), placement)
    assert (cut.devices.set_index("device").loc[["node-1", "node-2"], columns] == 0.0).all(axis=None)
