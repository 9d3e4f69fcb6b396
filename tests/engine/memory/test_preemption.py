"""Preemption by recomputation, on one device and along pipelines: who gives way, its price, no deadlock."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from miniature import Serve, Tables, device, model, run, world

from edgesim.engine.memory.claims import Claims
from edgesim.engine.memory.memory import Admission, DeviceMemory
from edgesim.engine.process.clock import Clock
from edgesim.engine.request import LiveRequest
from edgesim.errors import PlacementError
from edgesim.model.architecture import Slice
from edgesim.rng import key_of, keyed_uniform
from edgesim.strategies.local import Local
from edgesim.strategies.offload import Offload
from edgesim.strategies.pipeline import Pipeline
from edgesim.workload.arrivals import Bursts, Deterministic, Poisson
from edgesim.workload.lengths import Fixed, Uniform
from edgesim.workload.requests import Request
from edgesim.workload.sessions import Sessions
from edgesim.workload.think import FixedThink
from edgesim.world.disciplines.continuous import ContinuousBatching
from edgesim.world.disciplines.processor_sharing import ProcessorSharing
from edgesim.world.disciplines.static import StaticBatching
from edgesim.world.fleet import Fleet
from edgesim.world.link import Link
from edgesim.world.service import Exponential, ServiceLaw
from edgesim.world.world import World

WHOLE = model().whole
GROW = ContinuousBatching()


@dataclass(frozen=True)
class PerPass:
    """A second per pass, and a hundredth per token of each request and block; contexts are free."""

    origin: ClassVar[str] = "analytic"

    def seconds(self, part: Slice, *, batch: int, n_new: Any, n_context: Any, n_shards: int = 1) -> Any:
        news, _ = np.broadcast_arrays(np.asarray(n_new, float), np.asarray(n_context))
        return 1.0 + 0.01 * part.n_blocks * batch * news

    def check(self, *, max_new: int, max_context: int, batch: int = 1, n_shards: int = 1) -> None:
        """Any length is known."""


def room(parts: tuple[Slice, ...], n_tokens: int) -> int:
    """Memory for parts of the model, and so many tokens in the cache."""
    n_blocks = sum(part.n_blocks for part in parts)
    return model().held_bytes(parts) + n_tokens * model().kv_bytes_per_token(n_blocks)


def computed(ran: Tables) -> Any:
    return ran.spans[ran.spans["kind"] == "compute"]


def local(request, cluster):
    for token in request.tokens():
        yield from cluster.compute(request, "a-0", WHOLE, token)
        yield from cluster.emit(request, "a-0", token)


# --- who gives way --------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(10))
def test_nobody_keeps_a_cache_who_came_after_one_that_is_preempted(seed: int) -> None:
    """In sessions, whose requests are numbered by session and not by arrival."""
    there = world([device("a-0", PerPass(), serving=GROW, memory_bytes=room((WHOLE,), 30))], seed=seed)
    sessions = Sessions(
        arrivals=Poisson(0.05),
        turns=Fixed(6),
        think=FixedThink(),
        max_history_tokens=4,
        prompt_tokens=Uniform(1, 5),
        output_tokens=Uniform(1, 12),
        sources=("a-0",),
        n_requests=40,
    )
    ran = run(replace(there, workload=sessions), Serve(local))
    arrived_at_s = ran.requests.set_index("request_id")["arrived_at_s"]
    preempted = ran.spans[(ran.spans["kind"] == "wait") & (ran.spans["token"] > 0)]
    iterations = computed(ran).groupby("started_at_s")["request_id"].agg(list)
    n_seen = 0
    for victim, at_s in preempted[["request_id", "asked_at_s"]].itertuples(index=False):
        for other in iterations.get(at_s, []):  # the iteration for which it gave way
            assert arrived_at_s[other] <= arrived_at_s[victim]
            n_seen += 1
    assert n_seen > 0


def test_a_newcomer_gives_way_whose_prompt_is_still_on_its_way() -> None:
    """Its cache is reserved when it comes; the older request takes that room, and ends undisturbed."""

    def remote(request, cluster):
        yield from cluster.admit(request, ("b-0",))
        yield from cluster.send(request, "a-0", "b-0", request.prompt_bytes)
        for token in request.tokens():
            yield from cluster.compute(request, "b-0", WHOLE, token)
            yield from cluster.emit(request, "b-0", token)

    there = world(
        [device("a-0"), device("b-0", PerPass(), serving=GROW, memory_bytes=room((WHOLE,), 14))],
        [Link(between=("a-0", "b-0"), rate_bps=2.0)],
        arrivals=Deterministic(0.02),
        n_requests=2,
        prompt=Fixed(3),
        output=Fixed(10),
    )
    ran = run(there, Serve(remote))
    waits = ran.spans[ran.spans["kind"] == "wait"]
    assert waits[["request_id", "token"]].to_numpy().tolist() == [[1, 0]]
    assert (computed(ran)["n_tokens"] > 1).sum() == 2  # two prompts, and nothing anew


def test_the_preempted_come_back_in_the_order_in_which_they_came() -> None:
    """Whichever was preempted last, and whichever waits besides: the oldest of the preempted is the first."""
    clock = Clock()
    admission = Admission(clock, Claims(), {"a-0": DeviceMemory(10, 0)}, "queue")
    holder, newcomer, *again = [
        LiveRequest(Request(id_, "a-0", 0, 0.0, 1, 1), model(), 4) for id_ in range(5)
    ]
    for rank, request in enumerate([holder, *again, newcomer]):
        request.rank = rank
    assert admission.ask(holder, {"a-0": 10}) is None
    events = {newcomer: admission.ask(newcomer, {"a-0": 4})}
    for request in (again[1], again[0], again[2]):
        events[request] = admission.ask_again(request, {"a-0": 4})
    admission.release(holder)
    assert [request for request, event in events.items() if event.triggered] == [again[1], again[0]]
    admission.release(again[1])
    assert events[again[2]].triggered
    assert not events[newcomer].triggered


# --- what it costs along a pipeline ---------------------------------------------------------------

FRONT, MIDDLE, BACK = Slice(0, 1, embedding=True), Slice(1, 2), Slice(2, 4, head=True)
STAGES = {"a-0": FRONT, "b-0": MIDDLE, "c-0": BACK}


def chain(request, cluster):
    yield from cluster.admit(request, STAGES)
    for token in request.tokens():
        at = "a-0"
        for here, part in STAGES.items():
            yield from cluster.send(request, at, here, token.activation_bytes)
            yield from cluster.compute(request, here, part, token)
            at = here
        yield from cluster.send(request, at, "a-0", request.token_bytes)
        yield from cluster.emit(request, "a-0", token)


def chained(
    tokens: dict[str, int], servings: dict[str, Any], law: ServiceLaw | None = None, **facts: Any
) -> Tables:
    """Three stages; memory for so many tokens on each, and on the first, maybe, times that are drawn."""
    laws = {"a-0": law}
    devices = [
        device(
            name,
            PerPass(),
            serving=servings.get(name, GROW),
            service=laws.get(name),
            memory_bytes=room((part,), tokens[name]),
        )
        for name, part in STAGES.items()
    ]
    links = [Link(between=(a, b), rate_bps=8e6) for a, b in (("a-0", "b-0"), ("b-0", "c-0"), ("a-0", "c-0"))]
    return run(world(devices, links, **facts), Serve(chain), holdings={d: (p,) for d, p in STAGES.items()})


@pytest.mark.parametrize(
    ("short", "fifo"),
    [(short, fifo) for short in STAGES for fifo in ((), ("a-0",), ("b-0",)) if short not in fifo],
)
def test_a_preempted_request_goes_through_all_stages_anew(short: str, fifo: tuple[str, ...]) -> None:
    """Wherever room is short, every stage deals with all its tokens again, and they are sent along."""
    ran = chained(
        dict.fromkeys(STAGES, 10_000) | {short: 12},
        dict.fromkeys(fifo),
        arrivals=Bursts(n_requests=2, period_s=1e9),
        n_requests=2,
        prompt=Fixed(4),
        output=Fixed(6),
    )
    assert ran.requests["outcome"].tolist() == ["completed"] * 2
    assert ran.requests["n_emitted_tokens"].tolist() == [6, 6]
    works = computed(ran)
    assert works[works["request_id"] == 0].groupby("device")["n_tokens"].sum().tolist() == [9, 9, 9]
    anew = works[(works["request_id"] == 1) & (works["token"] > 0) & (works["n_tokens"] > 1)]
    assert sorted(anew["device"]) == ["a-0", "b-0", "c-0"]
    # All in one pass, but for the token in hand: a stage whose cache was kept, or that had dealt with it ...
    n_tokens = anew.set_index("device")["n_tokens"]
    token = anew["token"].max()
    assert (n_tokens <= 4 + token).all()
    assert (n_tokens >= 4 + anew["token"].min()).all()
    # ... each after the one before it, and with the hidden states of all earlier tokens sent between.
    times = anew.set_index("device")[["started_at_s", "ended_at_s"]].loc[["a-0", "b-0", "c-0"]].to_numpy()
    assert (times[1:, 0] > times[:-1, 1]).all()
    sent = ran.spans[
        (ran.spans["kind"] == "send") & (ran.spans["request_id"] == 1) & (ran.spans["token"] > 0)
    ]
    large = sent[sent["size_bytes"] >= 1000 * (4 + anew["token"].min() - 1)]
    assert sorted(zip(large["device"], large["peer"], strict=True)) == [("a-0", "b-0"), ("b-0", "c-0")]


def test_what_is_computed_anew_where_times_are_drawn_is_another_visit() -> None:
    """The preempted request's token goes through the drawn stage twice, each time with a draw of its own."""
    ran = chained(
        {"a-0": 10_000, "b-0": 12, "c-0": 10_000},
        {"a-0": None},
        Exponential(),
        arrivals=Bursts(n_requests=2, period_s=1e9),
        n_requests=2,
        prompt=Fixed(4),
        output=Fixed(6),
    )
    assert ran.requests["outcome"].tolist() == ["completed"] * 2
    here = computed(ran)[computed(ran)["device"] == "a-0"].sort_values("started_at_s")
    n_visits: Counter[tuple[int, int]] = Counter()
    for row in here.itertuples():
        visit = n_visits[row.request_id, row.token]
        n_visits[row.request_id, row.token] += 1
        key = key_of(1, 0, "service", "a-0", row.request_id, 0, row.token, str(FRONT), visit)
        expected_s = (1.0 + 0.01 * row.n_tokens) * Exponential().factor(keyed_uniform(key, 0))
        assert row.ended_at_s - row.started_at_s == pytest.approx(expected_s, rel=1e-9)
    assert max(n_visits.values()) == 2


