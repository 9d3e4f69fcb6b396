"""Passes that meet at a device are one: by hand, against a plain loop, and along a pipeline."""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from miniature import InTurn, Serve, Tables, device, model, run, world

from edgesim.engine.simulation import simulate
from edgesim.errors import InputError
from edgesim.model.architecture import Slice
from edgesim.strategies.pipeline import Pipeline
from edgesim.trace.reader import Trace
from edgesim.trace.writer import TraceFolder
from edgesim.workload.arrivals import Bursts, Deterministic
from edgesim.workload.lengths import Fixed
from edgesim.world.disciplines.batched import DynamicBatching
from edgesim.world.fleet import Fleet
from edgesim.world.link import Link
from edgesim.world.routes import link_facts
from edgesim.world.service import Exponential

WHOLE = Slice(0, 4, embedding=True, head=True)


@dataclass(frozen=True)
class Together:
    """A pass of a part: 1 s per block, and per request 0.1 s per new and 0.01 s per cached token.

    Embedding and head take nothing: stages of blocks alone compute.
    """

    origin: ClassVar[str] = "analytic"

    def seconds(self, part: Slice, *, batch: int, n_new: Any, n_context: Any, n_shards: int = 1) -> Any:
        news, contexts = np.broadcast_arrays(np.asarray(n_new, float), np.asarray(n_context, float))
        return part.n_blocks * (1.0 + batch * (0.1 * news + 0.01 * contexts))

    def check(self, *, max_new: int, max_context: int, batch: int = 1, n_shards: int = 1) -> None:
        """Any length is known."""


def step_s(n: int, mean_context: float) -> float:
    """Of four blocks: a decode step of n requests."""
    return 4 * (1 + n * (0.1 + 0.01 * round(mean_context)))


def prompt_s(n: int, longest: int) -> float:
    return 4 * (1 + n * 0.1 * longest)


def local(request: Any, cluster: Any) -> Any:
    for token in request.tokens():
        yield from cluster.compute(request, "a-0", WHOLE, token)
        yield from cluster.emit(request, "a-0", token)


def serve(serving: DynamicBatching, **facts: Any) -> Tables:
    return run(world([device("a-0", Together(), serving=serving)], **facts), Serve(local))


def passes(ran: Tables) -> list[tuple[Any, ...]]:
    rows = ran.log("request_id", "token", "kind", "started_at_s", "ended_at_s")
    return [(*row[:2], *row[3:]) for row in rows if row[2] == "compute"]


def reasons(ran: Tables) -> list[Any]:
    return ran.requests.sort_values("request_id")["reason"].tolist()


AT_ONCE = Bursts(n_requests=3, period_s=1e6)


def test_what_waits_is_one_pass_and_prompts_are_padded() -> None:
    """Three prompts of 1, 3, 2 tokens at once, two in a pass; then steps of whoever is there."""
    ran = serve(
        DynamicBatching(max_batch=2),
        arrivals=AT_ONCE,
        prompt=InTurn((2, 4, 3)),
        output=Fixed(2),
        n_requests=3,
    )
    one = prompt_s(2, 4)
    two = one + prompt_s(1, 3)  # the third prompt came before the first two's steps
    three = two + step_s(2, (2 + 4) / 2)
    four = three + step_s(1, 3)
    assert passes(ran) == [
        (0, 0, 0.0, one),
        (1, 0, 0.0, one),
        (2, 0, one, two),
        (0, 1, two, three),
        (1, 1, two, three),
        (2, 1, three, four),
    ]
    assert ran.devices["busy_s"].item() == pytest.approx(four)


def test_a_batch_waits_for_company_until_it_is_full_or_time_is_up() -> None:
    """One request a second, prompts of one token: with 1.5 s to wait two of them go at 1 s."""
    facts = {"arrivals": Deterministic(1.0), "output": Fixed(1), "n_requests": 2}
    full = serve(DynamicBatching(max_batch=2, max_wait_s=1.5), **facts)
    both_s = 4 * (1 + 2 * 0.1)
    assert passes(full) == [(0, 0, 1.0, 1 + both_s), (1, 0, 1.0, 1 + both_s)]
    late = serve(DynamicBatching(max_batch=2, max_wait_s=0.75), **facts)
    one_s = 4 * 1.1
    assert passes(late)[0] == (0, 0, 0.75, 0.75 + one_s)
    assert passes(late)[1][2] == pytest.approx(0.75 + one_s)


def test_alone_it_takes_what_it_would_without_batches() -> None:
    facts = {"prompt": Fixed(5), "output": Fixed(4), "n_requests": 1}
    alone = serve(DynamicBatching(), **facts)
    plain = run(world([device("a-0", Together())], **facts), Serve(local))
    assert passes(alone) == passes(plain)


def test_a_full_queue_and_lost_patience() -> None:
    facts = {"arrivals": Deterministic(1.0), "n_requests": 3}  # of 4.4 s each
    full = serve(DynamicBatching(max_batch=1, queue_limit=1), **facts)
    assert reasons(full)[2] == "queue: a-0: the queue of 1 requests is full"
    lost = serve(DynamicBatching(max_batch=1, patience_s=5.0), **facts)
    assert reasons(lost)[2] == "timeout: waited 5 s to be served by a-0"


def test_service_that_is_drawn_does_not_go_with_it() -> None:
    with pytest.raises(InputError, match="batches serve several in one"):
        device("a-0", serving=DynamicBatching(), service=Exponential())


# --- along a pipeline ----------------------------------------------------------------------------

LINK_S = 0.5
"""Of a decode step's message of 1,000 bytes at 16 kbit/s."""


