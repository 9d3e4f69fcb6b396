"""The `quantization_config` of a config: bytes by the tensors that libraries write, and what is refused."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from small_models import LLAMA

from edgesim.errors import InputError
from edgesim.model.architecture import Architecture, Component, Slice
from edgesim.model.ceilings import Ceilings
from edgesim.model.profile import Profile
from edgesim.model.scaling import AnalyticTiming, ScaledTiming
from edgesim.model.sharding import to_heads

LLAMA_2_7B = {
    "model_type": "llama",
    "hidden_size": 4096,
    "intermediate_size": 11008,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 32,
    "vocab_size": 32000,
    "max_position_embeddings": 4096,
    "tie_word_embeddings": False,
}
H, KEYS, MLP, N_BLOCKS, VOCABULARY = 64, 16, 160, 6, 500  # of the small LLAMA
SHAPES = {
    "self_attn.q_proj": (H, H),
    "self_attn.k_proj": (H, KEYS),
    "self_attn.v_proj": (H, KEYS),
    "self_attn.o_proj": (H, H),
    "mlp.gate_proj": (H, MLP),
    "mlp.up_proj": (H, MLP),
    "mlp.down_proj": (MLP, H),
}
"""Inputs and outputs."""
Tensors = Callable[[int, int], Iterable[tuple[int, int]]]
"""(n_in, n_out) -> the number of entries and the bytes of one, of every tensor that is stored."""


def read(quantisation: object, config: dict[str, Any] = LLAMA, **facts: Any) -> Architecture:
    said = {**config, "quantization_config": quantisation}
    return Architecture.from_config(said, name="packed", dtype=facts.pop("dtype", "float16"), **facts)


def words(n: int, bits: int) -> int:
    return math.ceil(n * bits / 32)


def awq(bits: int, group: int, zeros: bool = True) -> Tensors:
    def tensors(n_in: int, n_out: int) -> Iterable[tuple[int, int]]:
        n_groups = math.ceil(n_in / group)
        yield n_in * words(n_out, bits), 4  # qweight
        yield n_groups * n_out, 2  # scales
        if zeros:
            yield n_groups * words(n_out, bits), 4  # qzeros

    return tensors


def gptq(bits: int, group: int) -> Tensors:
    def tensors(n_in: int, n_out: int) -> Iterable[tuple[int, int]]:
        n_groups = 1 if group == -1 else math.ceil(n_in / group)
        yield words(n_in, bits) * n_out, 4  # qweight
        yield n_groups * n_out, 2  # scales
        yield n_groups * n_out * bits // 8, 1  # qzeros: whole words, for n_out comes in multiples of 32
        yield n_in, 4  # g_idx

    return tensors


def nf4(n_in: int, n_out: int) -> Iterable[tuple[int, int]]:
    yield n_in * n_out // 2, 1
    yield math.ceil(n_in * n_out / 64), 4  # absmax


def nf4_twice(n_in: int, n_out: int) -> Iterable[tuple[float, int]]:
    n_maxima = math.ceil(n_in * n_out / 64)
    yield n_in * n_out // 2, 1
    yield n_maxima, 1
    yield n_maxima / 256, 4  # which the small matrices begin, and do not fill


def int8(n_in: int, n_out: int) -> Iterable[tuple[int, int]]:
    yield n_in * n_out, 1
    yield n_out, 4  # SCB


def fp8(rows: int, columns: int) -> Tensors:
    def tensors(n_in: int, n_out: int) -> Iterable[tuple[int, int]]:
        yield n_in * n_out, 1
        yield math.ceil(n_out / rows) * math.ceil(n_in / columns), 4  # weight_scale_inv

    return tensors


def fp8_whole(n_in: int, n_out: int) -> Iterable[tuple[int, int]]:
    yield n_in * n_out, 1
    yield 1, 4
    yield 1, 4  # of activations, where they are static


def per_output(scale_bytes: int) -> Tensors:
    return lambda n_in, n_out: [(n_in * n_out, 1), (n_out, scale_bytes)]


def hqq(n_in: int, n_out: int) -> Iterable[tuple[int, int]]:
    yield n_in * n_out // 2, 1
    yield n_in * n_out // 64, 2  # scale
    yield n_in * n_out // 64, 2  # zero


def compressed_int4(n_in: int, n_out: int) -> Iterable[tuple[int, int]]:
    yield math.ceil(n_in / 8) * n_out, 4  # weight_packed
    yield math.ceil(n_in / 32) * n_out, 2  # weight_scale
    yield 2, 8  # weight_shape


def nvfp4(n_in: int, n_out: int) -> Iterable[tuple[int, int]]:
    yield n_in * n_out // 2, 1
    yield math.ceil(n_in / 16) * n_out, 1
    yield 2, 4


def in_group(weights: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "quant_method": "compressed-tensors",
        "config_groups": {"group_0": {"targets": ["Linear"], "weights": weights}},
        "ignore": ["lm_head"],
        **more,
    }


BNB = {
    "quant_method": "bitsandbytes",
    "load_in_8bit": False,
    "load_in_4bit": True,
    "bnb_4bit_quant_type": "nf4",
}
INT4 = {"num_bits": 4, "type": "int", "strategy": "group", "group_size": 32, "symmetric": True}
FP8_CHANNEL = {"num_bits": 8, "type": "float", "strategy": "channel", "symmetric": True}
FORMATS: dict[str, tuple[dict[str, Any], Any]] = {
    "awq": ({"quant_method": "awq", "bits": 4, "group_size": 32, "zero_point": True}, awq(4, 32)),
    "awq, old keys": ({"quant_method": "AWQ", "w_bit": 4, "q_group_size": 16}, awq(4, 16)),
    "awq, symmetric": (
        {"quant_method": "awq", "bits": 4, "group_size": 32, "zero_point": False},
        awq(4, 32, zeros=False),
    ),
    "gptq": ({"quant_method": "gptq", "bits": 4, "group_size": 32, "desc_act": True}, gptq(4, 32)),
    "gptq, columns": ({"quant_method": "gptq", "bits": 8, "group_size": -1, "sym": True}, gptq(8, -1)),
    "gptq, 3 bits": ({"quant_method": "gptq", "bits": 3, "group_size": 128}, gptq(3, 128)),
    "auto-round": (
        {
            "quant_method": "intel/auto-round",
            "bits": 4,
            "group_size": 32,
            "packing_format": "auto_round:auto_gptq",
        },
        gptq(4, 32),
    ),
    "nf4": (BNB, nf4),
    "nf4, twice": ({**BNB, "bnb_4bit_use_double_quant": True}, nf4_twice),
    "fp4, nameless": ({"load_in_4bit": True}, nf4),
    "int8": ({"quant_method": "bitsandbytes", "load_in_8bit": True}, int8),
    "fp8, blocks": ({"quant_method": "fp8", "weight_block_size": [32, 128]}, fp8(32, 128)),
    "fp8, whole": ({"quant_method": "fp8", "activation_scheme": "static"}, fp8_whole),
    "fbgemm_fp8": ({"quant_method": "fbgemm_fp8"}, per_output(4)),
    "eetq": ({"quant_method": "eetq", "weights": "int8"}, per_output(2)),
    "hqq": (
        {
            "quant_method": "hqq",
            "quant_config": {"weight_quant_params": {"nbits": 4, "group_size": 64, "axis": 1}},
            "skip_modules": ["lm_head"],
        },
        hqq,
    ),
    "bitnet": ({"quant_method": "bitnet"}, lambda n_in, n_out: [(n_in * n_out // 4, 1), (1, 2)]),
    "packed int4": (in_group(INT4, format="pack-quantized"), compressed_int4),
    "float": (in_group(FP8_CHANNEL, format="float-quantized"), per_output(2)),
    "nvfp4": (
        in_group(
            {"num_bits": 4, "type": "float", "strategy": "tensor_group", "group_size": 16},
            format="nvfp4-pack-quantized",
        ),
        nvfp4,
    ),
}


def packed_bytes(tensors: Any, names: Iterable[str] = tuple(SHAPES)) -> float:
    return sum(n * size for name in names for n, size in tensors(*SHAPES[name]))


def plain_bytes(names: Iterable[str] = ()) -> int:
    """Two norms of a block, and matrices that are not packed."""
    return 2 * (2 * H + sum(math.prod(SHAPES[name]) for name in names))


ENDS_BYTES = 2 * (2 * VOCABULARY * H + H)  # embedding, head and last norm, all in 16 bits


@pytest.mark.parametrize("name", FORMATS)
def test_a_model_takes_the_bytes_of_the_tensors_that_are_written(name: str) -> None:
    said, tensors = FORMATS[name]
    model = read(said)
    block_bytes = packed_bytes(tensors) + plain_bytes()
    assert model.component_bytes(Component.BLOCK) == pytest.approx(block_bytes, rel=1e-12)
    assert model.weight_bytes(model.whole) == math.ceil(N_BLOCKS * block_bytes + ENDS_BYTES)
    assert model.weight_bytes(Slice(2, 4)) == math.ceil(2 * block_bytes)
    assert model.weight_bytes(Slice(0, 0, embedding=True)) == 2 * VOCABULARY * H
    assert model.kv_bytes_per_token() == 2 * KEYS * 2
    assert model.plain == Architecture.from_config(LLAMA, name="packed", dtype="float16")
    assert model.digest != model.plain.digest
    assert model.bytes_per_weight == pytest.approx(
        model.weight_bytes(model.whole) / model.n_parameters, rel=1e-5
    )


@pytest.mark.parametrize(
    ("said", "gigabytes"),
    [
        # The files' sizes on the Hugging Face Hub, from memory, not read again.
        ({"quant_method": "awq", "bits": 4, "group_size": 128, "zero_point": True, "version": "gemm"}, 3.89),
        ({"quant_method": "gptq", "bits": 4, "group_size": 128, "desc_act": False}, 3.90),
        ({"quant_method": "gptq", "bits": 4, "group_size": 32, "desc_act": True}, 4.28),
        ({"quant_method": "gptq", "bits": 8, "group_size": 128, "desc_act": True}, 7.16),
    ],
)
def test_published_checkpoints_have_their_size(said: dict[str, Any], gigabytes: float) -> None:
    """TheBloke/Llama-2-7B-AWQ and -GPTQ: main, gptq-4bit-32g-actorder_True, gptq-8bit-128g-actorder_True.

    Shown to 0.01 GB. AutoGPTQ wrote a bias of zeros for every matrix, 2.7 MB in all, which no model needs.
    """
    model = read(said, LLAMA_2_7B)
    n_bias_bytes = 2 * 32 * (5 * 4096 + 2 * 11008) if said["quant_method"] == "gptq" else 0
    told = (model.weight_bytes(model.whole) + n_bias_bytes) / 1e9
    assert told == pytest.approx(gigabytes, abs=0.005)


def test_llama_2_7b_in_awq_by_hand() -> None:
    n_packed = 32 * (4 * 4096 * 4096 + 3 * 4096 * 11008)
    n_plain = 2 * 32000 * 4096 + 65 * 4096
    model = read({"quant_method": "awq", "bits": 4, "group_size": 128}, LLAMA_2_7B)
    by_hand = n_packed // 2 + n_packed // 128 * 2 + n_packed // 256 + 2 * n_plain
    assert model.weight_bytes(model.whole) == by_hand == 3_889_307_648


# --- which modules -------------------------------------------------------------------------------

AWQ = FORMATS["awq"][0]


@pytest.mark.parametrize(
    ("patterns", "kept"),
    [
        (["mlp.down_proj"], ["mlp.down_proj"]),
        (["self_attn"], [name for name in SHAPES if name.startswith("self_attn")]),
        (["model.vision_tower", "multi_modal_projector", "lm_head"], []),
        ([f"model.layers.{block}.mlp.up_proj" for block in range(N_BLOCKS)], ["mlp.up_proj"]),
        ([f"model.language_model.layers.{b}.mlp.up_proj" for b in range(N_BLOCKS)], ["mlp.up_proj"]),
        (["language_model"], list(SHAPES)),
        ([r"model.layers.\d+.self_attn.k_proj"], ["self_attn.k_proj"]),
        (["layers.1"], None),
        (["model.layers.0.mlp"], None),
    ],
)
def test_exempt_modules_keep_the_number_format(patterns: list[str], kept: list[str] | None) -> None:
    said = {**AWQ, "modules_to_not_convert": patterns}
    if kept is None:
        with pytest.raises(InputError, match=r"packed differently in 1 of 6 blocks"):
            read(said)
        return
    packed = [name for name in SHAPES if name not in kept]
    expected = packed_bytes(FORMATS["awq"][1], packed) + plain_bytes(kept)
    assert read(said).component_bytes(Component.BLOCK) == pytest.approx(expected, rel=1e-12)


def test_groups_of_modules_have_formats_of_their_own() -> None:
    said = {
        "quant_method": "compressed-tensors",
        "format": "mixed-precision",
        "config_groups": {
            "group_0": {"targets": ["re:.*self_attn.*"], "weights": FP8_CHANNEL, "format": "float-quantized"},
            "group_1": {"targets": ["Linear"], "weights": INT4, "format": "pack-quantized"},
        },
        "ignore": ["lm_head", "re:.*k_proj"],
    }
    attention = [name for name in SHAPES if name.startswith("self_attn") and "k_proj" not in name]
    mlp = [name for name in SHAPES if name.startswith("mlp")]
    expected = packed_bytes(per_output(2), attention) + packed_bytes(compressed_int4, mlp)
    told = read(said).component_bytes(Component.BLOCK)
    assert told == pytest.approx(expected + plain_bytes(["self_attn.k_proj"]), rel=1e-12)


HEAD_INT8 = VOCABULARY * (H + 4) + 2 * H


@pytest.mark.parametrize(
    ("said", "ties", "head_bytes"),
    [
        ({"quant_method": "bitsandbytes", "load_in_8bit": True}, False, 2 * (VOCABULARY + 1) * H),
        # As in transformers, a list of exempt modules stands in the place of the default, the head.
        (
            {"quant_method": "bitsandbytes", "load_in_8bit": True, "llm_int8_skip_modules": []},
            False,
            HEAD_INT8,
        ),
        ({"quant_method": "bitsandbytes", "load_in_8bit": True, "llm_int8_skip_modules": []}, True, None),
        ({**AWQ, "modules_to_not_convert": []}, False, None),
        ({"quant_method": "gptq", "bits": 8, "group_size": -1, "lm_head": False}, False, None),
        (
            {"quant_method": "gptq", "bits": 8, "group_size": -1, "lm_head": True},
            False,
            VOCABULARY * (H + 3) + 4 * H + 2 * H,
        ),
        (in_group(FP8_CHANNEL, format="float-quantized", ignore=[]), False, VOCABULARY * (H + 2) + 2 * H),
    ],
)
def test_the_head_is_packed_only_where_the_config_says_so(
    said: dict[str, Any], ties: bool, head_bytes: int | None
) -> None:
    model = read(said, LLAMA | {"tie_word_embeddings": ties})
    expected = 2 * (VOCABULARY + 1) * H if head_bytes is None else head_bytes
    assert model.component_bytes(Component.HEAD) == pytest.approx(expected, rel=1e-12)
    if ties:  # one matrix, in 16 bits, counts once
        ends = model.weight_bytes(Slice(0, 0, embedding=True, head=True))
        assert ends == 2 * (VOCABULARY + 1) * H


def test_modules_that_alone_are_packed() -> None:
    said = {
        "quant_method": "gptq",
        "bits": 4,
        "group_size": 32,
        "modules_in_block_to_quantize": [["mlp.up_proj", "mlp.gate_proj"], ["mlp.down_proj"]],
    }
    mlp = [name for name in SHAPES if name.startswith("mlp")]
    expected = packed_bytes(gptq(4, 32), mlp) + plain_bytes(set(SHAPES) - set(mlp))
    assert read(said).component_bytes(Component.BLOCK) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("is_nested", [True, False])
def test_a_model_that_also_sees_may_say_it_in_either_place(is_nested: bool) -> None:
    text = {**LLAMA, **({"quantization_config": AWQ} if is_nested else {})}
    config: dict[str, Any] = {"model_type": "llava", "text_config": text}
    if not is_nested:
        config["quantization_config"] = AWQ
    model = Architecture.from_config(config, name="packed", dtype="float16")
    assert model.weight_bytes(model.whole) == read(AWQ).weight_bytes(model.whole)
    assert "quant" not in model.config


# --- what is not read ----------------------------------------------------------------------------

REFUSED: dict[str, tuple[object, str]] = {
    "no method": ({"bits": 4}, "quant_method is missing; expected one of awq, gptq"),
    "unknown": ({"quant_method": "quip", "bits": 2}, "quant_method is 'quip'; expected one of"),
    "kindred": ({"quant_method": "aqlm", "nbits_per_codebook": 16}, "'aqlm'"),
    "torchao": ({"quant_method": "torchao", "quant_type": {"default": {}}}, "'torchao'"),
    "no object": ("awq", "expected an object"),
    "no bits": ({"quant_method": "gptq", "group_size": 128}, "bits is missing; expected one of 2, 3, 4, 8"),
    "bits that are no whole number": (
        {"quant_method": "awq", "bits": 4.0, "group_size": 128},
        "bits is 4.0; expected one of 2, 3, 4, 8, a whole number",
    ),
    "odd bits": ({"quant_method": "awq", "bits": 5, "group_size": 128}, "bits is 5"),
    "true bits": ({"quant_method": "awq", "bits": True, "group_size": 128}, "bits is True"),
    "no group": ({"quant_method": "awq", "bits": 4}, "group_size is missing"),
    "group of 0": ({"quant_method": "awq", "bits": 4, "group_size": 0}, "group_size is 0"),
    "dynamic": (
        {"quant_method": "gptq", "bits": 4, "group_size": 128, "dynamic": {"+:.*up_proj": {"bits": 8}}},
        "dynamic is .*; separate rules for some modules or blocks are not supported",
    ),
    "extra": (
        {
            "quant_method": "auto-round",
            "bits": 4,
            "group_size": 128,
            "extra_config": {"lm_head": {"bits": 8}},
        },
        "extra_config",
    ),
    "neither": ({"quant_method": "bitsandbytes"}, "either load_in_4bit or load_in_8bit"),
    "both": ({**BNB, "load_in_8bit": True}, "either load_in_4bit or load_in_8bit"),
    "odd nf": ({**BNB, "bnb_4bit_quant_type": "nf5"}, "bnb_4bit_quant_type is 'nf5'"),
    "block": ({"quant_method": "fp8", "weight_block_size": [128]}, "weight_block_size"),
    "hqq by layer": ({"quant_method": "hqq", "quant_config": {"mlp.up_proj": {}}}, "weight_quant_params"),
    "dense": (in_group(INT4, format="dense"), "format is 'dense'"),
    "sparse": (
        in_group(INT4, format="pack-quantized", sparsity_config={"format": "sparse-24-bitmask"}),
        "sparsity_config",
    ),
    "strategy": (in_group({**INT4, "strategy": "token"}, format="pack-quantized"), "strategy is 'token'"),
    "no groups": ({"quant_method": "compressed-tensors", "config_groups": {}}, "no group with weights"),
    "some blocks": ({"quant_method": "fbgemm_fp8", "modules_to_not_convert": ["model.layers.0"]}, "blocks"),
    "regex": ({**AWQ, "modules_to_not_convert": ["re:["]}, "not a regular expression"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_understood_is_refused_with_what_to_do(name: str) -> None:
    said, why = REFUSED[name]
    with pytest.raises(InputError, match=why) as caught:
        read(said)
    told = str(caught.value)
    assert told.startswith("model packed: quantization_config in its config: ")
    assert "'weights:' (q40, q80, int8 or int4)" in told
    assert "\n" not in told
    assert read(said, reads_quantisation=False).storage is None


@pytest.mark.parametrize("said", [None, {"quant_method": "fp8", "dequantize": True}])
def test_what_is_not_quantised_is_plain(said: object) -> None:
    assert read(said) == read(None, reads_quantisation=False)


# --- what it is charged for ----------------------------------------------------------------------

DECODE = {"batch": 1, "n_new": 1, "n_context": 16}


@pytest.mark.parametrize("component", [Component.ATTENTION, Component.MLP, Component.BLOCK, Component.HEAD])
def test_a_call_reads_what_is_stored(component: Component) -> None:
    model = read(AWQ)
    packed, plain = (each.work(component, **DECODE) for each in (model, model.plain))
    saved = model.plain.component_bytes(component) - model.component_bytes(component)
    assert plain.moved_bytes - packed.moved_bytes == pytest.approx(saved)
    assert packed.flop == plain.flop
    assert (saved > 0) == (component is not Component.HEAD)


def test_equal_and_unequal_shards_hold_their_part_of_the_packed_matrices() -> None:
    """Groups of 8 divide every shard's inputs, so that two shards hold the block but for its norms twice."""
    model = read({"quant_method": "awq", "bits": 4, "group_size": 8})
    whole, half = (each.component_bytes(Component.BLOCK) for each in (model, model.shard(2)))
    assert 2 * half == pytest.approx(whole + plain_bytes())
    unequal = to_heads([3, 1], model)
    held = sum(shard.weight_bytes(Slice(0, 1)) for shard in unequal)
    n_kv_twice = held - (whole + plain_bytes())
    assert 0 <= n_kv_twice <= 2 * packed_bytes(awq(4, 8), ["self_attn.k_proj", "self_attn.v_proj"])


def test_analytic_and_scaled_decoding_is_as_much_quicker_as_its_bytes(profile: Profile) -> None:
    """Where memory binds and nothing else costs, times are in the proportion of the bytes moved."""
    slow = Ceilings(flop_per_s=1e15, bytes_per_s=2e8, overhead_s=0.0)
    packed = read(AWQ, dtype="bfloat16")
    plain = packed.plain
    assert plain.digest == profile.architecture.digest
    bytes_ratio = (
        packed.work(Component.MLP, **DECODE).moved_bytes / plain.work(Component.MLP, **DECODE).moved_bytes
    )
    assert bytes_ratio < 0.4
    pairs: list[tuple[Any, Any]] = [
        (AnalyticTiming(packed, slow), AnalyticTiming(plain, slow)),
        (ScaledTiming(profile, slow, packed), ScaledTiming(profile, slow, plain)),
    ]
    for small, large in pairs:
        small_s, large_s = (each.component_seconds(Component.MLP, **DECODE) for each in (small, large))
        assert float(small_s / large_s) == pytest.approx(bytes_ratio)
    assert ScaledTiming(profile, profile.ceilings, packed).seconds(
        packed.whole, **DECODE
    ) < profile.timing().seconds(packed.whole, **DECODE)
