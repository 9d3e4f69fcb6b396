"""Requests that were preempted meet a failure, or one another: every instant by hand.

A token takes half a second on each of two stages, and messages nothing. Two requests come at 0 s with a
prompt of one token, and go through both stages together: token k is home at 1 + k s; its pass begins on the
second stage at 0.5 + k s, where the two caches then hold 2 (1 + k) tokens. That stage has room for seven: at
3.5 s request 1 gives up its caches on both, and has four tokens to compute anew.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pytest
from miniature import InTurn, PerBlock, Serve, Tables, device, model, run, world

from edgesim.engine.memory.preemption import Recovery
from edgesim.engine.process.clock import Clock
from edgesim.model.architecture import Slice
from edgesim.radio.motion.outages import ScheduledOutages
from edgesim.strategy import DeviceDown, Token
from edgesim.workload.arrivals import Bursts
from edgesim.workload.lengths import Fixed
from edgesim.world.disciplines.continuous import ContinuousBatching
from edgesim.world.faults import Faults, Retry
from edgesim.world.link import Link
from edgesim.world.world import World

GROW = ContinuousBatching()
STAGES = {"a-0": Slice(0, 2, embedding=True), "b-0": Slice(2, 4, head=True)}
ROOM = {"a-0": 1000, "b-0": 7}  # tokens


def two_stages(*failures: tuple[float, float], **facts: Any) -> World:
    devices = [
        device(
            name,
            PerBlock(0.25),
            serving=GROW,
            memory_bytes=model().held_bytes((part,)) + ROOM[name] * model().kv_bytes_per_token(part.n_blocks),
        )
        for name, part in STAGES.items()
    ]
    facts = {"output": Fixed(6), "n_requests": 2, "arrivals": Bursts(n_requests=2, period_s=1e6)} | facts
    faults = Faults(devices={"b-0": ScheduledOutages(failures)})
    wire = Link(between=("a-0", "b-0"), rate_bps=math.inf)
    return world(devices, [wire], **({"faults": faults} | facts))


def through(cluster: Any, request: Any, tokens: Iterator[Token]) -> Iterator[Any]:
    """Lead passes through both stages, and tokens home."""
    for token in tokens:
        at = "a-0"
        for here, part in STAGES.items():
            yield from cluster.send(request, at, here, token.n_new * request.token_activation_bytes)
            yield from cluster.compute(request, here, part, token)
            at = here
        yield from cluster.send(request, "b-0", "a-0", request.token_bytes)
        yield from cluster.emit(request, "a-0", token)


def plain(request: Any, cluster: Any) -> Iterator[Any]:
    yield from cluster.admit(request, STAGES)
    yield from through(cluster, request, request.tokens())


def served(there: World, serve: Any) -> Tables:
    return run(there, Serve(serve), holdings={name: (part,) for name, part in STAGES.items()})


def home_s(ran: Tables, request_id: int) -> list[float]:
    """When its tokens were delivered."""
    rows = ran.log("kind", "request_id", "ended_at_s")
    return [at_s for kind, id_, at_s in rows if kind == "emit" and id_ == request_id]


def test_the_timetable_without_a_failure() -> None:
    """Request 0 ends at 6 s; then request 1 computes four tokens anew on either stage, 2 s each."""
    ran = served(two_stages((1e6, 2e6)), plain)
    assert home_s(ran, 0) == [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
    assert home_s(ran, 1) == [1.0, 2.0, 3.0, 10.0, 11.0, 12.0]
    assert served(two_stages(faults=None), plain).requests.equals(ran.requests)


def gives_up_at_failure(request: Any, cluster: Any, what_next: Any) -> Iterator[Any]:
    try:
        yield from plain(request, cluster)
    except DeviceDown as error:
        if request.id == 0:
            raise
        yield from what_next(request, cluster, error)


def test_a_preempted_request_has_lost_its_cache_on_every_stage_when_one_fails() -> None:
    """It waits for both when b-0 fails at 4.75 s; on a-0, which is up, nothing is left to go on with."""
    seen: list[tuple[str, str]] = []

    def go_on(request, cluster, error):
        seen.append((error.device, str(error)))
        token = Token(3, 1, 3, request.token_activation_bytes, False)
        with pytest.raises(DeviceDown) as told:
            yield from cluster.compute(request, "a-0", STAGES["a-0"], token)
        seen.append((told.value.device, str(told.value)))
        cluster.fail(request, f"gave up at {cluster.now_s:g} s")

    ran = served(two_stages((4.75, 5.5)), lambda *its: gives_up_at_failure(*its, go_on))
    assert seen == [("b-0", "device down: b-0"), ("a-0", "device down: a-0 (its cache is lost)")]
    assert ran.requests.sort_values("request_id")["reason"].tolist() == [
        "device down: b-0",
        "gave up at 4.75 s",
    ]
    for memory in ran.cluster.memories.values():
        assert memory.used_bytes == memory.resident_bytes
        assert not memory.holders


def test_a_preempted_request_that_begins_anew_has_nothing_left_to_wait_for() -> None:
    """At 5.5 s, when b-0 is back, it computes its four tokens on both stages, alone: 2 s each.

    The wait for its old place has failed with the device, and what it had to make up for is made up for.
    """

    def begin_anew(request, cluster, error):
        yield from cluster.sleep(5.5 - cluster.now_s)
        size_bytes = request.token_activation_bytes
        first = Token(3, 4, 0, 4 * size_bytes, False)
        rest = [Token(index, 1, index, size_bytes, index == 5) for index in (4, 5)]
        yield from through(cluster, request, iter([first, *rest]))

    ran = served(two_stages((4.75, 5.5)), lambda *its: gives_up_at_failure(*its, begin_anew))
    assert home_s(ran, 0) == [1.0, 2.0, 3.0, 4.0]
    assert home_s(ran, 1) == [1.0, 2.0, 3.0, 9.5, 10.5, 11.5]
    works = ran.spans[(ran.spans["kind"] == "compute") & (ran.spans["started_at_s"] >= 5.5)]
    assert works["n_tokens"].tolist() == [4, 4, 1, 1, 1, 1]
    assert ran.requests["outcome"].tolist() == ["failed", "completed"]


def test_a_retry_after_a_preemption_begins_with_a_clean_sheet() -> None:
    """All begins anew at 5.75 s, request 1 is preempted again at 9.25 s, and waits until 11.75 s.

    What attempts before have delivered is not delivered again: of request 0 four tokens, of request 1 three.
    """
    ran = served(two_stages((4.75, 5.5), retry=Retry(limit=1, backoff_s=1.0)), plain)
    assert home_s(ran, 0) == [1.0, 2.0, 3.0, 4.0, 10.75, 11.75]
    assert home_s(ran, 1) == [1.0, 2.0, 3.0, 15.75, 16.75, 17.75]
    waits = [row[1:] for row in ran.log("kind", "device", "asked_at_s", "ended_at_s") if row[0] == "wait"]
    assert waits == [("a-0", 9.25, 11.75), ("b-0", 9.25, 11.75)]  # the first ended in nothing
    for memory in ran.cluster.memories.values():
        assert memory.used_bytes == memory.resident_bytes


def test_letting_go_of_one_device_leaves_what_is_to_be_made_up_for_elsewhere() -> None:
    events = {name: Clock().event() for name in ("a-0", "b-0")}
    recovery = Recovery(dict(events), {("a-0", 0), ("a-0", 1), ("b-0", 2)}, [])
    recovery.forget("a-0")
    assert recovery.admitted == {"b-0": events["b-0"]}
    assert recovery.stale == {("b-0", 2)}
    recovery.forget("c-0")  # where it never was
    assert recovery.admitted == {"b-0": events["b-0"]}


# --- room that a preempted request gives back -------------------------------------------------------


def test_room_given_back_on_one_device_goes_at_once_to_an_older_request_that_waits_there() -> None:
    """A younger one is preempted for want of room on b-0; what it held on a-0 lets an older one go on.

    Every device holds the whole model and takes a second for a token. All come at 0 s:

    ===  ===========  =======  ========  ==================================================================
    id   holds        prompt   outputs   what happens
    ===  ===========  =======  ========  ==================================================================
    0    c-0          1        6         passes at 0 to 5 s; ends at 6 s
    1    a-0, c-0     1        5         decodes on c-0 (room for 7 tokens): preempted at 3 s, where both
                                         would hold 4; needs room for 4 on both
    2    b-0          1        8         passes at 0.5 to 7.5 s; at 6.5 s it grows to 7
    3    a-0, b-0     3        6         decodes on a-0 (room for 9): 3 s for the prompt, then a token a
                                         second; holds 6 there from 5 s and 7 from 6 s, and 3 on b-0
    ===  ===========  =======  ========  ==================================================================

    When request 0 ends, at 6 s, request 1 has room on c-0, not on a-0. At 6.5 s b-0, which has room for 9,
    has 7 + 3 to hold: request 3 gives way on both. Request 1 goes on there and then: it computes its 4 tokens
    anew until 10.5 s, and one more. Only then has a-0 room for the 7 of request 3: 7 s, and one more token.
    """
    held = {0: ("c-0",), 1: ("a-0", "c-0"), 2: ("b-0",), 3: ("a-0", "b-0")}
    at = {0: "c-0", 1: "c-0", 2: "b-0", 3: "a-0"}

    def serve(request, cluster):
        here = at[request.id]
        yield from cluster.admit(request, held[request.id])
        yield from cluster.send(request, "a-0", here, request.prompt_bytes)
        yield from cluster.sleep(0.5 if request.id == 2 else 0.0)
        for token in request.tokens():
            yield from cluster.compute(request, here, model().whole, token)
            yield from cluster.emit(request, here, token)

    devices = [
        device(
            name,
            PerBlock(0.25),
            serving=GROW,
            memory_bytes=model().weight_bytes(model().whole) + n_tokens * model().kv_bytes_per_token(4),
        )
        for name, n_tokens in (("a-0", 9), ("b-0", 9), ("c-0", 7))
    ]
    wires = [Link(between=("a-0", other), rate_bps=math.inf) for other in ("b-0", "c-0")]
    lengths = {"prompt": InTurn((1, 1, 1, 3)), "output": InTurn((6, 5, 8, 6))}
    there = world(devices, wires, arrivals=Bursts(n_requests=4, period_s=1e6), n_requests=4, **lengths)
    ran = run(there, Serve(serve))
    waits = [
        row[1:]
        for row in ran.log("kind", "request_id", "device", "asked_at_s", "ended_at_s")
        if row[0] == "wait"
    ]
    assert sorted(waits) == [
        (1, "a-0", 3.0, 6.5),
        (1, "c-0", 3.0, 6.5),
        (3, "a-0", 6.5, 11.5),
        (3, "b-0", 6.5, 11.5),
    ]
    assert ran.requests.sort_values("request_id")["ended_at_s"].tolist() == [6.0, 11.5, 8.5, 19.5]