@pytest.mark.parametrize("seed", range(8))
def test_heads_are_not_computed_anew(seed: int) -> None:
    """A head has no cache: its passes are of one token, also on a device where caches are dropped."""
    there, strategy, placement = pipelined(GROW, GROW, 34, seed=seed)
    ran = run(there, strategy, placement)
    works = computed(ran)
    assert ((works["token"] > 0) & (works["n_tokens"] > 1)).any()
    heads = works[(works["via"] == "head") & (works["token"] > 0)]
    assert (heads["n_tokens"] == 1).all()


# --- no deadlock ----------------------------------------------------------------------------------


def pipelined(one: Any, other: Any, n_tokens: int, **facts: Any) -> tuple[World, Any, Any]:
    """Two stages with memory for so many tokens."""
    strategy = Pipeline(partition="even")
    facts = {
        "arrivals": Poisson(1.0),
        "n_requests": 10,
        "prompt": Uniform(2, 6),
        "output": Uniform(4, 14),
    } | facts
    links = [Link(between=("a-0", "b-0"), rate_bps=8e6)]

    def there(memory: dict[str, int]) -> World:
        devices = [
            device(name, PerPass(), serving=serving, memory_bytes=memory.get(name, 1 << 60))
            for name, serving in (("a-0", one), ("b-0", other))
        ]
        return world(devices, links, **facts)

    held = strategy.place(model(), Fleet.of(there({}))).holdings
    tight = there({name: room(parts, n_tokens) for name, parts in held.items()})
    return tight, strategy, strategy.place(model(), Fleet.of(tight))


