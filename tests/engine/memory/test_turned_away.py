"""Requests that are turned away from a device's memory, and go elsewhere: what is left of them there."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from miniature import Serve, device, model, run, world

from edgesim.engine.cluster import RequestFailed
from edgesim.radio.motion.outages import ScheduledOutages
from edgesim.workload.arrivals import Bursts, Deterministic
from edgesim.world.disciplines.continuous import ContinuousBatching
from edgesim.world.faults import Faults, Retry
from edgesim.world.link import Link
from edgesim.world.world import World

WHOLE = model().whole
FREE = Link(between=("a-0", "b-0"), rate_bps=math.inf)


def one_place(**facts: Any) -> World:
    """One request at a time on b-0, and any number on a-0; a request takes 4 s on either."""
    room_bytes = model().weight_bytes(WHOLE) + 2 * model().kv_bytes_per_token(4)
    return world([device("a-0"), device("b-0", memory_bytes=room_bytes)], [FREE], **facts)


def at(request: Any, cluster: Any, here: str) -> Iterator[Any]:
    yield from cluster.send(request, "a-0", here, request.prompt_bytes)
    for token in request.tokens():
        yield from cluster.compute(request, here, WHOLE, token)
        yield from cluster.emit(request, here, token)


def test_who_has_lost_patience_and_is_served_elsewhere_keeps_nobody_out() -> None:
    """One a second, patience 2 s: 0 has b-0 until 4 s; 1 turns to a-0 at 3 s, and 2 is let in at 4 s.

    That is the very instant at which 2 would have lost patience, and at which b-0 gives its room on: not to
    1, which does not want it any more. 3 turns to a-0 at 5 s, behind 1, which ends there at 7 s.
    """

    def serve(request, cluster):
        try:
            yield from cluster.admit(request, ("b-0",))
        except RequestFailed:
            yield from at(request, cluster, "a-0")
        else:
            yield from at(request, cluster, "b-0")

    ran = run(one_place(arrivals=Deterministic(1.0), n_requests=4, patience_s=2.0), Serve(serve))
    computed = [
        row[1:] for row in ran.log("kind", "request_id", "device", "started_at_s") if row[0] == "compute"
    ]
    assert sorted(computed) == [(0, "b-0", 0.0), (1, "a-0", 3.0), (2, "b-0", 4.0), (3, "a-0", 7.0)]
    assert ran.requests["outcome"].tolist() == ["completed"] * 4
    for memory in ran.cluster.memories.values():
        assert memory.used_bytes == memory.resident_bytes


def test_who_has_been_turned_away_may_ask_again_and_waits_again() -> None:
    """1 gives up at 2 s, looks round for a second, asks again at 3 s, and is let in at 4 s."""
    seen = []

    def serve(request, cluster):
        try:
            yield from cluster.admit(request, ("b-0",))
        except RequestFailed as error:
            seen.append((str(error), cluster.now_s, cluster.observe().n_requests("b-0")))
            yield from cluster.sleep(1.0)
            yield from cluster.admit(request, ("b-0",))
        yield from at(request, cluster, "b-0")

    there = one_place(arrivals=Bursts(n_requests=2, period_s=1e6), n_requests=2, patience_s=2.0)
    ran = run(there, Serve(serve))
    assert seen == [("timeout: waited 2 s for memory", 2.0, 1)]  # only request 0 is there meanwhile
    assert ran.requests.sort_values("request_id")["ended_at_s"].tolist() == [4.0, 8.0]
    waits = [row[1:] for row in ran.log("kind", "asked_at_s", "ended_at_s") if row[0] == "wait"]
    assert waits == [(3.0, 4.0)]
    assert all(host.n_requests == 0 for host in ran.cluster.hosts.values())


def test_whose_source_fails_while_it_waits_asks_anew() -> None:
    """Both begin anew at 1.5 s, 0 with room and 1 without, as before.

    The pass that 0 had booked on b-0 runs on until 4 s; 0 follows it, until 8 s, and then 1.
    """
    there = one_place(
        arrivals=Bursts(n_requests=2, period_s=1e6),
        n_requests=2,
        faults=Faults(devices={"a-0": ScheduledOutages([(1.0, 1.2)])}),
        retry=Retry(limit=1, backoff_s=0.5),
    )
    ran = run(there, Serve(lambda request, cluster: at(request, cluster, "b-0")))
    assert ran.requests.sort_values("request_id")["ended_at_s"].tolist() == [8.0, 12.0]
    waits = [row[1:] for row in ran.log("kind", "request_id", "asked_at_s", "ended_at_s") if row[0] == "wait"]
    assert waits == [(1, 1.5, 8.0)]
    assert all(host.n_requests == 0 for host in ran.cluster.hosts.values())


def test_who_loses_patience_for_one_device_still_waits_for_another() -> None:
    """Two waits of one request, begun together: that for b-0 ends at 2 s, that for c-0 when there is room."""

    def serve(request, cluster):
        if request.id == 0:
            yield from cluster.admit(request, ("b-0", "c-0"))
            yield from at(request, cluster, "b-0")
            return

        def either(here):
            try:
                yield from cluster.admit(request, (here,))
            except RequestFailed:
                return None
            return here

        got = yield from cluster.together(either("b-0"), either("c-0"))
        assert (got, cluster.now_s) == ([None, "c-0"], 4.0)
        yield from at(request, cluster, "c-0")

    room_bytes = model().weight_bytes(WHOLE) + 2 * model().kv_bytes_per_token(4)
    impatient = ContinuousBatching(max_batch=1, patience_s=2.0)
    devices = [
        device("a-0"),
        device("b-0", serving=impatient),
        device("c-0", memory_bytes=room_bytes),
    ]
    links = [Link(between=("a-0", other), rate_bps=math.inf) for other in ("b-0", "c-0")]
    ran = run(world(devices, links, arrivals=Bursts(n_requests=2, period_s=1e6), n_requests=2), Serve(serve))
    assert ran.requests.sort_values("request_id")["ended_at_s"].tolist() == [4.0, 8.0]


def test_who_stands_behind_one_that_a_failure_turns_away_is_let_in_there_and_then() -> None:
    """0 has b-0; 1 wants b-0 and c-0, and waits; 2 wants c-0, where there is room, and waits behind 1.

    b-0 fails at 2 s: 2 begins on c-0 at that instant.
    """
    wants = {0: ("b-0",), 1: ("b-0", "c-0"), 2: ("c-0",)}

    def serve(request, cluster):
        yield from cluster.admit(request, wants[request.id])
        yield from at(request, cluster, wants[request.id][-1])

    room_bytes = model().weight_bytes(WHOLE) + 2 * model().kv_bytes_per_token(4)
    devices = [device("a-0"), *(device(name, memory_bytes=room_bytes) for name in ("b-0", "c-0"))]
    links = [Link(between=("a-0", other), rate_bps=math.inf) for other in ("b-0", "c-0")]
    faults = Faults(devices={"b-0": ScheduledOutages([(2.0, 3.0)])})
    there = world(devices, links, arrivals=Bursts(n_requests=3, period_s=1e6), n_requests=3, faults=faults)
    ran = run(there, Serve(serve))
    told = ran.requests.sort_values("request_id")
    assert told["outcome"].tolist() == ["failed", "failed", "completed"]
    assert told["ended_at_s"].tolist() == [2.0, 2.0, 6.0]
    assert [
        row[1:] for row in ran.log("kind", "request_id", "asked_at_s", "ended_at_s") if row[0] == "wait"
    ] == [(2, 0.0, 2.0)]
