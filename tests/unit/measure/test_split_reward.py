"""The true reward of a split against perplexities of passes by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from tiny_language_models import tiny  # noqa: E402

from edgesim.errors import InputError  # noqa: E402
from edgesim.measure.answer_quality import WINDOW_TOKENS, generator_of  # noqa: E402
from edgesim.measure.split_reward import TrueReward  # noqa: E402
from edgesim.measure.text import Text  # noqa: E402
from edgesim.model.answers.impairment import Erasure  # noqa: E402


def text() -> Text:
    letters = np.random.default_rng(3).integers(97, 123, WINDOW_TOKENS + 8, dtype=np.uint8)
    return Text("letters", "", {"all": letters.tobytes().decode()})


@torch.inference_mode()
def test_it_is_the_relative_fall_of_perplexity_when_elements_are_zeroed_after_a_block() -> None:
    model = tiny()
    length = min(WINDOW_TOKENS, model.max_context)
    row = torch.from_numpy(model.tokens(text())[: length + 1].astype(np.int64))[None]
    impairment, loss = Erasure(0.2, 1), 0.2
    uniforms = torch.rand(length, model.hidden_size, generator=generator_of(1, impairment, 0, 0))

    def erase(_: object, __: object, output: object) -> object:
        state = output[0] if isinstance(output, tuple) else output
        changed = state * (uniforms >= loss)  # type: ignore[operator]
        return (changed, *output[1:]) if isinstance(output, tuple) else changed

    def perplexity() -> float:
        logits = model.model(row[:, :-1], use_cache=False).logits[0].double()
        return math.exp(-logits.log_softmax(-1)[torch.arange(length), row[0, 1:]].mean())

    clean = perplexity()
    hook = model.model.get_submodule(model.places.blocks)[0].register_forward_hook(erase)
    harmed = perplexity()
    hook.remove()
    true = TrueReward(model, text(), n_tokens=length)
    assert true(loss, 1) == pytest.approx((clean - harmed) / clean, rel=1e-4)


def test_evaluations_and_their_time_are_counted() -> None:
    true = TrueReward(tiny(), text(), unit="packet", n_tokens=WINDOW_TOKENS)
    assert true(0.0, 1) == 0
    assert true(0.3, 1) == true(0.3, 1) != 0
    assert true.n_evaluations == 3
    assert true.elapsed_s > 0
    with pytest.raises(InputError, match="expected a split after 1 to"):
        true(0.1, 99)
