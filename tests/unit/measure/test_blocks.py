"""An excerpt of a model is the model, cut short: same outputs, same inputs as generate's, same residency."""

from __future__ import annotations

from typing import Any

import pytest
from small_models import GPT2, LLAMA

torch = pytest.importorskip("torch")

from edgesim.measure.blocks import CACHE_FACTOR, Excerpt, n_copies  # noqa: E402  torch comes first
from edgesim.measure.grid import Shape  # noqa: E402
from edgesim.model.architecture import Architecture, Component, Slice  # noqa: E402

INSIDE = {Component.EMBEDDING, Component.ATTENTION, Component.MLP, Component.BLOCK, Component.HEAD}


@pytest.fixture(params=[LLAMA, GPT2], ids=["llama", "gpt2"])
def architecture(request: pytest.FixtureRequest) -> Architecture:
    return Architecture.from_config(request.param, name="small", dtype="float32")


@pytest.fixture
def excerpt(architecture: Architecture) -> Excerpt:
    return Excerpt(architecture, n_blocks=2)


@pytest.fixture(autouse=True)
def inference() -> Any:
    with torch.inference_mode():
        yield


@pytest.mark.parametrize("shape", [Shape(1, 1, 0), Shape(2, 9, 0), Shape(1, 1, 30), Shape(2, 5, 30)])
def test_the_components_of_a_pass_make_up_the_pass(excerpt: Excerpt, shape: Shape) -> None:
    excerpt.time_pass(shape)
    times = excerpt.time_pass(shape)

    assert times.keys() == INSIDE
    assert all(seconds > 0 for seconds in times.values())
    assert times[Component.BLOCK] == times[Component.ATTENTION] + times[Component.MLP]


def test_a_pass_leaves_the_cache_as_it_was(excerpt: Excerpt) -> None:
    shape = Shape(1, 1, 12)
    before = [(layer.keys, layer.values) for layer in excerpt._cache(1, 12).layers]
    excerpt.time_pass(shape)
    after = excerpt._cache(1, 12)

    assert after.get_seq_length() == 12
    assert all(
        layer.keys is keys and layer.values is values
        for layer, (keys, values) in zip(after.layers, before, strict=True)
    )


@pytest.mark.parametrize("step", ["prefill", "decode"])
def test_a_timed_pass_gets_the_inputs_that_generate_gives(excerpt: Excerpt, step: str) -> None:
    passed: list[dict[str, Any]] = []
    hook = excerpt._model.register_forward_pre_hook(lambda _m, _a, kw: passed.append(kw), with_kwargs=True)
    excerpt.time_steps(Shape(1, 10, 0))
    by_generate = passed[0 if step == "prefill" else 1]
    passed.clear()
    excerpt.time_pass(Shape(1, 10, 0) if step == "prefill" else Shape(1, 1, 10))
    hook.remove()
    ours = passed[0]

    def given(inputs: dict[str, Any]) -> dict[str, Any]:
        return {key: value for key, value in inputs.items() if value is not None}

    assert given(ours).keys() == given(by_generate).keys()
    assert ours["input_ids"].shape == by_generate["input_ids"].shape
    assert torch.equal(ours["position_ids"], by_generate["position_ids"])
    assert ours["logits_to_keep"] == by_generate["logits_to_keep"]
    assert type(ours["past_key_values"]) is type(by_generate["past_key_values"])


def test_a_generation_step_costs_time_outside_the_model(excerpt: Excerpt) -> None:
    first_s, further_s = excerpt.time_steps(Shape(2, 8, 0))

    assert 0 < further_s < first_s  # the first includes what generate does before it begins


def test_building_leaves_the_callers_random_numbers_alone(architecture: Architecture) -> None:
    torch.manual_seed(7)
    expected = torch.rand(1)
    torch.manual_seed(7)
    Excerpt(architecture, n_blocks=1)

    assert torch.equal(torch.rand(1), expected)


def test_weights_are_no_inference_tensors(excerpt: Excerpt) -> None:
    assert not any(parameter.is_inference() for parameter in excerpt._model.parameters())


def test_attention_is_transformers_default(excerpt: Excerpt) -> None:
    assert excerpt._model.config._attn_implementation == "sdpa"


def test_an_excerpt_outgrows_the_cache_or_is_the_whole_model(architecture: Architecture) -> None:
    block_bytes = architecture.weight_bytes(Slice(0, 1))

    assert n_copies(architecture, 2**40) == architecture.n_blocks
    assert n_copies(architecture, 1) == 1
    for cache_bytes in (block_bytes // 3, block_bytes // 2):
        assert n_copies(architecture, cache_bytes) * block_bytes >= CACHE_FACTOR * cache_bytes
