"""Limited queues and patience before a compute station: by hand, and against theory."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
from miniature import N_BLOCKS, PerBlock, Serve, Tables, device, model, run, world
from queues import Exponential, assert_inside_student_t, farm, least_work

from edgesim.model.architecture import Slice
from edgesim.radio.motion.outages import ScheduledOutages
from edgesim.workload.arrivals import Bursts, Deterministic
from edgesim.workload.lengths import Fixed
from edgesim.world.device import Endpoint
from edgesim.world.discipline import ServingDiscipline
from edgesim.world.disciplines.continuous import ContinuousBatching
from edgesim.world.disciplines.fifo import FirstComeFirstServed
from edgesim.world.disciplines.static import StaticBatching
from edgesim.world.faults import Faults

WHOLE = Slice(0, N_BLOCKS, embedding=True, head=True)


def local(request, cluster):
    for token in request.tokens():
        yield from cluster.compute(request, "a-0", WHOLE, token)
        yield from cluster.emit(request, "a-0", token)


def ends(ran: Tables) -> list[tuple[Any, ...]]:
    told = ran.requests.sort_values("request_id")[["outcome", "reason", "ended_at_s"]].astype(object)
    return [tuple(row) for row in told.where(told.notna(), None).itertuples(index=False)]


def at_once(serving: ServingDiscipline, **facts: Any) -> list[tuple[Any, ...]]:
    """Four requests at the same instant; a pass takes 4 s."""
    facts = {"arrivals": Bursts(n_requests=4, period_s=1e9), "n_requests": 4} | facts
    return ends(run(world([device("a-0", serving=serving)], **facts), Serve(local)))


FULL = "queue: a-0: the queue of 1 requests is full"


def test_a_request_that_finds_the_queue_full_fails() -> None:
    told = at_once(FirstComeFirstServed(queue_limit=1))
    assert told == [("completed", None, 4.0), ("completed", None, 8.0), *[("failed", FULL, 0.0)] * 2]


def test_a_request_that_waits_too_long_fails() -> None:
    """Who is served at the very instant at which patience ends has not waited too long."""
    told = at_once(FirstComeFirstServed(patience_s=8.0))
    late = ("failed", "timeout: waited 8 s to be served by a-0", 8.0)
    assert told == [*(("completed", None, 4.0 * n) for n in (1, 2, 3)), late]


def test_who_will_give_up_stands_in_the_queue_until_then() -> None:
    """One a second: the second waits from 1 to 3 s, so fills the queue for the third, not for the fourth."""
    serving = FirstComeFirstServed(queue_limit=1, patience_s=2.0)
    told = at_once(serving, arrivals=Deterministic(1.0))
    late = "timeout: waited 2 s to be served by a-0"
    assert told == [
        ("completed", None, 4.0),
        ("failed", late, 3.0),
        ("failed", FULL, 2.0),
        ("completed", None, 8.0),
    ]


def test_later_passes_are_never_turned_away() -> None:
    told = at_once(FirstComeFirstServed(queue_limit=1, patience_s=4.0), output=Fixed(3), n_requests=2)
    # 0 and 1 take turns, and each waits 4 s for every pass after its first.
    assert told == [("completed", None, 20.0), ("completed", None, 24.0)]


def test_limits_that_nobody_meets_change_nothing() -> None:
    there = farm(1, 0.7, Exponential(), 500, 0)
    plain = run(there, Serve(least_work))
    wide = FirstComeFirstServed(queue_limit=10_000, patience_s=1e9)
    limited = run(
        replace(there, devices={i: replace(d, serving=wide) for i, d in there.devices.items()}),
        Serve(least_work),
    )
    for one, other in ((plain.requests, limited.requests), (plain.devices, limited.devices)):
        assert one.sort_values(one.columns[0]).equals(other.sort_values(other.columns[0]))


def test_a_limited_queue_is_lost_with_its_device() -> None:
    there = world(
        [device("a-0"), device("b-0", serving=FirstComeFirstServed(patience_s=7.0))],
        sources=("b-0",),
        arrivals=Bursts(n_requests=3, period_s=1e9),
        n_requests=3,
        faults=Faults(devices={"b-0": ScheduledOutages([(6.0, 7.0)])}),
    )

    def at_b(request, cluster):
        for token in request.tokens():
            yield from cluster.compute(request, "b-0", WHOLE, token)
            yield from cluster.emit(request, "b-0", token)

    assert ends(run(there, Serve(at_b))) == [
        ("completed", None, 4.0),
        *[("failed", "device down: b-0", 6.0)] * 2,
    ]


def blocked(serving: ServingDiscipline, rate_hz: float, replication: int) -> float:
    """Share of requests that are turned away, or give up."""
    there = farm(1, rate_hz, Exponential(), 8000, replication)
    limited = {id_: replace(d, serving=serving) for id_, d in there.devices.items()}
    ran = run(replace(there, devices=limited), Serve(least_work), keep_spans=False)
    return float((ran.requests["outcome"] == "failed").mean())


def test_m_m_1_k_loses_what_its_formula_says() -> None:
    """(1 - rho) rho^K / (1 - rho^(K+1)) with K = 3: one in service, two in the queue."""
    rho, k = 0.8, 3
    serving = FirstComeFirstServed(queue_limit=k - 1)
    values = [blocked(serving, rho, replication) for replication in range(8)]
    assert_inside_student_t(values, (1 - rho) * rho**k / (1 - rho ** (k + 1)))


def test_m_m_1_with_constant_patience_loses_what_its_formula_says() -> None:
    """Work found beyond the patience tau, from the level crossings of the work in the system.

    Its density is rho p e^(-(1-rho) x) up to tau, and falls like e^(-x) beyond, where nobody adds to it; p,
    the share of time that the server is idle, makes the total one. Service of mean one, rho = lambda.
    """
    rho, tau = 0.9, 2.0
    decay = math.exp(-(1 - rho) * tau)
    idle = 1 / (1 + rho * (1 - decay) / (1 - rho) + rho * decay)
    serving = FirstComeFirstServed(patience_s=tau)
    values = [blocked(serving, rho, replication) for replication in range(8)]
    assert_inside_student_t(values, rho * idle * decay)


def test_static_batches_have_a_queue_of_their_own() -> None:
    """A batch is made up of those in the queue, which three fill; who is not in the first may give up."""
    told = at_once(StaticBatching(max_batch=2, queue_limit=3))
    assert [row[0] for row in told] == ["completed"] * 3 + ["failed"]
    assert told[3][1:] == ("queue: a-0: the queue of 3 requests is full", 0.0)
    told = at_once(StaticBatching(max_batch=2, patience_s=3.0))
    late = ("failed", "timeout: waited 3 s to be served by a-0", 3.0)
    assert told == [*[("completed", None, 4.0)] * 2, late, late]
    assert at_once(StaticBatching(max_batch=2, patience_s=4.0))[2:] == [("completed", None, 8.0)] * 2


@pytest.mark.parametrize("cache", ["grow", "reserve"])
def test_under_continuous_batching_places_and_memory_have_one_queue(cache: Any) -> None:
    told = at_once(ContinuousBatching(max_batch=2, cache=cache, queue_limit=1))
    assert [row[0] for row in told] == ["completed"] * 3 + ["failed"]
    assert told[3][1:] == ("memory: a-0: the queue of 1 requests is full", 0.0)
    told = at_once(ContinuousBatching(max_batch=2, cache=cache, patience_s=3.0))
    late = ("failed", "timeout: waited 3 s for memory", 3.0)
    assert [row[0] for row in told] == ["completed"] * 2 + ["failed"] * 2
    assert told[2:] == [late, late]


def test_a_place_is_waited_for_even_where_memory_is_refused() -> None:
    """`reject` refuses for want of memory only: two places, room for three caches."""
    serving = ContinuousBatching(max_batch=2, cache="reserve")

    def told(n_caches: int) -> list[str]:
        memory_bytes = model().weight_bytes(WHOLE) + 2 * n_caches * model().kv_bytes_per_token(N_BLOCKS)
        there = world(
            [device("a-0", serving=serving, memory_bytes=memory_bytes)],
            arrivals=Bursts(n_requests=4, period_s=1e9),
            n_requests=4,
            memory_policy="reject",
        )
        return [row[0] for row in ends(run(there, Serve(local)))]

    assert told(3) == ["completed"] * 4
    assert told(1) == ["completed"] + ["failed"] * 3


def test_a_limited_queue_goes_with_messages_on_the_compute_station() -> None:
    one = device(
        "a-0",
        PerBlock(),
        serving=FirstComeFirstServed(queue_limit=1),
        endpoint=Endpoint(overhead_s=1.0, on_compute=True),
    )
    assert ends(run(world([one]), Serve(local))) == [("completed", None, 4.0)]
