"""Generation with exits: who computes what where, and what is sent, for each way to fill caches."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from miniature import N_BLOCKS, PerBlock, Serve, Tables, device, model, run, world

from edgesim.model.answers.exit_paths import CacheFill
from edgesim.model.answers.exit_records import ExitRecords
from edgesim.model.answers.exit_rule import ExitRule
from edgesim.model.answers.propagated_paths import ExitOutputs, PropagatedPaths
from edgesim.model.architecture import Slice
from edgesim.strategies.early_exit.generation import generate
from edgesim.strategy import Stage
from edgesim.workload.lengths import Fixed
from edgesim.world.link import Link
from edgesim.world.world import World

WIRE = Link(between=("a-0", "b-0"), rate_bps=8e6, latency_s=0.5)
TWO = (
    Stage("a-0", Slice(0, 2, embedding=True, head=True)),
    Stage("b-0", Slice(2, N_BLOCKS, head=True)),
)
STATE_BYTES = 1000
WAYS = list(CacheFill)
SURE = 0.9


def rule(n_inner: int) -> ExitRule:
    return ExitRule((SURE,) * n_inner)


def answers(sample: int, blocks: Sequence[int], left: Sequence[int]) -> tuple[ExitRecords, PropagatedPaths]:
    """Exits of which token t takes the one with number left[t]; right in every other row."""
    n, exits = len(left), np.array(left)
    rows = (sample + np.arange(n)) % n
    confidence = np.zeros((n, len(blocks)))
    for row, taken in zip(rows, left, strict=True):
        confidence[row, taken:] = 1.0
    is_correct = np.tile((np.arange(n) % 2 == 0)[:, None], (1, len(blocks)))
    own = np.zeros(n, dtype=np.int64)
    own[rows] = exits
    said = ExitOutputs(own, np.ones(n), np.arange(n) / 10.0, np.arange(n) % 3 == 0)
    records = ExitRecords(tuple(blocks), confidence, is_correct, nll=np.ones((n, len(blocks))))
    return records, PropagatedPaths(tuple(blocks), {rule(len(blocks) - 1): said})


def there(left: Sequence[int], blocks: Sequence[int] = (2, N_BLOCKS), n_prompt: int = 3, **facts) -> World:
    """A world whose one request has as many tokens as exits are given."""
    names = ("a-0", "b-0", "c-0")[: len(blocks)]
    links = [Link(between=(a, b), rate_bps=8e6, latency_s=0.5) for a in names for b in names if a < b]
    made = world(
        [device(name, **facts) for name in names],
        links,
        prompt=Fixed(n_prompt),
        output=Fixed(len(left)),
        architecture=model(n_blocks=blocks[-1]),
    )
    (asked,) = made.requests()
    records, paths = answers(asked.sample, blocks, left)
    return World(
        **{name: getattr(made, name) for name in made.__slots__} | {"exits": records, "paths": paths}
    )


def decoding(path: Sequence[Stage], thresholds: ExitRule | None, caches: CacheFill) -> Serve:
    return Serve(lambda request, cluster: generate(request, cluster, path, thresholds, caches))


def said(ran: Tables) -> list[tuple[object, ...]]:
    return ran.log("token", "kind", "device", "via", "n_tokens", "size_bytes", "started_at_s", "ended_at_s")


LEFT = (0, 0, 0, 1, 0)
BEGIN = [
    (0, "compute", "a-0", "embedding+0-1+head", 3, 0, 0.0, 6.0),
    (0, "emit", "a-0", None, 1, 0, 6.0, 6.0),
    (0, "send", "a-0", "a-0--b-0", 0, 3000, 6.0, 6.503),
    (0, "compute", "b-0", "2-3", 3, 0, 6.503, 12.503),
    (1, "compute", "a-0", "embedding+0-1+head", 1, 0, 12.503, 14.503),
    (1, "emit", "a-0", None, 1, 0, 14.503, 14.503),
    (2, "compute", "a-0", "embedding+0-1+head", 1, 0, 14.503, 16.503),
    (2, "emit", "a-0", None, 1, 0, 16.503, 16.503),
    (3, "compute", "a-0", "embedding+0-1+head", 1, 0, 16.503, 18.503),
    (3, "send", "a-0", "a-0--b-0", 0, 3000, 18.503, 19.006),
]


def end(at_s: float) -> list[tuple[object, ...]]:
    home_s = at_s + 0.500004
    return [
        (3, "send", "b-0", "a-0--b-0", 0, 4, at_s, home_s),
        (3, "emit", "a-0", None, 1, 0, home_s, home_s),
        (4, "compute", "a-0", "embedding+0-1+head", 1, 0, home_s, home_s + 2.0),
        (4, "emit", "a-0", None, 1, 0, home_s + 2.0, home_s + 2.0),
    ]


def same(found: Sequence[tuple[object, ...]], expected: Sequence[tuple[object, ...]]) -> bool:
    """Whether two logs are one, to the nanosecond."""

    def rounded(rows):
        return [tuple(round(x, 8) if isinstance(x, float) else x for x in row) for row in rows]

    return rounded(found) == rounded(expected)


def test_recompute_takes_what_waits_through_the_second_stage_with_the_token_that_goes_there() -> None:
    ran = run(there(LEFT), decoding(TWO, rule(1), CacheFill.RECOMPUTE))
    through = [(3, "compute", "b-0", "2-3+head", 3, 0, 19.006, 25.006)]  # tokens 1, 2 and 3
    assert same(said(ran), [*BEGIN, *through, *end(25.006)])


def test_propagate_fills_the_second_stage_and_then_passes_it_alone() -> None:
    ran = run(there(LEFT), decoding(TWO, rule(1), CacheFill.PROPAGATE))
    # Of two tokens in a block: the larger of keys' and values' share of FLOP (two to a weight and token, and
    # four times the width for each of three pairs) and of bytes (weights once, activations, and the cache).
    matrices, norms = 4 * 500 * 500 + 3 * 500 * 1000, 2 * 500
    flop_share = (2 * 2 * 500 * 1000) / (2 * 2 * matrices + 4 * 500 * 3)
    block_bytes = 2 * (matrices + norms) + 2 * 2 * (2000 + 2000 + 1000 + 1000 + 3000) + 2000 * 2 * 2
    fill_bytes = (4 * 500 * 500 + 500) * 2 / 2 + 2 * (500 + 1000) * 2
    share = max(flop_share, fill_bytes / block_bytes)
    filled_s = 19.006 + 2 * 2 * share  # blocks, and seconds for two tokens in one
    fill = [
        (3, "compute", "b-0", "keys and values of 2-3", 2, 0, 19.006, filled_s),
        (3, "compute", "b-0", "2-3+head", 1, 0, filled_s, filled_s + 2.0),
    ]
    assert same(said(ran), [*BEGIN, *fill, *end(filled_s + 2.0)])


def test_requests_on_the_same_path_never_go_further() -> None:
    ran = run(there(LEFT), decoding(TWO, rule(1), CacheFill.SAME_PATH))
    log = said(ran)
    assert [row[6:] for row in log if row[1] == "compute"] == [
        (0.0, 6.0),
        (6.0, 8.0),
        (8.0, 10.0),
        (10.0, 12.0),
        (12.0, 14.0),
    ]
    assert not [row for row in log if row[1] == "send"]
    (told,) = ran.requests.itertuples()
    assert told.mean_exit_block == 2


@pytest.mark.parametrize("caches", WAYS)
def test_answers_are_those_measured_with_the_same_caches(caches: CacheFill) -> None:
    made = there(LEFT)
    (asked,) = made.requests()
    (told,) = run(made, decoding(TWO, rule(1), caches)).requests.itertuples()
    rows = (asked.sample + np.arange(5)) % 5
    assert made.exits is not None
    if caches is CacheFill.PROPAGATE:
        assert told.nll == pytest.approx(np.mean(rows / 10.0))
        assert told.correct == pytest.approx(np.mean(rows % 3 == 0))
    else:
        assert told.nll == 1.0
        assert told.correct == pytest.approx(np.mean(rows % 2 == 0))
    assert told.mean_exit_block == (2.0 if caches is CacheFill.SAME_PATH else 2.4)


@pytest.mark.parametrize("caches", WAYS)
def test_without_exits_it_is_a_pipeline(caches: CacheFill) -> None:
    def pipeline(request, cluster):
        for token in request.tokens():
            yield from cluster.compute(request, "a-0", Slice(0, 2, embedding=True), token)
            yield from cluster.send(request, "a-0", "b-0", token.activation_bytes)
            yield from cluster.compute(request, "b-0", TWO[1].part, token)
            if token.is_last:
                yield from cluster.emit(request, "b-0", token)
            else:
                yield from cluster.send(request, "b-0", "a-0", request.token_bytes)
                yield from cluster.emit(request, "a-0", token)

    expected = run(there(LEFT), Serve(pipeline))
    assert said(run(there(LEFT), decoding(TWO, None, caches))) == said(expected)


@pytest.mark.parametrize("caches", WAYS)
def test_tokens_that_all_leave_first_cost_the_first_stage(caches: CacheFill) -> None:
    n_prompt, n_output = 7, 30
    ran = run(there([0] * n_output, n_prompt=n_prompt), decoding(TWO, rule(1), caches))
    on = ran.spans[ran.spans["kind"] == "compute"].groupby("device")["n_tokens"].sum()
    sent = ran.spans[ran.spans["kind"] == "send"]["size_bytes"].sum()
    assert on["a-0"] == n_prompt + n_output - 1
    prompt_behind = 0 if caches is CacheFill.SAME_PATH else n_prompt
    assert on.get("b-0", 0) == prompt_behind
    assert sent == prompt_behind * STATE_BYTES


def test_heads_are_computed_where_a_token_may_leave_and_nowhere_else() -> None:
    """Token 0 leaves at the second of three stages: on the same path later ones ask no other exit."""
    left = (1, 0, 2)
    one = ("a-0", "a-0", "a-0")

    def heads(caches: CacheFill, thresholds: ExitRule | None) -> list[str]:
        made = there(left, THREE, timing=PerBlock(head_s=10.0))
        rows = run(made, decoding(stages(one), thresholds, caches)).spans
        return rows[rows["via"].astype(str).str.contains("head")]["via"].tolist()

    first, second, third = "embedding+0-1+head", "2-3+head", "4-5+head"
    assert heads(CacheFill.RECOMPUTE, rule(2)) == [first, second, first, first, second, third]
    assert heads(CacheFill.SAME_PATH, rule(2)) == [first, second, second, second]
    assert heads(CacheFill.RECOMPUTE, ExitRule((math.inf, SURE))) == [second, second, second, third]
    assert heads(CacheFill.RECOMPUTE, None) == [third] * 3


THREE = (2, 4, 6)


def stages(names: Sequence[str]) -> tuple[Stage, ...]:
    return tuple(
        Stage(name, Slice(last - 2, last, embedding=last == 2, head=True))
        for name, last in zip(names, THREE, strict=True)
    )


@pytest.mark.parametrize("names", [("a-0", "b-0", "c-0"), ("a-0", "a-0", "b-0"), ("a-0", "a-0", "a-0")])
@pytest.mark.parametrize("caches", [CacheFill.PROPAGATE, CacheFill.RECOMPUTE])
@pytest.mark.parametrize("seed", range(4))
def test_every_position_passes_or_fills_every_stage_that_a_later_one_asks_for(
    names: tuple[str, ...], caches: CacheFill, seed: int
) -> None:
    """A slow count, position by position: what each stage must have had, and what was sent to it."""
    n_prompt, n_output = 5, 24
    left = np.random.default_rng(seed).choice(3, n_output, p=[0.5, 0.3, 0.2]).tolist()
    ran = run(there(left, THREE, n_prompt), decoding(stages(names), rule(2), caches))
    depths = [3] * n_prompt  # stages that have each position's keys and values
    passed, filled, sent = [0, 0, 0], [0, 0, 0], [0, 0]
    for stage in range(3):
        passed[stage] += n_prompt
        if stage:
            sent[stage - 1] += n_prompt
    for taken in left[1:]:
        depths.append(0)
        for stage in range(taken + 1):
            lacking = [number for number, depth in enumerate(depths) if depth == stage]
            assert all(depth > stage for depth in depths[: len(depths) - len(lacking)])
            if stage:
                sent[stage - 1] += len(lacking)
            if caches is CacheFill.PROPAGATE:
                filled[stage] += len(lacking) - 1
                passed[stage] += 1
            else:
                passed[stage] += len(lacking)
            for number in lacking:
                depths[number] = stage + 1
    computed = ran.spans[ran.spans["kind"] == "compute"]
    of_stage = computed["via"].str.extract(r"(\d)-\d")[0].astype(int) // 2
    is_fill = computed["via"].str.startswith("keys and values of ")
    for stage in range(3):
        assert computed[(of_stage == stage) & ~is_fill]["n_tokens"].sum() == passed[stage]
        assert computed[(of_stage == stage) & is_fill]["n_tokens"].sum() == filled[stage]
    states = ran.spans[(ran.spans["kind"] == "send") & (ran.spans["size_bytes"] > 4)]
    hops = [hop for hop in range(2) if names[hop] != names[hop + 1]]
    assert states["size_bytes"].sum() == STATE_BYTES * sum(sent[hop] for hop in hops)
    assert ran.requests["outcome"].tolist() == ["completed"]


def test_a_pass_with_others_costs_what_so_many_tokens_cost() -> None:
    """On one device: tokens 1 and 2 left after the first stage, and pass the second with token 3."""
    one = tuple(Stage("a-0", stage.part) for stage in TWO)
    timing = PerBlock(block_s=0.25, head_s=0.125)
    ran = run(there(LEFT, timing=timing), decoding(one, rule(1), CacheFill.RECOMPUTE))
    spans = ran.spans[(ran.spans["kind"] == "compute") & (ran.spans["via"] == "2-3+head")]
    (only,) = spans.itertuples()
    assert (only.token, only.n_tokens) == (3, 3)
    assert math.isclose(only.ended_at_s - only.started_at_s, 3 * 2 * 0.25 + 0.125)
