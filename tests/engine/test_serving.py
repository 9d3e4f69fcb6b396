"""Disciplines that serve several requests at once: by hand, against theory, and against plain loops."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import pytest
from miniature import PerBlock, Serve, Tables, device, model, run, world
from queues import TICK_S, Exponential, assert_inside_student_t, farm, least_work, sojourns_s

from edgesim.engine.serving import ContinuousBatching, ProcessorSharing, Serving, StaticBatching
from edgesim.engine.world import Endpoint, Power
from edgesim.errors import InputError
from edgesim.model.architecture import Slice
from edgesim.workload.arrivals import Bursts, Deterministic, Poisson
from edgesim.workload.lengths import Fixed, Uniform

N_BLOCKS = 4
ONE_SECOND = PerBlock()
WHOLE = Slice(0, N_BLOCKS, embedding=True, head=True)


@dataclass(frozen=True)
class Batched:
    """1 s per pass, 0.1 s per request in it, 0.01 s per new token and 0.001 s per cached one of each."""

    origin: ClassVar[str] = "analytic"

    def seconds(self, part: Slice, *, batch: int, n_new: Any, n_context: Any) -> Any:
        news, contexts = np.broadcast_arrays(np.asarray(n_new, float), np.asarray(n_context, float))
        return 1.0 + batch * (0.1 + 0.01 * news + 0.001 * contexts)

    def check(self, *, max_new: int, max_context: int) -> None:
        """Any length is known."""


def local(request, cluster):
    for token in request.tokens():
        yield from cluster.compute(request, "a-0", WHOLE, token)
        yield from cluster.emit(request, "a-0", token)


def serve(serving: Serving, timing: Any = ONE_SECOND, **facts: Any) -> Tables:
    machine = {"memory_bytes": facts.pop("memory_bytes", 1 << 60), "power": Power(active_w=2.0)}
    return run(world([device("a-0", timing, serving=serving, **machine)], **facts), Serve(local))


def passes(ran: Tables) -> list[tuple[Any, ...]]:
    rows = ran.log("request_id", "token", "kind", "n_tokens", "started_at_s", "ended_at_s")
    return [(id_, token, n, begin, end) for id_, token, kind, n, begin, end in rows if kind == "compute"]


# --- processor sharing ---------------------------------------------------------------------------


def test_two_passes_share_the_processor() -> None:
    """4 s of work each, the second a second later: 3 s are left of the first, shared till 7 s."""
    ran = serve(ProcessorSharing(), arrivals=Deterministic(1.0), n_requests=2)
    assert passes(ran) == [(0, 0, 1, 0.0, 7.0), (1, 0, 1, 1.0, 8.0)]
    assert ran.devices["busy_s"].tolist() == [8.0]
    assert ran.spans["energy_j"].sum() == pytest.approx(16.0)


def test_the_end_of_the_run_cuts_what_shares_the_processor() -> None:
    ran = serve(ProcessorSharing(), arrivals=Deterministic(1.0), n_requests=2, horizon_s=3.0)
    assert ran.requests["outcome"].tolist() == ["censored"] * 2
    assert ran.spans["ended_at_s"].isna().all()
    assert sorted(ran.spans["energy_j"]) == [pytest.approx(2.0), pytest.approx(4.0)]  # 1 s and 2 s of 3 s


@pytest.mark.parametrize("service", [Exponential(), Fixed(round(1 / TICK_S))])
def test_m_g_1_processor_sharing_is_insensitive(service: Any) -> None:
    """Mean time in the system E[S] / (1 - rho), whatever the law of service (Kleinrock 1976)."""

    def simulate(replication: int) -> float:
        there = farm(1, 0.6, service, 8000, replication)
        shared = {id_: replace(d, serving=ProcessorSharing()) for id_, d in there.devices.items()}
        return float(
            sojourns_s(run(replace(there, devices=shared), Serve(least_work), keep_spans=False)).mean()
        )

    assert_inside_student_t([simulate(replication) for replication in range(8)], 1 / (1 - 0.6))


def test_processor_sharing_is_a_fluid_path_by_path() -> None:
    """Against a slow fluid simulation: at every change, all progress by the same amount."""
    there = farm(1, 0.8, Exponential(), 300, 0)
    shared = {id_: replace(d, serving=ProcessorSharing()) for id_, d in there.devices.items()}
    told_s = sojourns_s(run(replace(there, devices=shared), Serve(least_work)), warmup=0.0)
    left: dict[int, float] = {}
    ended_at_s: dict[int, float] = {}
    now_s, arrivals = 0.0, list(there.requests())
    while arrivals or left:
        next_s = arrivals[0].arrived_at_s if arrivals else math.inf
        done_s = now_s + min(left.values(), default=math.inf) * len(left)
        step_s = min(next_s, done_s) - now_s
        left = {id_: work - step_s / len(left) for id_, work in left.items()}
        now_s += step_s
        for id_ in [id_ for id_, work in left.items() if work <= 1e-12]:
            ended_at_s[id_] = now_s
            del left[id_]
        if arrivals and next_s <= now_s:
            left[arrivals[0].id] = arrivals[0].n_prompt_tokens * TICK_S
            arrivals.pop(0)
    expected_s = [ended_at_s[r.id] - r.arrived_at_s for r in there.requests()]
    np.testing.assert_allclose(told_s, expected_s, rtol=0, atol=1e-8)


# --- continuous batching -------------------------------------------------------------------------


def by_the_loop(there: Any, discipline: ContinuousBatching) -> list[tuple[Any, ...]]:
    """Iteration-level scheduling as plain loops over plain lists, one device, memory without end."""
    timing = Batched()
    arrivals = list(there.requests())
    waiting: list[list[int]] = []  # request, token, tokens left of the prompt, context
    rows, now_s = [], 0.0
    prompt = {r.id: r.n_prompt_tokens for r in arrivals}
    output = {r.id: r.n_output_tokens for r in arrivals}
    while arrivals or waiting:
        while arrivals and arrivals[0].arrived_at_s <= now_s:
            waiting.append([arrivals[0].id, 0, prompt[arrivals[0].id], 0])
            arrivals.pop(0)
        if not waiting:
            now_s = arrivals[0].arrived_at_s
            continue
        decodes = [w for w in waiting if prompt[w[0]] == 1 or w[1] > 0][: discipline.max_batch]
        budget, chunks = discipline.max_tokens - len(decodes), []
        for w in waiting:
            if w in decodes or prompt[w[0]] == 1 or w[1] > 0:
                continue
            if budget > 0 and len(decodes) + len(chunks) < discipline.max_batch:
                chunks.append((w, min(w[2], budget)))
                budget -= chunks[-1][1]
        took_s = 0.0
        if decodes:
            context = round(sum(w[3] for w in decodes) / len(decodes))
            took_s += float(timing.seconds(WHOLE, batch=len(decodes), n_new=1, n_context=context))
        for w, n in chunks:
            done = prompt[w[0]] - w[2]
            whole_s = float(timing.seconds(WHOLE, batch=1, n_new=done + n, n_context=0))
            before_s = float(timing.seconds(WHOLE, batch=1, n_new=done, n_context=0)) if done else 0.0
            took_s += max(whole_s - before_s, float(timing.seconds(WHOLE, batch=1, n_new=n, n_context=0)))
        begin_s, now_s = now_s, now_s + took_s
        unfinished, again = [], []
        for w, n in [(w, 1) for w in decodes] + chunks:
            rows.append((w[0], w[1], n, begin_s, now_s))
            waiting.remove(w)
            w[2] -= n
            if w[1] == 0 and w[2] > 0:
                unfinished.append(w)
            elif w[1] + 1 < output[w[0]]:
                again.append([w[0], w[1] + 1, 1, prompt[w[0]] + w[1]])
        # Who arrived during the iteration stands before those who ask again at its end.
        while arrivals and arrivals[0].arrived_at_s < now_s:
            waiting.append([arrivals[0].id, 0, prompt[arrivals[0].id], 0])
            arrivals.pop(0)
        waiting = unfinished + waiting + again
    return [(id_, token, n, round(begin, 9), round(end, 9)) for id_, token, n, begin, end in rows]


@pytest.mark.parametrize(
    "discipline",
    [ContinuousBatching(), ContinuousBatching(max_batch=3), ContinuousBatching(max_batch=4, max_tokens=16)],
)
@pytest.mark.parametrize("rate_hz", [0.05, 0.4, 3.0])
def test_continuous_batching_is_the_plain_loop_step_by_step(
    discipline: ContinuousBatching, rate_hz: float
) -> None:
    facts = {
        "arrivals": Poisson(rate_hz),
        "n_requests": 40,
        "prompt": Uniform(2, 60),
        "output": Uniform(1, 12),
    }
    ran = serve(discipline, Batched(), **facts)
    there = world([device("a-0", Batched())], **facts)
    assert passes(ran) == by_the_loop(there, discipline)


def test_throughput_follows_the_batch_axis() -> None:
    """All there from the start, prompts of one token: a step of n takes 1 + 0.1 n s, not n (1 + 0.1) s."""
    for n_requests in (1, 4, 8):
        ran = serve(
            ContinuousBatching(max_batch=8),
            Batched(),
            arrivals=Bursts(n_requests=n_requests, period_s=1e9),
            n_requests=n_requests,
            output=Fixed(3),
        )
        step_s = [1 + n_requests * (0.1 + 0.01 + 0.001 * context) for context in range(3)]
        assert ran.requests["ended_at_s"].tolist() == pytest.approx([sum(step_s)] * n_requests)


def tight(n_tokens: int, **facts: Any) -> dict[str, Any]:
    resident = model().weight_bytes(WHOLE)
    return {"memory_bytes": resident + n_tokens * model().kv_bytes_per_token(N_BLOCKS)} | facts


def test_caches_grow_and_the_last_is_preempted_and_computes_anew() -> None:
    """Room for 8 tokens, two requests of 7: the second gives way, and still tells all its tokens."""
    ran = serve(
        ContinuousBatching(),
        Batched(),
        **tight(8),
        arrivals=Bursts(n_requests=2, period_s=1e9),
        n_requests=2,
        prompt=Fixed(2),
        output=Fixed(5),
    )
    assert ran.requests["outcome"].tolist() == ["completed"] * 2
    assert ran.requests["n_emitted_tokens"].tolist() == [5, 5]
    assert (ran.devices["peak_memory_bytes"] <= ran.devices["memory_bytes"]).all()
    waits = ran.spans[ran.spans["kind"] == "wait"]
    assert waits["request_id"].tolist() == [1]
    again = [row for row in passes(ran) if row[0] == 1 and row[2] > 2]
    assert len(again) == 1
    assert again[0][2] == 2 + again[0][1]  # prompt and all tokens told before
    first_ended_s = ran.requests.set_index("request_id").loc[0, "ended_at_s"]
    assert again[0][3] >= round(first_ended_s, 9)


@pytest.mark.parametrize("cache", ["grow", "reserve"])
def test_memory_is_never_exceeded_and_everybody_finishes(cache: Any) -> None:
    ran = serve(
        ContinuousBatching(max_batch=8, cache=cache),
        Batched(),
        **tight(60),
        arrivals=Poisson(2.0),
        n_requests=60,
        prompt=Uniform(1, 20),
        output=Uniform(1, 30),
    )
    assert set(ran.requests["outcome"]) == {"completed"}
    assert (ran.requests["n_emitted_tokens"] == ran.requests["n_output_tokens"]).all()
    memory = ran.cluster.memories["a-0"]
    assert memory.resident_bytes == memory.used_bytes < memory.peak_bytes <= memory.capacity_bytes
    preempted = (ran.spans["kind"] == "wait") & (ran.spans["token"] > 0)
    assert preempted.any() == (cache == "grow")


# --- static batching -----------------------------------------------------------------------------


def test_a_static_batch_is_closed_and_lasts_as_long_as_its_longest() -> None:
    """Two at once make a batch; the third, a second later, waits until both have ended."""
    ran = serve(
        StaticBatching(max_batch=2),
        Batched(),
        arrivals=Deterministic(1.0),
        n_requests=3,
        prompt=Fixed(10),
        output=Fixed(2),
    )
    alone, two = 1 + (0.1 + 0.1), 1 + 2 * (0.1 + 0.1)
    step_alone, step_two = 1 + (0.1 + 0.01 + 0.01), 1 + 2 * (0.1 + 0.01 + 0.01)
    first = [(0, 0, 10, 0.0, alone), (0, 1, 1, alone, alone + step_alone)]
    begin = alone + step_alone
    assert passes(ran) == [
        tuple(round(x, 9) for x in row)
        for row in [
            *first,
            *((id_, 0, 10, begin, begin + two) for id_ in (1, 2)),
            *((id_, 1, 1, begin + two, begin + two + step_two) for id_ in (1, 2)),
        ]
    ]


def test_a_static_batch_waits_for_company() -> None:
    facts = {"arrivals": Deterministic(1.0), "n_requests": 2, "prompt": Fixed(10), "output": Fixed(1)}
    ran = serve(StaticBatching(max_batch=4, max_wait_s=1.5), Batched(), **facts)
    assert [row[3] for row in passes(ran)] == [1.5, 1.5]
    ran = serve(StaticBatching(max_batch=2, max_wait_s=100.0), Batched(), **facts)
    assert [row[3] for row in passes(ran)] == [1.0, 1.0]


# --- all of them ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "serving", [ProcessorSharing(), StaticBatching(max_batch=3), ContinuousBatching(max_batch=3)]
)
@pytest.mark.parametrize("horizon_s", [None, 30.0])
def test_energy_and_tokens_are_conserved(serving: Serving, horizon_s: float | None) -> None:
    ran = serve(
        serving,
        Batched(),
        arrivals=Poisson(0.5),
        n_requests=30,
        prompt=Uniform(1, 9),
        output=Uniform(1, 5),
        horizon_s=horizon_s,
    )
    assert ran.spans["energy_j"].sum() == pytest.approx(ran.devices["energy_compute_j"].sum(), rel=1e-9)
    assert ran.devices["energy_compute_j"].sum() == pytest.approx(2.0 * ran.devices["busy_s"].sum())
    if horizon_s is None:
        assert set(ran.requests["outcome"]) == {"completed"}
        computed = ran.spans[ran.spans["kind"] == "compute"].groupby("request_id")["n_tokens"].sum()
        needed = ran.requests.set_index("request_id")[["n_prompt_tokens", "n_output_tokens"]].sum(axis=1) - 1
        assert computed.sort_index().tolist() == needed.sort_index().tolist()


def test_queues_have_limits_and_requests_patience() -> None:
    facts = {
        "arrivals": Bursts(n_requests=4, period_s=1e9),
        "n_requests": 4,
        "prompt": Fixed(1),
        "output": Fixed(1),
    }
    here = [device("a-0", **tight(2))]
    told = run(world(here, queue_limit=1, **facts), Serve(local)).requests.sort_values("request_id")
    assert told["outcome"].tolist() == ["completed", "completed", "failed", "failed"]
    assert told["reason"].iloc[2] == "memory: a-0: the queue of 1 requests is full"
    told = run(world(here, patience_s=5.0, **facts), Serve(local)).requests.sort_values("request_id")
    assert told["outcome"].tolist() == ["completed", "completed", "failed", "failed"]
    assert told["reason"].iloc[3] == "timeout: waited 5 s for memory"
    assert told["ended_at_s"].tolist() == [4.0, 8.0, 5.0, 5.0]


def test_messages_on_the_compute_station_go_with_fifo_only() -> None:
    with pytest.raises(InputError, match="on_compute"):
        device("a-0", serving=ProcessorSharing(), endpoint=Endpoint(overhead_s=1.0, on_compute=True))
