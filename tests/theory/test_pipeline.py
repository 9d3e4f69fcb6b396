"""Recurrent pipeline parallelism against what pencil and paper say of it."""

from __future__ import annotations

import itertools
from collections import deque
from itertools import pairwise

import numpy as np
import pytest
from effort import sized
from miniature import PerBlock, Serve, device, model, run, world
from queues import assert_inside_student_t

from edgesim.model.architecture import Slice
from edgesim.strategies.pipeline import Pipeline
from edgesim.workload.arrivals import Bursts, Poisson
from edgesim.workload.lengths import Fixed
from edgesim.world.fleet import Fleet
from edgesim.world.link import Link
from edgesim.world.world import World

N_STAGES = 3
HEAD_S, LATENCY_S = 0.25, 0.125


def ring(n_samples: int, n_tokens: int, *, speeds: tuple[float, ...] = (1.0, 1.0, 1.0), **facts) -> World:
    """Samples that all arrive at time zero, on a ring whose links cost a latency only."""
    devices = [device(f"d-{i}", PerBlock(s, head_s=HEAD_S)) for i, s in enumerate(speeds)]
    links = [
        Link(between=(a.id, b.id), rate_bps=1e30, latency_s=LATENCY_S)
        for a, b in itertools.combinations(devices, 2)
    ]
    facts = {"arrivals": Bursts(n_requests=n_samples, period_s=1e9), "n_requests": n_samples} | facts
    return world(devices, links, output=Fixed(n_tokens), architecture=model(6), **facts)


def serve(there: World, counts: tuple[int, ...]):
    strategy = Pipeline(partition=counts)
    return run(there, strategy, strategy.place(there.model, Fleet.of(there)))


@pytest.mark.parametrize("n_samples", [1, 2, 5, 20])
def test_one_token_takes_fill_plus_bottleneck(n_samples: int) -> None:
    """A permutation flow shop of identical jobs: the sum of the stages, then one bottleneck per further job.

    The starter works twice on a token (blocks, then head), so it is the stage before and the one after.
    With identical jobs at time zero, its first blocks for all jobs come before any head.
    """
    counts = (1, 3, 2)
    told = serve(ring(n_samples, 1), counts).requests["ended_at_s"].max()
    fill_s = sum(counts) + N_STAGES * LATENCY_S + HEAD_S
    assert told == pytest.approx(fill_s + (n_samples - 1) * max(counts), rel=1e-12)


def test_with_as_many_samples_as_stages_every_stage_is_busy() -> None:
    """Balanced stages, no latency worth a stage: each token takes one stage time in the steady state."""
    counts, n_samples, n_tokens = (2, 2, 2), 4, 200
    ran = serve(ring(n_samples, n_tokens), counts)
    bottleneck_s = 2 + HEAD_S  # the starter's blocks and head
    makespan_s = ran.requests["ended_at_s"].max()
    fill_s = sum(counts) + N_STAGES * LATENCY_S + HEAD_S
    # From the first token's end on, the starter never pauses but for what fills and drains the ring.
    assert makespan_s <= fill_s + n_samples * n_tokens * bottleneck_s
    busy = ran.devices.set_index("device")["busy_s"] / makespan_s
    assert busy["d-0"] == pytest.approx(1.0, abs=2 * fill_s / makespan_s)
    assert (busy.drop("d-0") > 2 / bottleneck_s - 2 * fill_s / makespan_s).all()


def test_with_one_sample_only_one_stage_works_at_a_time() -> None:
    """The recurrence leaves a lone sample with the sum of all stages per token (MDI-LLM's motive)."""
    counts, n_tokens = (1, 3, 2), 50
    ran = serve(ring(1, n_tokens), counts)
    token_s = sum(counts) + N_STAGES * LATENCY_S + HEAD_S
    assert ran.requests["ended_at_s"][0] == pytest.approx(n_tokens * token_s, rel=1e-12)


def test_round_robin_emerges_from_first_come_first_served() -> None:
    """On every stage, samples follow one another in one cyclic order, token after token."""
    n_samples, n_tokens = 5, 12
    ran = serve(ring(n_samples, n_tokens, speeds=(1.0, 1.5, 1.2)), (2, 2, 2))
    work = ran.spans[ran.spans["kind"] == "compute"]
    for stage, visits in work[work["token"] > 0].groupby("device", observed=True):
        blocks = visits[visits["via"].astype(str) != "head"].sort_values("started_at_s")
        order = blocks["request_id"].astype(int).tolist()
        assert order == [sample for _ in range(n_tokens - 1) for sample in range(n_samples)], stage


