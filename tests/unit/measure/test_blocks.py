"""An excerpt of a model is the model, cut short: same outputs, same inputs as generate's, same residency."""

from __future__ import annotations

from typing import Any

import pytest
from small_models import SMALL

torch = pytest.importorskip("torch")

from edgesim.measure.blocks import CACHE_FACTOR, Excerpt, n_copies  # noqa: E402  torch comes first
from edgesim.measure.grid import PassShape  # noqa: E402
from edgesim.measure.modules import shortened  # noqa: E402
from edgesim.measure.places import MODULE_PATHS  # noqa: E402
from edgesim.model.architecture import Architecture, Component, Slice  # noqa: E402
from edgesim.model.families import FAMILIES  # noqa: E402

INSIDE = {Component.EMBEDDING, Component.ATTENTION, Component.MLP, Component.BLOCK, Component.HEAD}


DECODERS = [name for name, family in FAMILIES.items() if family.is_causal]
ENCODERS = [name for name in FAMILIES if name not in DECODERS]
of_every_family = pytest.mark.parametrize("family", FAMILIES)
of_every_decoder = pytest.mark.parametrize("family", DECODERS)


@pytest.fixture
def architecture(family: str) -> Architecture:
    return Architecture.from_config(SMALL[family], name="small", dtype="float32")


@pytest.fixture
def excerpt(architecture: Architecture) -> Excerpt:
    return Excerpt(architecture, n_blocks=2)


@pytest.fixture(autouse=True)
def inference() -> Any:
    with torch.inference_mode():
        yield


@pytest.mark.parametrize(
    ("family", "shape"),
    [
        (name, shape)
        for name in DECODERS
        for shape in (PassShape(1, 1, 0), PassShape(2, 9, 0), PassShape(2, 5, 30))
    ]
    + [(name, shape) for name in ENCODERS for shape in (PassShape(1, 1, 0), PassShape(2, 9, 0))],
)
def test_the_components_of_a_pass_make_up_the_pass(excerpt: Excerpt, shape: PassShape) -> None:
    excerpt.time_pass(shape)
    times = excerpt.time_pass(shape)

    assert times.keys() == INSIDE
    assert all(seconds > 0 for seconds in times.values())
    assert times[Component.BLOCK] == times[Component.ATTENTION] + times[Component.MLP]


@of_every_decoder
def test_a_pass_leaves_the_cache_as_it_was(excerpt: Excerpt) -> None:
    shape = PassShape(1, 1, 12)
    before = [(layer.keys, layer.values) for layer in excerpt._cache(1, 12).layers]
    excerpt.time_pass(shape)
    after = excerpt._cache(1, 12)

    assert after.get_seq_length() == 12
    assert all(
        layer.keys is keys and layer.values is values
        for layer, (keys, values) in zip(after.layers, before, strict=True)
    )


@of_every_decoder
@pytest.mark.parametrize("step", ["prefill", "decode"])
def test_a_timed_pass_gets_the_inputs_that_generate_gives(excerpt: Excerpt, step: str) -> None:
    passed: list[dict[str, Any]] = []
    hook = excerpt._model.register_forward_pre_hook(lambda _m, _a, kw: passed.append(kw), with_kwargs=True)
    excerpt.time_steps(PassShape(1, 10, 0))
    by_generate = passed[0 if step == "prefill" else 1]
    passed.clear()
    excerpt.time_pass(PassShape(1, 10, 0) if step == "prefill" else PassShape(1, 1, 10))
    hook.remove()
    ours = passed[0]

    def given(inputs: dict[str, Any]) -> dict[str, Any]:
        return {key: value for key, value in inputs.items() if value is not None}

    assert given(ours).keys() == given(by_generate).keys()
    assert ours["input_ids"].shape == by_generate["input_ids"].shape
    assert torch.equal(ours["position_ids"], by_generate["position_ids"])
    assert ours["logits_to_keep"] == by_generate["logits_to_keep"]
    assert type(ours["past_key_values"]) is type(by_generate["past_key_values"])


@of_every_decoder
def test_a_generation_step_costs_time_outside_the_model(excerpt: Excerpt) -> None:
    generations = [excerpt.time_steps(PassShape(2, 8, 0)) for _ in range(5)]
    # The least disturbed of each: the first step includes what generate does before it begins.
    first_s, further_s = (min(filter(None, times)) for times in zip(*generations, strict=True))

    assert 0 < further_s < first_s


@pytest.mark.parametrize("family", ENCODERS)
def test_an_encoder_has_a_step_around_its_one_pass_and_none_further(excerpt: Excerpt) -> None:
    first_s, further_s = excerpt.time_steps(PassShape(2, 8, 0))

    assert first_s > 0
    assert further_s is None