SHARED = (
    None,
    ProcessorSharing(),
    StaticBatching(max_batch=3),
    StaticBatching(max_batch=2, max_wait_s=0.7),
    ContinuousBatching(max_batch=1, cache="reserve"),
    ContinuousBatching(max_batch=3, max_tokens=4, cache="reserve"),
    ContinuousBatching(max_batch=2),
    ContinuousBatching(max_batch=4, max_tokens=3),
    GROW,
)


@st.composite
def served(draw: st.DrawFn) -> tuple[World, Any]:
    """Three devices of any disciplines with little memory, and a strategy."""
    servings = draw(st.permutations([draw(st.sampled_from(SHARED)) for _ in range(3)]))
    strategy = draw(
        st.sampled_from(
            [
                Local(),
                Offload(to=("d-1", "d-2")),
                Pipeline(partition="even"),
                Pipeline(partition="even", head="last"),
                Pipeline(partition=(1, 3), over=("d-1", "d-2")),
            ]
        )
    )
    n_tokens = draw(st.sampled_from([30, 45, 80, 10_000]))
    longest = model().weight_bytes(WHOLE) + n_tokens * model().kv_bytes_per_token(4)

    def there(memory: dict[str, int]) -> World:
        devices = [
            device(f"d-{i}", PerPass(), serving=servings[i], memory_bytes=memory.get(f"d-{i}", longest))
            for i in range(3)
        ]
        links = [
            Link(between=(f"d-{i}", f"d-{j}"), rate_bps=1e6, latency_s=0.05 * (i + j))
            for i, j in ((0, 1), (0, 2), (1, 2))
        ]
        return world(devices, links, **facts)

    facts = {
        "arrivals": draw(st.sampled_from([Poisson(0.3), Poisson(2.0), Bursts(n_requests=6, period_s=30.0)])),
        "prompt": draw(st.sampled_from([Fixed(1), Uniform(1, 12)])),
        "output": Uniform(1, 14),
        "n_requests": 15,
        "sources": ("d-0", "d-1"),
        "seed": draw(st.integers(0, 1000)),
    }
    holdings = strategy.place(model(), Fleet.of(there({}))).holdings
    return there({name: room(parts, n_tokens) for name, parts in holdings.items()}), strategy


