"""What passes lose after sleeps, against differences taken by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

from edgesim.measure.real.generation_loops import rested
from edgesim.measure.real.part import Part
from edgesim.measure.real.rests import RestLosses, Rests
from edgesim.measure.real.weights import untrained_model
from edgesim.validate.local.shapes import shape_named


def test_a_loss_grows_with_the_sleep_and_then_stays() -> None:
    stages_s = ((1e-4, 3e-4, 4e-4, 5e-4, 9e-4), (0.0,) * 5)
    losses = RestLosses(
        stages_s=stages_s, prompts_s=(0.0, 0.0), next_prompts_s=(0.0, 0.0), heads_s=(2e-4, 1e-4)
    )

    assert losses.after(0, 0.0) == 0.0
    assert losses.after(0, 0.5e-3) == pytest.approx(0.5e-4)
    assert losses.after(0, 2.5e-3) == pytest.approx(2e-4)
    assert losses.after(0, 16e-3) == 5e-4
    assert losses.after(0, 32e-3) == pytest.approx(7e-4)
    assert losses.after(0, 1.0) == losses.after(0, 48e-3) == 9e-4
    assert losses.after(1, 1.0) == 0.0
    heads_s = [losses.head_after(1e-3 * ms) for ms in (0, 8, 16, 32, 48, 1000)]
    assert heads_s == pytest.approx([0.0, 1e-4, 2e-4, 1.5e-4, 1e-4, 1e-4])


def test_losses_are_differences_to_passes_that_follow_others_at_once() -> None:
    rests = Rests(n_stages=2)
    for _ in range(3):
        prompts = {
            "prompts_awake_s": [5.0, 5.2],
            "prompts_rested_s": [5.5, 5.7],
            "prompts_next_s": [5.1, 5.3],
        }
        heads = {"heads_awake_s": [0.5], "heads_rested_s": [[0.8, 0.9]]}
        first = {"awake_s": [1.0] * 6, "rested_s": [[1.1, 1.2, 1.3, 1.4, 1.5]] * 2}
        second = {"awake_s": [2.0] * 6, "rested_s": [[1.9, 2.0, 2.2, 2.4, 2.6], [1.9, 2.0, 2.2, 2.6, 2.6]]}
        rests.add_stage(0, {**first, **prompts, **heads})
        rests.add_stage(1, {**second, **prompts})

    losses = rests.losses(fastest=1)

    assert losses.stages_s[0] == pytest.approx((0.1, 0.2, 0.3, 0.4, 0.5))
    assert losses.stages_s[1] == pytest.approx((-0.1, 0.0, 0.2, 0.5, 0.6))
    assert losses.after(1, 1e-3) == 0.0  # what is charged is not below zero
    assert losses.prompts_s == pytest.approx((0.5, 0.5))
    assert losses.next_prompts_s == pytest.approx((0.1, 0.1))
    assert losses.heads_s == pytest.approx((0.3, 0.4))


@pytest.mark.parametrize("blocks", [(0, 2), (2, 3)])
def test_passes_are_timed_awake_and_after_each_sleep(
    blocks: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    called: list[Any] = []
    monkeypatch.setattr("edgesim.measure.real.generation_loops.sleep", called.append)
    shape = shape_named("tiny-gpt2")
    part = Part(untrained_model(shape.architecture, seed=1), shape.architecture.family, *blocks)
    run, logits = part.run, part.logits

    def noted(cache: Any, given: Any, n_context: int) -> Any:
        called.append("prompt" if n_context == 0 else "step")
        return run(cache, given, n_context)

    monkeypatch.setattr(part, "run", noted)
    monkeypatch.setattr(part, "logits", lambda states: (called.append("head"), logits(states))[1])

    found = rested(part, 4, [0.1, 0.2], [0.3, 0.4])

    head = ["head"] if part.is_first else []
    step = [*head, "step"]
    # Both the sleep before a timed prompt and a prompt that is timed awake follow decoding steps.
    once = [*step, 0.1, *step, *step, 0.2, *step, 0.2, "prompt", "prompt", *step * 2, "prompt", *step]
    heads = ["head", "prompt", 0.3, "head", "prompt", 0.4, "head"] if part.is_first else []
    assert called == ["prompt", *heads, *step, *once * 3]
    shapes = {"awake_s": (6,), "rested_s": (3, 2)}
    shapes |= {f"prompts_{each}_s": (3,) for each in ("awake", "rested", "next")}
    if part.is_first:
        shapes |= {"heads_awake_s": (1,), "heads_rested_s": (1, 2)}
    assert {key: np.shape(each) for key, each in found.items()} == shapes
    assert all(np.min(each) > 0.0 for each in found.values())
