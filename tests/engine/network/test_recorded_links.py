"""Links whose rate is recorded: messages follow it bit by bit, first come, first served."""

from __future__ import annotations

import pytest
from miniature import Serve, device, run, world

from edgesim.radio.motion.outages import ScheduledOutages
from edgesim.radio.motion.recorded import RecordedRate
from edgesim.workload.arrivals import Bursts
from edgesim.world.faults import Faults
from edgesim.world.fleet import Fleet
from edgesim.world.link import Link

AT_ONCE = Bursts(n_requests=3, period_s=1e6)
DEVICES = [device("a-0"), device("b-0")]


def of(recorded, **facts):
    link = Link(between=("a-0", "b-0"), rate_bps=recorded, latency_s=0.01)
    return world(DEVICES, [link], arrivals=AT_ONCE, n_requests=3, **facts)


def send(size_bytes):
    def serve(request, cluster):
        yield from cluster.send(request, "a-0", "b-0", size_bytes)
        cluster.fail(request, "sent")

    return Serve(serve)


def test_messages_share_the_packets_of_a_recording_in_turn() -> None:
    # Packets of 1500 bytes at 10, 20, 20 and 50 ms, and over again. Messages of 1000 bytes: the first takes
    # the first packet but for 500 bytes; the second those and as many at 20 ms, the third the rest of these.
    recorded = RecordedRate.of_packets([0.010, 0.020, 0.020, 0.050])
    ran = run(of(recorded), send(1000))
    assert ran.log("started_at_s", "ended_at_s") == [
        (0.0, pytest.approx(0.020)),
        (pytest.approx(0.010), pytest.approx(0.030)),
        (pytest.approx(0.020), pytest.approx(0.030)),
    ]
    assert ran.cluster.hops["a-0", "b-0"].busy_until(1.0) == pytest.approx(0.020)


def test_a_message_pays_for_the_rate_as_it_changes() -> None:
    # 8 kbit/s for a second, nothing for one, then 80 kbit/s: 1000 bytes, then 1000 in 100 ms.
    recorded = RecordedRate.of_rates([0.0, 1.0, 2.0, 100.0], [8e3, 0.0, 8e4, 0.0])
    ran = run(of(recorded), send(1000))
    ended_s = ran.spans["ended_at_s"].tolist()
    assert ended_s == pytest.approx([1.01, 2.11, 2.21])


def test_a_failure_frees_what_was_spoken_for() -> None:
    recorded = RecordedRate.of_rates([0.0, 1.0, 2.0, 100.0], [8e3, 0.0, 8e4, 0.0])
    faults = Faults(links={"a-0--b-0": ScheduledOutages([(0.5, 3.0)])})

    def again(request, cluster):
        if request.id < 2:
            yield from cluster.send(request, "a-0", "b-0", 1000)
        yield from cluster.sleep(3.0)
        yield from cluster.send(request, "a-0", "b-0", 1000)
        cluster.fail(request, "sent")

    ran = run(of(recorded, faults=faults), Serve(again))
    assert ran.requests.sort_values("request_id")["ended_at_s"].tolist() == pytest.approx([0.5, 0.5, 3.11])


def test_routes_count_the_mean_rate() -> None:
    recorded = RecordedRate.of_rates([0.0, 1.0, 2.0], [8e3, 0.0, 1.0])
    assert Fleet.of(of(recorded)).transfer_seconds("a-0", "b-0", 500) == pytest.approx(1.01)