@settings(max_examples=100, deadline=None)
@given(served())
def test_no_mixture_of_disciplines_deadlocks_or_loses_tokens(case: tuple[World, Any]) -> None:
    """It is refused before time zero, or all requests end with all their tokens, within the memory."""
    there, strategy = case
    placement = strategy.place(there.model, Fleet.of(there))
    if isinstance(strategy, Pipeline):
        stages = [there.devices[id_].serving for id_ in placement.devices]
        n_static = sum(isinstance(serving, StaticBatching) for serving in stages)
        if n_static > 1 or (n_static and any(getattr(s, "cache", "") == "grow" for s in stages)):
            with pytest.raises(PlacementError, match="stages of one placement"):
                run(there, strategy, placement)
            return
    ran = run(there, strategy, placement)
    asked = {r.id: r for r in there.requests()}
    assert sorted(ran.requests["request_id"]) == sorted(asked)
    assert (ran.requests["outcome"] == "completed").all()
    assert (ran.requests["n_emitted_tokens"] == ran.requests["n_output_tokens"]).all()
    emits = ran.spans[ran.spans["kind"] == "emit"]
    assert len(emits) == sum(r.n_output_tokens for r in asked.values())
    assert not emits.duplicated(["request_id", "token"]).any()
    for memory in ran.cluster.memories.values():
        assert memory.resident_bytes == memory.used_bytes <= memory.peak_bytes <= memory.capacity_bytes
        assert not memory.holders
    # Every block has dealt with every token at least once, and more than once only where caches are dropped.
    works = computed(ran)
    grows = any(
        d.serving is not None and getattr(d.serving, "cache", "") == "grow" for d in there.devices.values()
    )
    blocks: dict[tuple[int, int], int] = {}
    for id_, via, n_tokens in works[["request_id", "via", "n_tokens"]].itertuples(index=False):
        part = Slice.parse(str(via))
        for block in range(part.first, part.last):
            blocks[id_, block] = blocks.get((id_, block), 0) + n_tokens
    for id_, request in asked.items():
        needed = request.n_prompt_tokens + request.n_output_tokens - 1
        for block in range(there.model.n_blocks):
            assert blocks[id_, block] >= needed
            assert grows or blocks[id_, block] == needed
    # Nowhere more requests at once than there are places, nor more tokens than the budget.
    for name, one in there.devices.items():
        if isinstance(one.serving, ContinuousBatching):
            iterations = works[works["device"] == name].groupby("started_at_s")
            assert iterations["n_tokens"].sum().max() <= one.serving.max_tokens or not len(iterations)
            assert iterations["request_id"].nunique().max() <= one.serving.max_batch or not len(iterations)


def test_static_batches_on_two_stages_are_refused_before_time_zero() -> None:
    there, strategy, placement = pipelined(StaticBatching(max_batch=2), StaticBatching(max_batch=2), 1000)
    with pytest.raises(PlacementError, match=r"'a-0' and 'b-0' .* serve at most one stage with 'static'"):
        run(there, strategy, placement)


def test_a_static_stage_beside_growing_caches_is_refused_before_time_zero() -> None:
    there, strategy, placement = pipelined(StaticBatching(max_batch=2), GROW, 1000)
    with pytest.raises(PlacementError, match=r"'b-0' 'continuous: \{cache: reserve\}'"):
        run(there, strategy, placement)
