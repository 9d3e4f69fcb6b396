"""Built models against transformers' own counts, and a shard's blocks against those of the whole."""

from __future__ import annotations

from typing import Any

import pytest
from small_models import SMALL

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from edgesim.measure.modules import build  # noqa: E402  torch comes first
from edgesim.measure.places import MODULE_PATHS  # noqa: E402
from edgesim.model.architecture import Architecture, Component  # noqa: E402
from edgesim.model.families import FAMILIES  # noqa: E402

N_SHARDS = (2, 4, 8)
_NOT_WEIGHTS = ("inv_freq",)  # tables of rotary embeddings, one a model


def small(family: str) -> Architecture:
    return Architecture.from_config(SMALL[family], name="small", dtype="float32")


def blocks(model: Any, architecture: Architecture) -> list[Any]:
    return list(model.get_submodule(MODULE_PATHS[architecture.family].blocks).children())


def n_parameters(module: Any) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def test_every_family_has_its_places() -> None:
    assert MODULE_PATHS.keys() == FAMILIES.keys()


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("n_shards", N_SHARDS)
def test_a_shards_blocks_have_the_parameters_that_its_architecture_counts(family: str, n_shards: int) -> None:
    shard = small(family).shard(n_shards)
    built = blocks(build(shard, n_blocks=2, device="cpu"), shard)

    assert len(built) == 2
    for block in built:
        assert n_parameters(block) == shard.component_parameters(Component.BLOCK)


@pytest.mark.parametrize("family", FAMILIES)
def test_linear_maps_have_the_names_and_shapes_that_transformers_gives_them(family: str) -> None:
    """By which a `quantization_config` exempts modules; GPT-2's Conv1D has inputs before outputs."""
    architecture = small(family)
    traits, places = architecture.traits, MODULE_PATHS[family]
    model = build(architecture, n_blocks=1, device="cpu")
    (block,) = blocks(model, architecture)
    told = {matrix.name: {matrix.n_in, matrix.n_out} for matrix in architecture.matrices(Component.BLOCK)}
    linear = [(name, m) for name, m in block.named_modules() if type(m).__name__ in ("Linear", "Conv1D")]
    assert told == {name: set(module.weight.shape) for name, module in linear}
    assert (traits.blocks, traits.head) == (places.blocks, places.end)
    assert (traits.attention_out, traits.mlp_out) == places.summed
    if traits.is_causal:
        ((name, *shape),) = architecture.matrices(Component.HEAD)
        assert set(model.get_submodule(name).weight.shape) == set(shape)


def replaced(config: dict[str, object], how: str) -> Any:
    """A model whose linear maps transformers itself has replaced by quantised ones, without contents."""
    auto = transformers.AutoConfig.for_model(**config)
    with torch.device("meta"):
        model = transformers.AutoModelForCausalLM.from_config(auto, dtype=torch.bfloat16)
        if how == "fp8":
            from transformers.integrations.finegrained_fp8 import replace_with_fp8_linear

            said = transformers.FineGrainedFP8Config(weight_block_size=(32, 128))
            return replace_with_fp8_linear(model, ["lm_head"], said, pre_quantized=True)
        from transformers.integrations.bitnet import replace_with_bitnet_linear

        return replace_with_bitnet_linear(model, ["lm_head"], transformers.BitNetQuantConfig())


@pytest.mark.parametrize(("how", "facts"), [("fp8", {"weight_block_size": [32, 128]}), ("bitnet", {})])
@pytest.mark.parametrize("family", ["llama", "qwen3", "phi3"])
@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")  # torch's own, as it is imported
def test_packed_models_have_the_bytes_of_transformers_own_modules(
    family: str, how: str, facts: dict[str, object]
) -> None:
    config = SMALL[family] | {"tie_word_embeddings": False}
    said = {"quantization_config": {"quant_method": how, **facts}}
    told = Architecture.from_config(config | said, name="small", dtype="bfloat16")
    model = replaced(config, how)
    held = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    n_bytes = sum(tensor.nbytes for name, tensor in held.items() if not name.endswith(_NOT_WEIGHTS))
    assert told.weight_bytes(told.whole) == n_bytes


