"""What passes lose after sleeps, against differences taken by hand."""

from __future__ import annotations

from dataclasses import replace
from time import perf_counter
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

from edgesim.measure.real.part import Part
from edgesim.measure.real.resting import accompany, rested
from edgesim.measure.real.rests import Losses, RestLosses, Rests
from edgesim.measure.real.ring_socket import STOP, Header
from edgesim.measure.real.weights import untrained_model
from edgesim.validate.local.shapes import shape_named


def part_of(name: str, blocks: tuple[int, int]) -> Part:
    architecture = shape_named(name).architecture
    return Part(untrained_model(architecture, seed=1), architecture.family, *blocks)


def test_a_loss_grows_with_the_sleep_and_then_stays() -> None:
    stages_s = ((1e-4, 3e-4, 5e-4), (0.0, 0.0, 0.0))
    idle = Losses(stages_s=stages_s, prompts_s=(0.0, 0.0), head_s=3e-4)
    losses = RestLosses(idle=idle, beside=Losses(((0.0,) * 3,) * 2, (0.0, 0.0), -1.0))

    assert losses.after(0, 0.0, 0.0) == 0.0
    assert losses.after(0, 0.5e-3, 0.0) == pytest.approx(0.5e-4)
    assert losses.after(0, 2.5e-3, 0.0) == pytest.approx(2e-4)
    assert losses.after(0, 1.0, 0.0) == losses.after(0, 16e-3, 0.0) == 5e-4
    assert losses.after(1, 1.0, 0.0) == 0.0
    assert losses.head_after(4e-3, 0.0) == pytest.approx(0.75e-4)


def test_a_loss_lies_between_those_with_all_idle_and_with_another_computing() -> None:
    idle = Losses(((1.0, 3.0, 5.0),), (2.0,), 4.0)
    losses = RestLosses(idle=idle, beside=Losses(((0.0, 1.0, -2.0),), (1.0,), -8.0))

    assert losses.after(0, 4e-3, 0.25) == pytest.approx(2.5)
    assert losses.after(0, 16e-3, 0.5) == pytest.approx(1.5)
    assert losses.after(0, 16e-3, 1.0) == 0.0  # what is charged is not below zero
    assert losses.prompt_after(0, 0.25) == pytest.approx(1.75)
    assert losses.head_after(8e-3, 0.25) == pytest.approx(0.5)
    assert losses.head_after(8e-3, 0.5) == 0.0


def test_losses_are_differences_to_passes_that_follow_others_at_once() -> None:
    rests = Rests(n_stages=2)
    for _ in range(3):
        prompts = {"prompts_awake_s": [5.0, 5.2], "prompts_rested_s": [5.5, 5.7]}
        heads = {"heads_awake_s": [0.5], "heads_rested_s": [0.8]}
        first = {"awake_s": [1.0] * 6, "rested_s": [[1.1, 1.2, 1.4]] * 2}
        second = {"awake_s": [2.0] * 6, "rested_s": [[1.9, 2.0, 2.4], [1.9, 2.0, 2.6]]}
        for beside in (False, True):
            rests.add_stage(beside, {**first, **prompts, **heads}, beside=beside)
            rests.add_stage(1 - beside, {**second, **prompts, **heads}, beside=beside)

    losses = rests.losses(fastest=1)

    assert losses.idle.stages_s[0] == losses.beside.stages_s[1] == pytest.approx((0.1, 0.2, 0.4))
    assert losses.idle.stages_s[1] == losses.beside.stages_s[0] == pytest.approx((-0.1, 0.0, 0.5))
    assert losses.idle.prompts_s == pytest.approx((0.5, 0.5))
    assert losses.idle.head_s == losses.beside.head_s == pytest.approx(0.3)


@pytest.mark.parametrize("blocks", [(0, 2), (2, 3)])
def test_passes_are_timed_awake_and_after_each_sleep(
    blocks: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    called: list[Any] = []
    monkeypatch.setattr("edgesim.measure.real.resting.sleep", called.append)
    part = part_of("tiny-gpt2", blocks)
    run, logits = part.run, part.logits

    def noted(cache: Any, given: Any, n_context: int) -> Any:
        called.append("prompt" if n_context == 0 else "step")
        return run(cache, given, n_context)

    monkeypatch.setattr(part, "run", noted)
    monkeypatch.setattr(part, "logits", lambda states: (called.append("head"), logits(states))[1])

    found = rested(part, 4, [0.1, 0.2])

    head = ["head"] if part.is_first else []
    step = [*head, "step"]
    # Both the sleep before a timed prompt and a prompt that is timed awake follow decoding steps.
    once = [*step, 0.1, *step, *step, 0.2, *step, 0.2, "prompt", *step, *step, "prompt", *step]
    heads = ["head", "prompt", 0.2, "head"] if part.is_first else []
    assert called == ["prompt", *heads, *step, *once * 3]
    shapes = {"awake_s": (6,), "rested_s": (3, 2), "prompts_awake_s": (3,), "prompts_rested_s": (3,)}
    if part.is_first:
        shapes |= {"heads_awake_s": (1,), "heads_rested_s": (1,)}
    assert {key: np.shape(each) for key, each in found.items()} == shapes
    assert all(np.min(each) > 0.0 for each in found.values())


class Connection:
    """Both ends: keeps the headers that were sent, and delivers those that it is given."""

    def __init__(self, headers: list[Header]) -> None:
        self.headers, self.received_at_s = headers, list[float]()

    def send(self, header: Header, payload: memoryview) -> None:
        assert not payload
        self.headers.append(header)

    def receive(self) -> tuple[Header, float, bytearray]:
        self.received_at_s.append(perf_counter())
        return replace(self.headers.pop(0), due_at_s=perf_counter()), perf_counter(), bytearray()


def test_a_companion_is_asked_to_compute_in_every_sleep_and_then_to_stop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    slept: list[float] = []
    monkeypatch.setattr("edgesim.measure.real.resting.sleep", slept.append)
    connection: Any = Connection([])

    rested(part_of("tiny", (0, 1)), 4, [0.1, 0.2], connection)

    *asked, last = connection.headers
    assert [[0.1, 0.2][header.request] for header in asked] == slept
    assert last == STOP


@pytest.mark.parametrize("shape", ["tiny", "tiny-gpt2"])
def test_a_companion_computes_until_the_sleep_is_nearly_over(shape: str) -> None:
    part = part_of(shape, (1, 2))
    connection: Any = Connection([Header(1, 1, 0), Header(0, 1, 0), STOP])

    accompany(part, [0.01, 0.03], connection)

    first_s, second_s = np.diff(connection.received_at_s)
    assert 0.029 < first_s < 0.3  # the upper bounds leave room for other programs
    assert 0.009 < second_s < 0.3
    sizes = {matrix.shape for matrix in part.weights()}
    assert all(rows * columns > 0 for rows, columns in sizes)
    assert len(part.weights()) == (7 if shape == "tiny" else 4)  # of one block
