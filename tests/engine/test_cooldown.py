"""After the horizon: arrivals go on uncounted until what arrived before it has ended, or up to the limit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pandas as pd
import pytest
from miniature import ONE_TOKEN, PerBlock, Serve, device, model, run, world

from edgesim.workload.arrivals import Deterministic
from edgesim.workload.closed import ClosedLoop
from edgesim.workload.think import FixedThink
from edgesim.world.world import World


def alone(request: Any, cluster: Any) -> Iterator[Any]:
    for token in request.tokens():
        yield from cluster.compute(request, request.source, model().whole, token)
        yield from cluster.emit(request, request.source, token)


def refusing(request: Any, cluster: Any) -> Iterator[Any]:
    yield from cluster.fail(request, "no")


def queue(service_s: float, horizon_s: float, cooldown_s: float, every_s: float = 1.0) -> World:
    """D/D/1: a request per period, the first at time zero."""
    there = world(
        [device("d-0", PerBlock(service_s / 4))],
        arrivals=Deterministic(every_s),
        n_requests=None,
        horizon_s=horizon_s + cooldown_s,
    )
    return replace(there, horizon_s=horizon_s, cooldown_s=cooldown_s)


def lives(there: World, strategy: Any = alone) -> list[tuple[float, str, float | None]]:
    requests = run(there, Serve(strategy)).requests.sort_values("request_id")
    return [
        (arrived, outcome, None if pd.isna(ended) else ended)
        for arrived, outcome, ended in zip(
            requests["arrived_at_s"], requests["outcome"], requests["ended_at_s"], strict=True
        )
    ]


def test_the_run_ends_when_the_last_request_before_the_horizon_has() -> None:
    # Four requests count; those at 4 and 5 s arrive while the last of them waits and is served.
    assert lives(queue(1.375, horizon_s=3.5, cooldown_s=10.0)) == [
        (0.0, "completed", 1.375),
        (1.0, "completed", 2.75),
        (2.0, "completed", 4.125),
        (3.0, "completed", 5.5),
        (4.0, "censored", None),
        (5.0, "censored", None),
    ]


def test_nothing_in_flight_at_the_horizon_ends_the_run_there() -> None:
    ran = run(queue(0.25, horizon_s=3.5, cooldown_s=10.0), Serve(alone))
    assert list(ran.devices["duration_s"]) == [3.5]
    assert list(ran.requests["outcome"]) == ["completed"] * 4


def test_an_arrival_at_the_horizon_does_not_count() -> None:
    assert lives(queue(0.5, horizon_s=2.0, cooldown_s=10.0)) == [
        (0.0, "completed", 0.5),
        (1.0, "completed", 1.5),
    ]


def test_the_limit_cuts_what_would_take_longer() -> None:
    assert lives(queue(3.0, horizon_s=2.5, cooldown_s=3.0)) == [
        (0.0, "completed", 3.0),
        (1.0, "censored", None),
        (2.0, "censored", None),
        (3.0, "censored", None),
        (4.0, "censored", None),
        (5.0, "censored", None),
    ]


def test_without_a_cooldown_the_horizon_cuts() -> None:
    assert lives(queue(1.375, horizon_s=3.5, cooldown_s=0.0)) == [
        (0.0, "completed", 1.375),
        (1.0, "completed", 2.75),
        (2.0, "censored", None),
        (3.0, "censored", None),
    ]


def test_failed_requests_have_ended_too() -> None:
    ran = run(queue(1.0, horizon_s=2.5, cooldown_s=5.0), Serve(refusing))
    assert list(ran.devices["duration_s"]) == [2.5]


@pytest.mark.parametrize("service_s", [0.7, 1.3])
def test_counted_requests_fare_as_under_a_longer_horizon(service_s: float) -> None:
    """The tail meets the load that the others met: a longer run says the same of the same requests."""
    short = run(queue(service_s, horizon_s=20.0, cooldown_s=20.0), Serve(alone))
    long = run(queue(service_s, horizon_s=40.0, cooldown_s=0.0), Serve(alone))
    counted = short.requests[short.requests["arrived_at_s"] < 20.0].reset_index(drop=True)
    assert (counted["outcome"] == "completed").all()
    same = long.requests[long.requests["arrived_at_s"] < 20.0].reset_index(drop=True)
    pd.testing.assert_frame_equal(counted, same, check_categorical=False)
    n_spans = len(short.spans[short.spans["request_id"] < len(counted)])
    assert n_spans == len(long.spans[long.spans["request_id"] < len(counted)])


def test_energy_is_charged_up_to_the_end_of_the_cooldown() -> None:
    ran = run(queue(1.375, horizon_s=3.5, cooldown_s=10.0), Serve(alone))
    # Four passes; the fifth would begin at the instant at which the run ends.
    assert list(ran.devices["busy_s"]) == [5.5]
    assert ran.requests["energy_j"].sum() == pytest.approx(ran.spans["energy_j"].sum(), rel=1e-12)
    assert (ran.spans["started_at_s"].dropna() <= 5.5).all()


def test_users_go_on_asking_until_the_counted_answers_are_there() -> None:
    there = world([device("d-0", PerBlock(0.25))], n_requests=None, horizon_s=2.5)
    law = ClosedLoop(
        n_users=2,
        think=FixedThink(0.5),
        prompt_tokens=ONE_TOKEN,
        output_tokens=ONE_TOKEN,
        sources=("d-0",),
        horizon_s=12.5,
    )
    # A pass takes 1 s: both ask at 0 s, one again at 1.5 s, the other at 2.5 s, which does not count.
    there = replace(there, workload=law, horizon_s=2.5, cooldown_s=10.0)
    ran = run(there, Serve(alone))
    assert list(ran.devices["duration_s"]) == [3.0]
    told = ran.requests.sort_values("request_id")
    assert list(told["arrived_at_s"]) == [0.0, 0.0, 1.5, 2.5]
    assert list(told["outcome"]) == ["completed", "completed", "completed", "censored"]
