"""Closed workloads in the engine: whole logs by hand, the interactive response time law, ends."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from miniature import EVERY_SECOND, ONE_TOKEN, PerBlock, Serve, device, model, run, world

from edgesim.engine.simulation import simulate
from edgesim.errors import InputError
from edgesim.trace.reader import Trace
from edgesim.trace.writer import TraceFolder
from edgesim.workload.closed import ClosedLoop
from edgesim.workload.lengths import Fixed, Uniform
from edgesim.workload.sessions import Sessions
from edgesim.workload.think import ExponentialThink, FixedThink, Think
from edgesim.world.world import World


def alone(request: Any, cluster: Any) -> Iterator[Any]:
    """Compute everything at the source."""
    for token in request.tokens():
        yield from cluster.compute(request, request.source, model().whole, token)
        yield from cluster.emit(request, request.source, token)


def refusing(request: Any, cluster: Any) -> Iterator[Any]:
    yield from cluster.fail(request, "no")


def users(n: int, think: Think, *, block_s: float = 0.25, **facts: Any) -> World:
    """Users at one device on which a token takes 4 blocks."""
    there = world([device("d-0", PerBlock(block_s))], n_requests=None, horizon_s=facts.get("horizon_s", 1.0))
    law = {"prompt_tokens": ONE_TOKEN, "output_tokens": ONE_TOKEN, "sources": ("d-0",)} | facts
    return replace(
        there, workload=ClosedLoop(n_users=n, think=think, **law), horizon_s=facts.get("horizon_s")
    )


def told(there: World) -> list[tuple[int, float, float]]:
    requests = run(there, Serve(alone)).requests.sort_values("request_id")
    return list(zip(requests["request_id"], requests["arrived_at_s"], requests["ended_at_s"], strict=True))


def test_a_lone_user_asks_again_after_the_answer_and_a_pause() -> None:
    # A pass takes 1 s, thinking 0.5 s.
    assert told(users(1, FixedThink(0.5), n_requests=3)) == [(0, 0.0, 1.0), (1, 1.5, 2.5), (2, 3.0, 4.0)]


def test_without_a_pause_the_next_request_comes_at_the_very_instant() -> None:
    assert told(users(1, FixedThink(0.0), n_requests=3)) == [(0, 0.0, 1.0), (1, 1.0, 2.0), (2, 2.0, 3.0)]


def test_two_users_share_a_station() -> None:
    # User 0 asks at 0, 1.5 and 3.5 s, user 1 at 0 and 2.5 s; the station is never idle.
    assert told(users(2, FixedThink(0.5), n_requests=5)) == [
        (0, 0.0, 1.0),
        (1, 0.0, 2.0),
        (2, 1.5, 3.0),
        (3, 2.5, 4.0),
        (4, 3.5, 5.0),
    ]


def test_users_may_start_one_after_the_other() -> None:
    there = users(2, FixedThink(0.0), n_requests=2, stagger_s=0.25)
    assert told(there) == [(0, 0.0, 1.0), (1, 0.25, 2.0)]


@pytest.mark.parametrize(("n", "think_s"), [(1, 3.0), (3, 3.0), (4, 3.0), (10, 3.0), (5, 0.0)])
def test_throughput_is_the_lesser_of_the_two_bounds_where_nothing_is_random(n: int, think_s: float) -> None:
    # Asymptotic bounds of a closed network (Denning and Buzen 1978): min(1/S, n/(S + Z)), met exactly here.
    done = run(users(n, FixedThink(think_s), horizon_s=400.0), Serve(alone)).requests
    n_done = int((done["outcome"] == "completed").sum())
    assert n_done / 400 == pytest.approx(min(1.0, n / (1.0 + think_s)), abs=(n + 1) / 400)


@settings(max_examples=20, deadline=None)
@given(n=st.integers(1, 6), mean_s=st.floats(0.1, 5.0), seed=st.integers(0, 100))
def test_interactive_response_time_law(n: int, mean_s: float, seed: int) -> None:
    """Users' time is all spent waiting for answers or thinking: sum over users, exactly, of one run."""
    there = replace(users(n, ExponentialThink(mean_s), output_tokens=Uniform(1, 4), n_requests=40), seed=seed)
    requests = run(there, Serve(alone)).requests.set_index("request_id")
    asked = {turn.id: turn for c in there.conversations() for turn in c.turns}
    for user in range(min(n, 40)):
        at_s = 0.0
        for number in range(user, 40, n):
            at_s += asked[number].think_s
            assert requests.loc[number, "arrived_at_s"] == pytest.approx(at_s, rel=1e-12)
            at_s = float(requests.loc[number, "ended_at_s"])