@pytest.mark.parametrize("family", FAMILIES)
def test_a_shard_takes_and_gives_the_whole_hidden_state(family: str) -> None:
    shard = small(family).shard(2)
    model = build(shard, n_blocks=1, device="cpu")
    seen: list[Any] = []
    blocks(model, shard)[0].register_forward_hook(lambda _m, args, out: seen.extend((args[0], out)))
    with torch.inference_mode():
        model(input_ids=torch.ones((2, 5), dtype=torch.long))
    result = seen[1][0] if isinstance(seen[1], tuple) else seen[1]

    assert seen[0].shape == result.shape == (2, 5, shard.hidden_size)


@pytest.mark.parametrize("key", ["rope_scaling", "rope_parameters"])
def test_a_stretched_rotary_embedding_is_in_nobodys_way(key: str) -> None:
    factors = {"short_factor": [1.0] * 4, "long_factor": [2.0] * 4}
    config = {name: value for name, value in SMALL["phi3"].items() if name != "head_dim"}
    config |= {
        key: {"rope_type": "longrope", "rope_theta": 1e4, **factors},
        "original_max_position_embeddings": 128,
    }
    phi3 = Architecture.from_config(config, name="small", dtype="float32")
    for n_shards in (1, 2):
        shard = phi3.shard(n_shards)
        block = blocks(build(shard, n_blocks=1, device="cpu"), shard)[0]
        assert n_parameters(block) == shard.component_parameters(Component.BLOCK)


@pytest.mark.parametrize("family", [name for name, family in FAMILIES.items() if family.is_causal])
def test_a_shards_cache_holds_its_kv_heads(family: str) -> None:
    for n_shards in N_SHARDS:
        shard = small(family).shard(n_shards)
        model = build(shard, n_blocks=2, device="cpu")
        with torch.inference_mode():
            cache = model(torch.ones((1, 7), dtype=torch.long), use_cache=True).past_key_values
        parts_bytes = sum(layer.keys.nbytes + layer.values.nbytes for layer in cache.layers)

        assert parts_bytes == 7 * shard.kv_bytes_per_token(2)


def test_the_shards_of_an_attention_sum_up_to_the_whole() -> None:
    """With the whole's weights dealt out, the shards' results sum up to the whole's."""
    whole, n_shards = small("llama"), 2
    attention = blocks(build(whole, n_blocks=1, device="cpu"), whole)[0].self_attn
    hidden = torch.randn(1, 5, whole.hidden_size)
    positions = tuple(torch.ones(1, 5, whole.head_dim) for _ in range(2))
    with torch.inference_mode():
        expected = attention(hidden, position_embeddings=positions, attention_mask=None)[0]
        total = torch.zeros_like(expected)
        for index in range(n_shards):
            shard = whole.shard(n_shards)
            part = blocks(build(shard, n_blocks=1, device="cpu"), shard)[0].self_attn
            for name in ("q_proj", "k_proj", "v_proj"):
                weight = getattr(attention, name).weight.chunk(n_shards, dim=0)[index]
                getattr(part, name).weight.copy_(weight)
            part.o_proj.weight.copy_(attention.o_proj.weight.chunk(n_shards, dim=1)[index])
            total += part(hidden, position_embeddings=positions, attention_mask=None)[0]

    torch.testing.assert_close(total, expected)


def test_large_weights_are_ordinary_numbers_though_only_a_stretch_is_drawn() -> None:
    config = SMALL["llama"] | {"vocab_size": 40_000}
    model = build(Architecture.from_config(config, name="large", dtype="bfloat16"), n_blocks=1, device="cpu")
    weight = model.lm_head.weight.detach().float()

    assert weight.numel() > 2**20
    assert weight.std().item() == pytest.approx(0.02, rel=0.01)
    assert weight[-1].abs().max().item() > 0.01


def test_every_large_weight_has_been_filled() -> None:
    """Memory that was never written holds zeros, or anything: no stretch of it may be left."""
    config = SMALL["llama"] | {"vocab_size": 40_000, "tie_word_embeddings": False}
    model = build(Architecture.from_config(config, name="large", dtype="float32"), n_blocks=1, device="cpu")
    large = [p.detach().view(-1) for p in model.parameters() if p.numel() > 2**20]

    assert len(large) == 2
    assert len({weight.data_ptr() for weight in large}) == 2
    for weight in large:
        for part in weight.split(2**18):
            assert part.std().item() == pytest.approx(0.02, rel=0.05)
