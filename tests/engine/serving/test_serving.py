"""Disciplines that serve several requests at once: by hand, against theory, and against plain loops."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from heapq import heapify, heappop, heappush
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from miniature import InTurn, PerBlock, Serve, Tables, device, model, run, world
from queues import TICK_S, Exponential, assert_inside_student_t, farm, least_work, sojourns_s

from edgesim.errors import InputError
from edgesim.model.architecture import Architecture, Slice
from edgesim.workload.arrivals import Bursts, Deterministic, Poisson
from edgesim.workload.lengths import Fixed, Uniform
from edgesim.world.device import Endpoint, Power
from edgesim.world.discipline import ServingDiscipline
from edgesim.world.disciplines.continuous import ContinuousBatching
from edgesim.world.disciplines.processor_sharing import ProcessorSharing
from edgesim.world.disciplines.static import StaticBatching
from edgesim.world.link import Link

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


def serve(serving: ServingDiscipline, timing: Any = ONE_SECOND, **facts: Any) -> Tables:
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


def took_s(part: Slice, batch: list[tuple[list[int], int]]) -> float:
    """What an iteration takes: its decode steps, and the chunks of its prompts."""
    timing, total_s = Batched(), 0.0
    contexts = [context for (_, _, length, _, context), _ in batch if length == 1]
    if contexts:
        context = round(sum(contexts) / len(contexts))
        total_s += float(timing.seconds(part, batch=len(contexts), n_new=1, n_context=context))
    for (_, _, length, done, _), n in batch:
        if length > 1:
            whole_s = float(timing.seconds(part, batch=1, n_new=done + n, n_context=0))
            before_s = float(timing.seconds(part, batch=1, n_new=done, n_context=0)) if done else 0.0
            total_s += max(whole_s - before_s, float(timing.seconds(part, batch=1, n_new=n, n_context=0)))
    if 0 < len(contexts) < len(batch):  # one pass, whose fixed second is paid once: weights are read for all
        total_s -= 1.0
    return total_s


def by_the_loops(
    there: Any, stages: dict[str, Slice], discipline: ContinuousBatching, rate_bps: float = math.inf
) -> list[tuple[Any, ...]]:
    """Iteration-level scheduling as plain loops over plain lists, from its definitions; memory without end.

    A request has a place at every stage from the instant at which all have one free, first come first
    served, to its end. An iteration is one token for each request that has a single one to compute, then the
    prompts' tokens, both in order of arrival, as far as the budget goes. Tokens go from stage to stage over
    links that send one message at a time.
    """
    names, rows = list(stages), []
    asked = {r.id: r for r in there.requests()}
    events: list[Any] = [(r.arrived_at_s, number, "arrive", r.id) for number, r in enumerate(asked.values())]
    order = {id_: number for number, id_ in enumerate(asked)}
    n_events = len(events)
    outside: list[int] = []  # who has no place yet
    inside: set[int] = set()
    waiting: dict[str, list[list[int]]] = {name: [] for name in names}
    running: dict[str, list[tuple[list[int], int]]] = {name: [] for name in names}
    free_at_s = dict.fromkeys(names, 0.0)  # the link that leads on from each stage
    heapify(events)
    while events:
        now_s = events[0][0]
        while events and events[0][0] == now_s:
            _, _, what, who = heappop(events)
            if what == "arrive":
                outside.append(who)
            elif what == "leave":
                inside.remove(who)
            elif what == "reach":
                waiting[who[0]].append(who[1])
            else:
                batch, running[who] = running[who], []
                for (id_, token, length, done, context), n in batch:
                    if done + n < length:
                        waiting[who].append([id_, token, length, done + n, context])
                        continue
                    onward, n_bytes = [id_, token, length, 0, context], 1000 * length
                    target = names[(names.index(who) + 1) % len(names)]
                    if target == names[0]:
                        onward, n_bytes = [id_, token + 1, 1, 0, asked[id_].n_prompt_tokens + token], 4
                    there_s = now_s
                    if target != who:
                        there_s = free_at_s[who] = max(now_s, free_at_s[who]) + n_bytes * 8 / rate_bps
                    n_events += 1
                    is_over = onward[1] == asked[id_].n_output_tokens
                    what_then = ("leave", id_) if is_over else ("reach", (target, onward))
                    heappush(events, (there_s, n_events, *what_then))
            while outside and len(inside) < discipline.max_batch:
                inside.add(outside[0])
                n_tokens = asked[outside[0]].n_prompt_tokens
                waiting[names[0]].append([outside.pop(0), 0, n_tokens, 0, 0])
        for name in names:
            if running[name] or not waiting[name]:
                continue
            n_left = discipline.max_tokens
            for work in sorted(waiting[name], key=lambda work: (work[2] > 1, order[work[0]])):
                n = min(work[2] - work[3], n_left)
                n_left -= n
                if n:
                    running[name].append((work, n))
                    waiting[name].remove(work)
            end_s = now_s + took_s(stages[name], running[name])
            rows += [(name, work[0], work[1], now_s, end_s, n) for work, n in running[name]]
            n_events += 1
            heappush(events, (end_s, n_events, "end", name))
    return sorted(rows)


def assert_same(ran: Tables, expected: list[tuple[Any, ...]]) -> None:
    """Whose tokens, how many and in what order: exactly; when: but for rounding."""
    rows = ran.log("device", "request_id", "token", "started_at_s", "ended_at_s", "n_tokens", "kind")
    told = sorted(row[:-1] for row in rows if row[-1] == "compute")
    assert [(*row[:3], row[5]) for row in told] == [(*row[:3], row[5]) for row in expected]
    np.testing.assert_allclose([row[3:5] for row in told], [row[3:5] for row in expected], rtol=0, atol=1e-6)


DISCIPLINES = [
    ContinuousBatching(),
    ContinuousBatching(max_batch=3),
    ContinuousBatching(max_batch=4, max_tokens=16),
    ContinuousBatching(max_batch=6, max_tokens=3),  # which four that decode exceed
]


@pytest.mark.parametrize("discipline", DISCIPLINES)
@pytest.mark.parametrize("rate_hz", [0.05, 0.4, 3.0])
@pytest.mark.parametrize("prompt", [Uniform(1, 60), Uniform(1, 2)])
def test_continuous_batching_is_the_plain_loops_step_by_step(
    discipline: ContinuousBatching, rate_hz: float, prompt: Any
) -> None:
    facts = {"arrivals": Poisson(rate_hz), "n_requests": 40, "prompt": prompt, "output": Uniform(1, 12)}
    there = world([device("a-0", Batched(), serving=discipline)], **facts)
    assert_same(run(there, Serve(local)), by_the_loops(there, {"a-0": WHOLE}, discipline))


FRONT, BACK = Slice(0, 2, embedding=True), Slice(2, N_BLOCKS, head=True)


def two_stages(request, cluster):
    """Front on a-0, back on b-0, whence the token returns."""
    yield from cluster.admit(request, ("a-0", "b-0"))
    for token in request.tokens():
        yield from cluster.compute(request, "a-0", FRONT, token)
        yield from cluster.send(request, "a-0", "b-0", token.activation_bytes)
        yield from cluster.compute(request, "b-0", BACK, token)
        yield from cluster.send(request, "b-0", "a-0", request.token_bytes)
        yield from cluster.emit(request, "a-0", token)


@pytest.mark.parametrize("discipline", DISCIPLINES)
@pytest.mark.parametrize("rate_hz", [0.05, 3.0])
@pytest.mark.parametrize("prompt", [Uniform(1, 60), Uniform(1, 2)])
def test_a_pipeline_over_batched_stations_is_the_plain_loops_too(
    discipline: ContinuousBatching, rate_hz: float, prompt: Any
) -> None:
    facts = {"arrivals": Poisson(rate_hz), "n_requests": 40, "prompt": prompt, "output": Uniform(1, 12)}
    devices = [device(name, Batched(), serving=discipline) for name in ("a-0", "b-0")]
    there = world(devices, [Link(between=("a-0", "b-0"), rate_bps=31e3)], **facts)
    ran = run(there, Serve(two_stages), holdings={"a-0": (FRONT,), "b-0": (BACK,)})
    assert_same(ran, by_the_loops(there, {"a-0": FRONT, "b-0": BACK}, discipline, 31e3))


@pytest.mark.parametrize("n_prompt", [1, 2])
def test_a_request_keeps_its_place_until_it_ends(n_prompt: int) -> None:
    """Twenty at once, four places: five waves, each of which begins when the one before has ended."""
    ran = serve(
        ContinuousBatching(max_batch=4),
        Batched(),
        arrivals=Bursts(n_requests=20, period_s=1e9),
        n_requests=20,
        prompt=Fixed(n_prompt),
        output=Fixed(10),
    )
    ended_at_s = sorted(ran.requests["ended_at_s"].round(9))
    waves = ended_at_s[::4]
    assert ended_at_s == [end for end in waves for _ in range(4)]
    assert np.diff(waves) == pytest.approx([waves[0]] * 4)


def test_decode_steps_count_against_the_budget() -> None:
    ran = serve(
        ContinuousBatching(max_batch=8, max_tokens=2),
        Batched(),
        arrivals=Bursts(n_requests=8, period_s=1e9),
        n_requests=8,
        output=Fixed(3),
    )
    computed = ran.spans[ran.spans["kind"] == "compute"]
    assert computed.groupby("started_at_s")["n_tokens"].sum().tolist() == [2] * 12


def test_each_chunk_of_a_prompt_is_asked_for_when_the_one_before_has_ended() -> None:
    """Two prompts of six tokens, 8 s for two of them: request 1 comes at 1 s and waits until 24 s, once."""
    ran = serve(
        ContinuousBatching(max_batch=2, max_tokens=2),
        arrivals=Deterministic(1.0),
        n_requests=2,
        prompt=Fixed(6),
    )
    rows = ran.log("kind", "request_id", "asked_at_s", "started_at_s", "ended_at_s")
    chunks = [row[1:] for row in rows if row[0] == "compute"]
    assert chunks == [
        (0, 0.0, 0.0, 8.0),
        (0, 8.0, 8.0, 16.0),
        (0, 16.0, 16.0, 24.0),
        (1, 1.0, 24.0, 32.0),
        (1, 32.0, 32.0, 40.0),
        (1, 40.0, 40.0, 48.0),
    ]
    assert sum(started - asked for _, asked, started, _ in chunks) == 23.0


def test_an_encoder_reads_its_text_at_once() -> None:
    """Texts longer than the budget are not cut; each has an iteration of its own."""
    encoder = Architecture.from_config(
        {
            "model_type": "bert",
            "hidden_size": 500,
            "intermediate_size": 1000,
            "num_hidden_layers": N_BLOCKS,
            "num_attention_heads": 5,
            "vocab_size": 100,
            "max_position_embeddings": 4096,
        },
        name="encoder",
        dtype="float16",
    )
    ran = serve(
        ContinuousBatching(max_tokens=64),
        Batched(),
        arrivals=Bursts(n_requests=2, period_s=1e9),
        n_requests=2,
        prompt=Fixed(100),
        architecture=encoder,
    )
    assert passes(ran) == [(0, 0, 100, 0.0, 2.1), (1, 0, 100, 2.1, 4.2)]


@dataclass(frozen=True)
class Tabulated:
    """Prompts take ``prompt_s`` at any length, decode steps of 1, 2 and 4 requests as long as told."""

    prompt_s: float
    steps_s: tuple[float, float, float]
    origin: ClassVar[str] = "analytic"

    def seconds(self, part: Slice, *, batch: int, n_new: Any, n_context: Any) -> Any:
        step_s = dict(zip((1, 2, 4), self.steps_s, strict=True)).get(batch, math.nan)
        decodes = (np.asarray(n_new) == 1) & (np.asarray(n_context) > 0)
        return np.where(decodes, step_s, self.prompt_s)

    def check(self, *, max_new: int, max_context: int) -> None:
        """Any length is known."""


@pytest.mark.parametrize(
    ("timing", "took_s"),
    [
        (Tabulated(10.0, (4.0, 6.0, 8.0)), 10.0 + 1.0),  # (8 - 6) / 2 for one more in a large batch
        (Tabulated(2.0, (4.0, 6.0, 8.0)), 4.0),  # no shorter than the decode step alone
        (Tabulated(10.0, (4.0, 6.0, 5.0)), 10.0),  # nor than the chunk, whatever noise the axis carries
        (Tabulated(10.0, (4.0, 6.0, 20.0)), 10.0 + 4.0),  # nor longer than both, one after the other
    ],
)
def test_decode_steps_ride_along_with_chunks(timing: Tabulated, took_s: float) -> None:
    """The second prompt comes during the first one's; then the first one's decode step rides along."""
    facts = {"arrivals": Deterministic(1.0), "n_requests": 2, "prompt": Fixed(3), "output": Fixed(2)}
    _, *both, _ = passes(serve(ContinuousBatching(max_batch=4), timing, **facts))
    begin_s, end_s = timing.prompt_s, timing.prompt_s + took_s
    assert both == [(0, 1, 1, begin_s, end_s), (1, 0, 3, begin_s, end_s)]


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


@pytest.mark.parametrize("seed", range(20))
def test_a_static_batch_begins_when_its_first_has_waited_long_enough(seed: int) -> None:
    """Few arrive, so that every batch is called for by its wait, at instants that round in every way."""
    ran = serve(
        StaticBatching(max_batch=8, max_wait_s=0.3),
        Batched(),
        arrivals=Poisson(0.05),
        n_requests=20,
        prompt=Fixed(10),
        output=Fixed(1),
        seed=seed,
    )
    computed = ran.spans[ran.spans["kind"] == "compute"].sort_values("asked_at_s")
    free_at_s = 0.0
    for started_at_s, batch in computed.groupby("started_at_s"):
        due_at_s = batch["asked_at_s"].min() + 0.3
        assert started_at_s == pytest.approx(max(due_at_s, free_at_s))
        free_at_s = batch["ended_at_s"].max()


def by_the_static_loop(there: Any, discipline: StaticBatching) -> list[tuple[Any, ...]]:
    """Closed batches as a plain loop, from their definition; memory without end.

    A batch begins when the device is free and the queue is as long as a batch, or its first has waited long
    enough. It is one tensor: a row for each request it began with, as wide as the longest prompt, one column
    wider with each step, until the longest answer is done.
    """
    timing, rows = Batched(), []
    queue = sorted(there.requests(), key=lambda request: request.arrived_at_s)
    free_at_s = 0.0
    while queue:
        due_at_s = queue[0].arrived_at_s + discipline.max_wait_s
        if len(queue) >= discipline.max_batch:
            due_at_s = min(due_at_s, queue[discipline.max_batch - 1].arrived_at_s)
        now_s = max(free_at_s, due_at_s)
        batch = [r for r in queue[: discipline.max_batch] if r.arrived_at_s <= now_s]
        queue = queue[len(batch) :]
        width = max(r.n_prompt_tokens for r in batch)
        for step in range(max(r.n_output_tokens for r in batch)):
            n_new, n_context = (1, width + step - 1) if step else (width, 0)
            took = float(timing.seconds(WHOLE, batch=len(batch), n_new=n_new, n_context=n_context))
            rows += [
                ("a-0", r.id, step, now_s, now_s + took, 1 if step else r.n_prompt_tokens)
                for r in batch
                if step < r.n_output_tokens
            ]
            now_s += took
        free_at_s = now_s
    return sorted(rows)


STATIC = [
    StaticBatching(max_batch=1),
    StaticBatching(max_batch=3),
    StaticBatching(max_batch=8, max_wait_s=7.0),
]


@pytest.mark.parametrize("discipline", STATIC)
@pytest.mark.parametrize("rate_hz", [0.05, 0.4, 3.0])
@pytest.mark.parametrize("prompt", [Uniform(1, 60), Uniform(1, 2)])
def test_static_batching_is_the_plain_loop_step_by_step(
    discipline: StaticBatching, rate_hz: float, prompt: Any
) -> None:
    facts = {"arrivals": Poisson(rate_hz), "n_requests": 40, "prompt": prompt, "output": Uniform(1, 12)}
    there = world([device("a-0", Batched(), serving=discipline)], **facts)
    assert_same(run(there, Serve(local)), by_the_static_loop(there, discipline))


@given(
    lengths=st.lists(st.tuples(st.integers(1, 40), st.integers(1, 9)), min_size=1, max_size=12),
    max_batch=st.integers(1, 5),
)
@settings(max_examples=60, deadline=None)
def test_static_batches_of_any_mixture_keep_their_padding(
    lengths: list[tuple[int, int]], max_batch: int
) -> None:
    """All there at once, so that a batch is what stands next in the queue."""
    discipline = StaticBatching(max_batch=max_batch)
    prompts, outputs = zip(*lengths, strict=True)
    there = world(
        [device("a-0", Batched(), serving=discipline)],
        arrivals=Bursts(n_requests=len(lengths), period_s=1e9),
        n_requests=len(lengths),
        prompt=InTurn(prompts),
        output=InTurn(outputs),
    )
    assert_same(run(there, Serve(local)), by_the_static_loop(there, discipline))


def test_padding_stays_when_the_longest_prompt_has_left() -> None:
    """Two at once: a prompt of 50 with one token to answer, a prompt of 2 with three."""
    ran = serve(
        StaticBatching(max_batch=2),
        Batched(),
        arrivals=Bursts(n_requests=2, period_s=1e9),
        n_requests=2,
        prompt=InTurn((50, 2)),
        output=InTurn((1, 3)),
    )
    prefill_s = 1 + 2 * (0.1 + 0.01 * 50)
    steps_s = [1 + 2 * (0.1 + 0.01 + 0.001 * context) for context in (50, 51)]
    ended_at_s = ran.requests.sort_values("request_id")["ended_at_s"].tolist()
    assert ended_at_s == pytest.approx([prefill_s, prefill_s + sum(steps_s)])


# --- all of them ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "serving", [ProcessorSharing(), StaticBatching(max_batch=3), ContinuousBatching(max_batch=3)]
)
@pytest.mark.parametrize("horizon_s", [None, 30.0])
def test_energy_and_tokens_are_conserved(serving: ServingDiscipline, horizon_s: float | None) -> None:
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