def test_never_more_requests_are_in_flight_than_there_are_users() -> None:
    there = users(3, ExponentialThink(0.7), output_tokens=Uniform(1, 4), n_requests=200)
    requests = run(there, Serve(alone)).requests
    instants = np.concatenate([requests["arrived_at_s"], requests["ended_at_s"]])
    steps = np.repeat([1, -1], len(requests))
    order = np.lexsort((steps, instants))
    assert np.cumsum(steps[order]).max() == 3


def test_a_user_whose_request_fails_asks_again() -> None:
    requests = run(users(1, FixedThink(2.0), n_requests=3), Serve(refusing)).requests
    assert requests["arrived_at_s"].tolist() == [0.0, 2.0, 4.0]
    assert set(requests["outcome"]) == {"failed"}


def test_requests_that_end_in_no_time_without_end_are_refused() -> None:
    with pytest.raises(InputError, match=r"ended in no time.*give users a think time"):
        run(users(1, FixedThink(0.0), horizon_s=10.0), Serve(refusing))
    finite = run(users(1, FixedThink(0.0), horizon_s=10.0, n_requests=3000), Serve(refusing))
    assert len(finite.requests) == 3000


def test_a_run_without_a_horizon_ends_with_the_last_conversation() -> None:
    def ticks(cluster: Any) -> Iterator[float]:
        at_s = 0.0
        while True:
            at_s += 0.25
            yield at_s

    there = users(2, FixedThink(0.5), n_requests=5)
    ran = run(there, Serve(alone, ticks))
    assert ran.devices["duration_s"].tolist() == [5.0]


def test_turns_of_a_session_follow_the_answers() -> None:
    law = Sessions(
        arrivals=EVERY_SECOND,
        turns=Fixed(2),
        think=FixedThink(0.25),
        prompt_tokens=ONE_TOKEN,
        output_tokens=ONE_TOKEN,
        sources=("d-0",),
        n_requests=4,
    )
    there = replace(users(1, FixedThink(0.0), n_requests=1), workload=law)
    # A token takes 1 s; the second prompt of a session is 1 + 1 + 1 tokens and takes 3 s.
    requests = run(there, Serve(alone)).requests.sort_values("request_id")
    assert requests["n_prompt_tokens"].tolist() == [1, 3, 1, 3]
    assert requests["arrived_at_s"].tolist() == [0.0, 1.25, 1.0, 2.25]
    assert requests["ended_at_s"].tolist() == [1.0, 5.0, 2.0, 8.0]


def folder_of(tmp_path: Path, there: World, strategies: dict[str, Any], notes: dict[str, Any]) -> Trace:
    folder = TraceFolder(tmp_path / "trace")
    folder.write_run({"status": "complete", "strategies": list(strategies), "links": {}, "workload": notes})
    for label, block_s in strategies.items():
        devices = {id_: replace(d, timing=PerBlock(block_s)) for id_, d in there.devices.items()}
        holdings = {"d-0": (there.model.whole,)}
        write = folder.parts(label, 0).write
        simulate(replace(there, devices=devices), Serve(alone), None, holdings, write)
    return Trace(tmp_path / "trace")


def test_faster_strategies_serve_more_requests_and_the_trace_is_lawful_because_it_says_so(
    tmp_path: Path,
) -> None:
    there = users(2, FixedThink(0.5), output_tokens=Uniform(1, 5), horizon_s=60.0)
    notes = dict(there.workload.notes(None))  # type: ignore[arg-type]
    trace = folder_of(tmp_path, there, {"slow": 0.25, "fast": 0.05}, notes)
    assert len(trace.requests("fast", 0)) > 1.5 * len(trace.requests("slow", 0))
    assert trace.check() == []


def test_the_same_trace_is_unlawful_where_run_json_does_not_say_so(tmp_path: Path) -> None:
    there = users(2, FixedThink(0.5), horizon_s=20.0)
    trace = folder_of(tmp_path, there, {"slow": 0.25, "fast": 0.05}, {})
    assert any("are not those of slow" in sentence for sentence in trace.check())


def test_what_is_asked_must_be_the_same_in_a_closed_loop_too(tmp_path: Path) -> None:
    there = users(2, FixedThink(0.5), output_tokens=Uniform(1, 5), n_requests=12)
    notes = dict(there.workload.notes(None))  # type: ignore[arg-type]
    folder_of(tmp_path / "a", there, {"one": 0.25, "two": 0.05}, notes)
    other = folder_of(tmp_path / "b", replace(there, seed=2), {"two": 0.05}, notes)
    trace = Trace(tmp_path / "a" / "trace")
    assert trace.check() == []
    part = "requests/strategy=two/replication=0/part-00000.parquet"
    (trace.path / part).write_bytes((other.path / part).read_bytes())
    assert any("are not those of one" in sentence for sentence in trace.check())