def test_the_cache_of_sliding_windows_is_put_back_too() -> None:
    config = SMALL["gemma2"] | {"sliding_window": 8}
    excerpt = Excerpt(Architecture.from_config(config, name="small", dtype="float32"), n_blocks=2)
    for _ in range(2):
        excerpt.time_pass(PassShape(1, 1, 12))
        cache = excerpt._cache(1, 12)
        assert cache.get_seq_length() == 12
        assert [layer.keys.shape[-2] for layer in cache.layers] == [7, 12]  # the window less the new token


@of_every_family
def test_building_leaves_the_callers_random_numbers_alone(architecture: Architecture) -> None:
    torch.manual_seed(7)
    expected = torch.rand(1)
    torch.manual_seed(7)
    Excerpt(architecture, n_blocks=1)

    assert torch.equal(torch.rand(1), expected)


@of_every_family
def test_weights_are_no_inference_tensors(excerpt: Excerpt) -> None:
    assert not any(parameter.is_inference() for parameter in excerpt._model.parameters())


@of_every_family
def test_attention_is_transformers_default(architecture: Architecture, excerpt: Excerpt) -> None:
    # Gemma 2 caps its attention scores, which the fused kernel cannot.
    expected = "eager" if architecture.family == "gemma2" else "sdpa"

    assert excerpt._model.config._attn_implementation == expected


def test_both_kinds_of_blocks_are_in_an_excerpt_as_often_as_in_the_model() -> None:
    config = SMALL["gemma3_text"] | {"num_hidden_layers": 26, "sliding_window": 8}
    gemma = Architecture.from_config(config, name="small", dtype="float32")
    n_blocks = n_copies(gemma, 1)

    assert (gemma.n_windowed, n_blocks) == (22, 6)
    assert shortened(gemma, n_blocks)["layer_types"].count("sliding_attention") == 5


@of_every_family
def test_an_excerpt_outgrows_the_cache_or_is_the_whole_model(architecture: Architecture) -> None:
    block_bytes = architecture.weight_bytes(Slice(0, 1))

    assert n_copies(architecture, 2**40) == architecture.n_blocks
    assert n_copies(architecture, 1) == (
        1 if architecture.n_windowed in (0, 6) else n_copies(architecture, 2)
    )
    for cache_bytes in (block_bytes // 3, block_bytes // 2):
        assert n_copies(architecture, cache_bytes) * block_bytes >= CACHE_FACTOR * cache_bytes


@of_every_family
def test_passes_of_a_few_blocks_call_all_of_them_in_turn(architecture: Architecture) -> None:
    excerpt = Excerpt(architecture, n_blocks=4)
    blocks = list(excerpt._model.get_submodule(MODULE_PATHS[architecture.family].blocks).children())
    called: list[int] = []
    for number, block in enumerate(blocks):
        block.register_forward_pre_hook(lambda *_, number=number: called.append(number))
    shapes = [PassShape(1, 5, 0), PassShape(1, 1, 12) if architecture.is_causal else PassShape(1, 7, 0)]
    n_called = excerpt.n_called(3)
    for shape in 2 * shapes:
        excerpt.time_pass(shape, 3)
    holder = excerpt._model.get_submodule(MODULE_PATHS[architecture.family].blocks)

    assert n_called == (3 if architecture.n_windowed in (0, architecture.n_blocks) else 4)
    assert called == [k % 4 for k in range(4 * n_called)]
    assert list(holder.children()) == blocks


@of_every_decoder
def test_a_block_called_by_itself_does_what_it_does_in_its_place(architecture: Architecture) -> None:
    """The second block alone, on the states that the first leaves, gives what both give."""
    excerpt = Excerpt(architecture, n_blocks=2)
    if excerpt.n_called(1) > 1:
        pytest.skip("blocks with and without a window are always called together")
    blocks = excerpt._model.get_submodule(MODULE_PATHS[architecture.family].blocks)
    seen: list[dict[str, Any]] = []
    blocks[1].register_forward_pre_hook(lambda _m, _a, given: seen.append(given), with_kwargs=True)
    for n_wanted in (None, 1, 1):  # both; the first; the second
        excerpt.time_pass(PassShape(1, 1, 12), n_wanted)
    together, alone = seen

    assert together.keys() == alone.keys()
    for name in ("position_ids", "cache_position"):
        if together.get(name) is not None:
            assert torch.equal(together[name], alone[name])
    assert (together.get("attention_mask") is None) == (alone.get("attention_mask") is None)


@of_every_decoder
def test_steps_cost_no_blocks_that_are_not_called(excerpt: Excerpt, architecture: Architecture) -> None:
    blocks = list(excerpt._model.get_submodule(MODULE_PATHS[architecture.family].blocks).children())
    called: list[int] = []
    for number, block in enumerate(blocks):
        block.register_forward_pre_hook(lambda *_, number=number: called.append(number))
    excerpt.time_steps(PassShape(2, 8, 0), 1)

    assert called == 5 * list(range(excerpt.n_called(1)))