def by_the_paper(n_samples: int, n_tokens: int, stage_s: tuple[float, ...]) -> float:
    """MDI-LLM's node loops as plain queues, written from the paper and stepped message by message.

    Each node takes the oldest message of its queue, works, hands it on. The starter finishes the token of
    a returning message (head) and starts the sample's next one before it looks at its queue again.
    """
    queues = [deque((0.0, sample, -1) for sample in range(n_samples))] + [deque() for _ in stage_s[1:]]
    free_at_s = [0.0] * len(stage_s)
    ended_at_s = 0.0
    left = dict.fromkeys(range(n_samples), n_tokens)
    while any(queues):
        # The node whose next message can be begun first works next.
        node = min(
            (n for n in range(len(queues)) if queues[n]), key=lambda n: max(free_at_s[n], queues[n][0][0])
        )
        came_at_s, sample, token = queues[node].popleft()
        now_s = max(free_at_s[node], came_at_s)
        if node == 0:
            if token >= 0:
                now_s += HEAD_S
                ended_at_s = max(ended_at_s, now_s)
                left[sample] -= 1
            if left[sample] == 0:
                free_at_s[0] = now_s
                continue
            token += 1
        now_s += stage_s[node]
        free_at_s[node] = now_s
        queues[(node + 1) % len(queues)].append((now_s + LATENCY_S, sample, token))
    return ended_at_s


@pytest.mark.parametrize(
    ("n_samples", "speeds"),
    [
        (1, (1.0, 1.0, 1.0)),
        (2, (1.0, 1.7, 0.9)),
        (3, (1.0, 1.0, 1.0)),
        (4, (0.6, 1.1, 1.3)),
        (7, (2.0, 1.0, 0.5)),
    ],
)
def test_the_pipeline_is_the_papers_loop(n_samples: int, speeds: tuple[float, ...]) -> None:
    counts, n_tokens = (2, 2, 2), 30
    told = serve(ring(n_samples, n_tokens, speeds=speeds), counts).requests["ended_at_s"].max()
    stage_s = tuple(n * speed for n, speed in zip(counts, speeds, strict=True))
    assert told == pytest.approx(by_the_paper(n_samples, n_tokens, stage_s), rel=1e-12)


def test_poisson_requests_of_one_token_meet_an_m_d_1_bottleneck() -> None:
    """Equal deterministic stages in a row: all waiting is before the first one (Friedman 1965)."""
    stage_s, rho = 2.0, 0.7
    last = N_STAGES - 1
    stages = [(f"d-{i}", Slice(2 * i, 2 * i + 2, embedding=i == 0, head=i == last)) for i in range(N_STAGES)]
    devices = [device(id_, PerBlock(1.0)) for id_, _ in stages]
    wires = [Link(between=(a, b), rate_bps=1e30, latency_s=LATENCY_S) for (a, _), (b, _) in pairwise(stages)]

    def chain(request, cluster):
        # Without the way back: a head that returns to the starter would interrupt it.
        token, at = next(request.tokens()), request.source
        for id_, part in stages:
            yield from cluster.send(request, at, id_, token.activation_bytes)
            yield from cluster.compute(request, id_, part, token)
            at = id_
        yield from cluster.emit(request, at, token)

    def simulate(replication: int) -> float:
        there = world(
            devices,
            wires,
            arrivals=Poisson(rho / stage_s),
            n_requests=sized(3000, 8000),
            architecture=model(6),
            replication=replication,
        )
        work = run(there, Serve(chain)).spans.query("kind == 'compute' and device == 'd-2'")
        asked_at_s = np.array([r.arrived_at_s for r in there.requests()])
        return float((work.sort_values("request_id")["ended_at_s"].to_numpy() - asked_at_s)[800:].mean())

    wait_s = stage_s * rho / (2 * (1 - rho))
    theory_s = N_STAGES * stage_s + (N_STAGES - 1) * LATENCY_S + wait_s
    assert_inside_student_t([simulate(replication) for replication in range(10)], theory_s)


def test_kv_caches_are_reserved_at_every_stage_for_the_whole_request() -> None:
    counts = (1, 3, 2)
    ran = serve(ring(4, 10), counts)
    n_tokens = 1 + 10
    for stage, n_blocks in enumerate(counts):
        memory = ran.cluster.memories[f"d-{stage}"]
        per_request = n_tokens * model(6).kv_bytes_per_token(n_blocks)
        assert memory.peak_bytes - memory.resident_bytes == 4 * per_request
        assert memory.used_bytes == memory.resident_bytes


def test_the_starter_holds_embedding_and_head_and_secondaries_blocks_only() -> None:
    there = ring(1, 1)
    placed = Pipeline(partition=(1, 3, 2)).place(there.model, Fleet.of(there))
    assert [str(stage.part) for stage in placed.stages] == ["embedding+0", "1-3", "4-5", "head"]
    assert placed.starter.device == placed.head.device == "d-0"


def test_activations_travel_whole_at_prefill_and_one_token_at_decode() -> None:
    ran = serve(ring(1, 3, prompt=Fixed(7)), (2, 2, 2))
    sizes = (
        ran.spans[ran.spans["kind"] == "send"].groupby("token")["size_bytes"].unique().map(np.ndarray.tolist)
    )
    assert sizes.to_dict() == {0: [7000], 1: [1000], 2: [1000]}
