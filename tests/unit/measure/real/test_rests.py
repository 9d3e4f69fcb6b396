"""What passes lose after sleeps, against differences taken by hand."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")

from edgesim.measure.real.generation_loops import rested
from edgesim.measure.real.part import Part
from edgesim.measure.real.rests import RestLosses, Rests
from edgesim.measure.real.weights import untrained_model
from edgesim.validate.local.shapes import shape_named


def test_a_loss_grows_with_the_sleep_and_then_stays() -> None:
    stages_s = ((1e-4, 3e-4, 5e-4), (0.0, 0.0, 0.0))
    losses = RestLosses(stages_s=stages_s, prompts_s=(0.0, 0.0), head_s=0.0)

    assert losses.after(0, 0.0) == 0.0
    assert losses.after(0, 0.5e-3) == pytest.approx(0.5e-4)
    assert losses.after(0, 2.5e-3) == pytest.approx(2e-4)
    assert losses.after(0, 1.0) == losses.after(0, 16e-3) == 5e-4
    assert losses.after(1, 1.0) == 0.0


def test_losses_are_differences_to_passes_that_follow_others_at_once() -> None:
    rests = Rests(n_stages=2)
    for _ in range(3):
        prompts = {"prompt_awake_s": 5.0, "prompt_rested_s": 5.5}
        heads = {"head_awake_s": 0.5, "head_rested_s": 0.8}
        rests.add_stage(0, {"awake_s": [1.0, 1.0, 1.0], "rested_s": [1.1, 1.2, 1.4], **prompts, **heads})
        rests.add_stage(1, {"awake_s": [2.0, 2.0, 2.0], "rested_s": [1.9, 2.0, 2.5], **prompts})

    losses = rests.losses(fastest=1)

    assert losses.stages_s[0] == pytest.approx((0.1, 0.2, 0.4))
    assert losses.stages_s[1] == pytest.approx((-0.1, 0.0, 0.5))
    assert losses.after(1, 1e-3) == 0.0  # what is charged is not below zero
    assert losses.prompts_s == pytest.approx((0.5, 0.5))
    assert losses.head_s == pytest.approx(0.3)


@pytest.mark.parametrize("blocks", [(0, 2), (2, 3)])
def test_passes_are_timed_awake_and_after_each_sleep(
    blocks: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    slept_s: list[float] = []
    monkeypatch.setattr("edgesim.measure.real.generation_loops.sleep", slept_s.append)
    shape = shape_named("tiny-gpt2")
    part = Part(untrained_model(shape.architecture, seed=1), shape.architecture.family, *blocks)

    found = rested(part, 4, [0.1, 0.2])

    heads: dict[str, tuple[int, ...]] = {"head_awake_s": (), "head_rested_s": ()} if part.is_first else {}
    # Before the prompt the longest, and again before the head.
    assert slept_s == [*([0.2] * (2 if part.is_first else 1)), 0.1, 0.2]
    shapes = {"awake_s": (2,), "rested_s": (2,), "prompt_awake_s": (), "prompt_rested_s": (), **heads}
    assert {key: np.shape(each) for key, each in found.items()} == shapes
    assert all(np.min(each) > 0.0 for each in found.values())
