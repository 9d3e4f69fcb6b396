"""A profile measured between the tokens of a real run: what is called, and in what order."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from time import sleep
from typing import Any

import pytest

pytest.importorskip("torch")

from edgesim.measure.grid import Grid, PassShape
from edgesim.measure.real.generation_loops import generated
from edgesim.measure.real.interleaved_profile import Gauge
from edgesim.measure.real.weights import untrained_model
from edgesim.measure.timing import Measuring, Rounds
from edgesim.validate.local.shapes import shape_named

GRID = Grid(batches=(1,), prompts=(16,), contexts=(16, 20), held_out_prompts=(), held_out_contexts=(18,))
GPT2 = shape_named("tiny-gpt2").architecture  # three blocks


def test_a_pass_is_timed_behind_an_untimed_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every pass behind its like, and a prompt behind a decoding step after that."""
    gauge = Gauge(GPT2, GRID, fastest=1, seed=1)
    called: list[tuple[str, PassShape]] = []
    monkeypatch.setattr(Rounds, "settle", lambda self, at: called.append(("untimed", at)))
    monkeypatch.setattr(
        Rounds, "visit", lambda self, at, steps, **_: called.append(("step" if steps else "timed", at))
    )

    gauge.round()

    before: list[PassShape] = []
    timed = set()
    for what, at in called:
        if what == "untimed":
            before.append(at)
        elif what == "timed":
            assert before[0] == at
            assert [each.n_context > 0 for each in before[1:]] == [True] * (at.n_new > 1)
            timed.add(at)
            before = []
    assert timed == set(GRID.shapes())
    assert {at for what, at in called if what == "step"} == set(GRID.step_shapes())


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Sleeps, and visits of a shape, in order; the latter with whether steps outside the model are timed."""
    found: list[Any] = []
    monkeypatch.setattr("edgesim.measure.real.interleaved_profile.sleep", found.append)
    monkeypatch.setattr(Rounds, "settle", lambda *_: None)
    monkeypatch.setattr(Rounds, "visit", lambda self, at, steps, **_: found.append((at, steps)))
    return found


def is_rare(at: PassShape, steps: bool) -> bool:
    return steps or at.held_out


@pytest.mark.parametrize("rest_s", [0.0, 0.25])
def test_prompts_alone_follow_a_sleep_and_steps_and_test_points_are_timed_in_a_quarter_of_the_rounds(
    rest_s: float, called: list[Any]
) -> None:
    gauge = Gauge(GPT2, GRID, fastest=1, seed=1)
    for _ in range(5):
        gauge.round(rest_s)

    visits = [each for each in called if isinstance(each, tuple)]
    rare = [visit for visit in visits if is_rare(*visit)]
    assert len(rare) == 2 * 3  # a step, a step as test point, and a context as test point
    assert {steps for _, steps in rare} == {True, False}
    assert len(visits) - len(rare) == 5 * 3  # a prompt and two contexts
    behind = [after for before, after in pairwise(called) if before == rest_s]
    assert [(at.n_new, steps) for at, steps in behind] == [(16, False)] * 5  # prompts, each of them


def test_between_tokens_all_is_visited_soon_and_then_three_decoding_steps_of_four(called: list[Any]) -> None:
    gauge = Gauge(GPT2, GRID, fastest=1, seed=1)
    for _ in range(4 + 12):
        gauge.after_token()

    passes = {(at, False) for at in GRID.shapes() if at.n_context}
    steps = {(at, True) for at in GRID.step_shapes()}
    assert set(called[1:4]) == passes
    assert called[0] in steps
    assert not called[0][0].held_out
    assert [is_rare(*visit) for visit in called[4:]] == [False, False, False, True] * 3
    assert set(called[4:]) == passes | steps


def test_an_untimed_pass_leaves_no_repeat() -> None:
    measuring = Measuring(GPT2, device="cpu", grid=GRID, fastest=1, seed=1)
    measuring.warm_up()
    at = next(shape for shape in GRID.shapes() if shape.n_context)

    measuring.rounds.settle(at)
    assert measuring.rounds.points() == ()

    measuring.rounds.visit(at, False, most_passes=1)
    assert {point.n_repeats for point in measuring.rounds.points()} == {1}


@pytest.mark.parametrize(("most_blocks", "n_built"), [(None, 3), (2, 2)])
def test_no_more_whole_blocks_are_built_than_a_device_has(
    most_blocks: int | None, n_built: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    built: dict[bool, int] = {}
    with_shards = replace(GRID, shards=(1, 2))

    class Noted:
        def __init__(self, architecture: Any, *, n_blocks: int, device: str) -> None:
            built[architecture == GPT2] = n_blocks

    monkeypatch.setattr("edgesim.measure.timing.Excerpt", Noted)
    monkeypatch.setattr("edgesim.measure.timing.Rounds", lambda *_, **__: None)

    Measuring(GPT2, device="cpu", grid=with_shards, fastest=1, seed=1, most_blocks=most_blocks)

    assert built == {True: n_built, False: 3}  # shards of every block


def test_what_comes_between_tokens_changes_neither_tokens_nor_their_time() -> None:
    model, prompt = untrained_model(GPT2, seed=1), [1, 2, 3, 4]
    alone = generated(model, prompt, 5)
    n_passes: list[int] = []
    model.transformer.wte.register_forward_hook(lambda *given: n_passes.append(given[1][0].shape[1]))
    called: list[int] = []

    def between() -> None:
        called.append(len(n_passes))
        sleep(0.2)

    found = generated(model, prompt, 5, between)

    assert found["ids"] == alone["ids"]
    assert called == [2, 5, 7]  # behind the second token, the third and the fourth
    # Behind each pause a step like the one before it, so that caches are as without the pause.
    assert n_passes == [4, 1, 4, 1, 1, 1, 1, 1, 1]
    instants = [found["began_at_s"], *found["emitted_at_s"][0]]
    assert instants == sorted(instants)
    assert instants[-1] - instants[0] < 0.3  # of pauses that took 0.6 s, and milliseconds of computing