def ring(n_requests: int, max_batch: int, wait_s: float, n_tokens: int, n_prompt: int = 1) -> Any:
    serving = DynamicBatching(max_batch=max_batch, max_wait_s=wait_s)
    stages = [device(f"s-{n}", Together(), serving=serving) for n in range(2)]
    return world(
        stages,
        [Link(between=("s-0", "s-1"), rate_bps=16e3)],
        arrivals=Bursts(n_requests=n_requests, period_s=1e6),
        prompt=Fixed(n_prompt),
        output=Fixed(n_tokens),
        n_requests=n_requests,
    )


def pipelined(made: Any) -> Tables:
    strategy = Pipeline(over=("s-0", "s-1"), partition=(2, 2), head="last")
    return run(made, strategy, strategy.place(made.model, Fleet.of(made)))


def loop(n_requests: int, max_batch: int, wait_s: float, n_tokens: int) -> list[float]:
    """When each request has its last token: stages of two blocks and a link, event by event."""
    queues: list[list[tuple[float, int, int]]] = [[], []]  # came at, request, token
    free = [True, True]
    link_free_s = back_free_s = 0.0
    ended: dict[int, float] = {}
    order = 0
    events: list[tuple[float, int, int, str, Any]] = []

    def put(at_s: float, rank: int, what: str, about: Any) -> None:
        nonlocal order
        order += 1
        heapq.heappush(events, (at_s, rank, order, what, about))

    for request in range(n_requests):
        put(0.0, 0, "come", (0, request, 0))
    while events:
        now_s, _, _, what, about = heapq.heappop(events)
        if what == "come":
            stage, request, token = about
            queues[stage].append((now_s, request, token))
            put(now_s, 2, "look", stage)
            put(now_s + wait_s, 2, "look", stage)
        elif what == "done":
            stage, batch = about
            free[stage] = True
            for _, request, token in batch:
                if stage == 0:
                    link_free_s = max(link_free_s, now_s) + LINK_S
                    put(link_free_s, 0, "come", (1, request, token))
                else:  # the token's id, of 4 bytes
                    back_free_s = max(back_free_s, now_s) + 4 * 8 / 16e3
                    put(back_free_s, 0, "home", (request, token))
            put(now_s, 2, "look", stage)
        elif what == "home":
            request, token = about
            if token + 1 == n_tokens:
                ended[request] = now_s
            else:
                put(now_s, 0, "come", (0, request, token + 1))
        elif free[about] and queues[about]:
            queue = queues[about]
            if len(queue) >= max_batch or now_s >= queue[0][0] + wait_s:
                batch, queues[about] = queue[:max_batch], queue[max_batch:]
                free[about] = False
                # Prompts of one token are decode steps at no context.
                mean = round(sum(token for *_, token in batch) / len(batch))
                put(now_s + 2 * (1 + len(batch) * (0.1 + 0.01 * mean)), 0, "done", (about, batch))
    return [ended[request] for request in range(n_requests)]


@settings(max_examples=12, deadline=None)
@given(st.integers(1, 6), st.integers(1, 4), st.sampled_from([0.0, 0.7, 2.0]), st.integers(1, 4))
def test_a_pipeline_whose_stages_batch_against_a_plain_loop(
    n_requests: int, max_batch: int, wait_s: float, n_tokens: int
) -> None:
    ran = pipelined(ring(n_requests, max_batch, wait_s, n_tokens))
    expected = loop(n_requests, max_batch, wait_s, n_tokens)
    assert ran.requests["outcome"].eq("completed").all()
    assert ran.requests["n_emitted_tokens"].eq(n_tokens).all()
    assert len(ran.requests) == n_requests
    assert np.allclose(ran.requests.sort_values("request_id")["ended_at_s"], expected, atol=1e-6)


def test_batches_keep_a_pipeline_full_that_passes_one_by_one_do_not() -> None:
    """Six requests: stages that batch read their weights for three at a time, and answer sooner."""
    together = pipelined(ring(6, 3, 1.5, 8))
    alone = pipelined(ring(6, 1, 0.0, 8))
    assert together.requests["ended_at_s"].max() < 0.6 * alone.requests["ended_at_s"].max()
    sent = [tables.spans[tables.spans["kind"] == "send"]["size_bytes"].sum() for tables in (together, alone)]
    assert sent[0] == sent[1]  # every request's own messages, batch or no batch


def test_a_trace_of_a_pipeline_whose_stages_batch_keeps_its_laws(tmp_path: Path) -> None:
    made = ring(5, 2, 0.7, 3, n_prompt=4)
    strategy = Pipeline(over=("s-0", "s-1"), partition=(2, 2), head="last")
    placement = strategy.place(made.model, Fleet.of(made))
    folder = TraceFolder(tmp_path / "trace")
    folder.write_run({"status": "complete", "strategies": ["ring"], "links": link_facts(made.links)})
    simulate(made, strategy, placement, placement.holdings, folder.parts("ring", 0).write)
    assert Trace(tmp_path / "trace").check() == []


def test_the_throughput_programme_counts_on_batches() -> None:
    """A stage that computes four together takes a quarter of 1 + 4 * 0.11 ... per request and block."""
    made = ring(8, 4, 0.0, 2, n_prompt=3)
    fleet = Fleet.of(made)
    block = Slice(0, 1)
    alone_s = (1 + 0.1 * 3) + (1 + 0.1 + 0.01 * 3)
    assert fleet.request_seconds("s-0", block) == pytest.approx(alone_s)
    together_s = ((1 + 4 * 0.3) + (1 + 4 * 0.13)) / 4
    assert fleet.request_seconds("s-0", block, batch=4) == pytest.approx(together_s)
    assert model().n_blocks == 4
