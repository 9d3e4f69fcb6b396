"""Ends that delay a message without being occupied: every instant worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest
from boards import MODEL, meeting
from miniature import Serve, answered, device, run, world

from edgesim.engine.collective.all_reduce import all_reduce_rounds
from edgesim.engine.collective.idle_rounds import IdleRounds
from edgesim.engine.network.transport import Transport
from edgesim.model.architecture import Slice
from edgesim.radio.motion.outages import ScheduledOutages
from edgesim.strategies.tensor_parallel import TensorParallel
from edgesim.world.device import Endpoint
from edgesim.world.faults import Faults
from edgesim.world.fleet import Fleet
from edgesim.world.link import Link
from edgesim.world.routes import Network

OVERHEAD_S, LATENCY_S, WIRE_S = 0.25, 2.0, 1.0
"""A message of 1,000 bytes takes a second at 8 kbit/s."""


def pair(**facts):
    end = Endpoint(overhead_s=OVERHEAD_S, latency_s=LATENCY_S)
    devices = [device("a", endpoint=end), device("b", endpoint=end)]
    return world(devices, [Link(between=("a", "b"), rate_bps=8000.0, latency_s=0.0)], **facts)


def two_messages(arrivals):
    def serve(request, cluster):
        answered(request, "a", "b")
        messages = (cluster.send(request, "a", "b", 1000.0) for _ in range(2))
        yield from cluster.together(*messages)
        arrivals.append(cluster.now_s - request.arrived_at_s)
        (token,) = request.tokens()
        yield from cluster.compute(request, "a", Slice(0, 4, True, True), token)
        yield from cluster.emit(request, "a", token)

    return serve


@pytest.mark.parametrize("may_fail", [False, True])
def test_what_delays_overlaps_and_what_occupies_waits_in_line(may_fail) -> None:
    """Both messages are delayed at once; the second follows the first by the wire, the slower station."""
    faults = Faults(devices={"b": ScheduledOutages([(1e6, 2e6)]), "a": ScheduledOutages([(1e6, 2e6)])})
    arrivals: list[float] = []
    told = run(pair(**({"faults": faults} if may_fail else {})), Serve(two_messages(arrivals)))
    one_s = OVERHEAD_S + LATENCY_S + WIRE_S + OVERHEAD_S + LATENCY_S
    assert arrivals == pytest.approx([one_s + WIRE_S])
    ends = told.spans[(told.spans["kind"] == "endpoint") & (told.spans["size_bytes"] == 1000)]
    assert (ends["ended_at_s"] - ends["started_at_s"]).tolist() == pytest.approx([OVERHEAD_S] * 4)


def test_planners_see_both_parts_and_the_occupied_one_apart() -> None:
    alone = pair()
    network = Network(alone.devices, alone.links, 1000.0)
    truth_s = 2 * (OVERHEAD_S + LATENCY_S) + WIRE_S
    assert network.seconds("a", "b", 1000.0) == pytest.approx(truth_s)
    assert network.hop_seconds("a", "b", 1000.0) == pytest.approx(truth_s)
    end = alone.devices["a"].endpoint
    assert (end.seconds(1000.0), end.passing_s(1000.0)) == (OVERHEAD_S, OVERHEAD_S + LATENCY_S)
    assert not Endpoint(latency_s=1e-6).is_free


@pytest.mark.parametrize("n", [2, 4, 8])
def test_a_star_pays_the_root_in_line_and_every_delay_once(n) -> None:
    """2 n ends in a row and the wires, but 4 delays whatever the group's size."""
    end = Endpoint(overhead_s=0.01, latency_s=0.5)
    crowd = meeting((1.0,) * n, end)
    for id_, one in list(crowd.devices.items()):
        if one.timing is None:
            crowd = replace(crowd, devices={**crowd.devices, id_: replace(one, endpoint=Endpoint())})
    rounds = all_reduce_rounds([f"node-{i}" for i in range(n)], 1.0, "star")
    told = _idle(crowd).of(rounds)
    wires_s = 2 * (2 * (8 / 2e7 + 3e-5))
    assert told.seconds == pytest.approx(2 * n * 0.01 + 4 * 0.5 + wires_s, abs=1e-5 * n)
    assert told.handling_s["node-0"] == pytest.approx(2 * (n - 1) * 0.01)


def _idle(one) -> IdleRounds:
    from edgesim.engine.cluster import Cluster
    from edgesim.engine.process.clock import Clock

    strategy = TensorParallel(over=("node",))
    placement = strategy.place(MODEL, Fleet.of(one))
    cluster = Cluster(one, Clock(), placement.holdings, None, placement.shards)
    transport: Transport = cluster._transport
    return IdleRounds(transport.network, one.devices, transport.hops)
