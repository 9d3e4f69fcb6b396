"""Every family against transformers: parameters of the models that it builds, bytes of their caches."""

from __future__ import annotations

from typing import Any

import pytest
from small_models import SMALL

from edgesim.errors import InputError
from edgesim.model.architecture import Architecture, Component, Slice
from edgesim.model.families import FAMILIES
from edgesim.scenario import catalogue

torch = pytest.importorskip("torch")

VARIANTS: dict[str, dict[str, object]] = {
    **SMALL,
    "llama-tied": SMALL["llama"] | {"tie_word_embeddings": True},
    "llama-biased": SMALL["llama"] | {"attention_bias": True, "mlp_bias": True},
    "llama-usual-heads": SMALL["llama"] | {"head_dim": None},
    "llama-multi-head": SMALL["llama"] | {"num_key_value_heads": None},
    "mistral-unwindowed": SMALL["mistral"] | {"sliding_window": None},
    "qwen2-windowed": SMALL["qwen2"] | {"use_sliding_window": True, "max_window_layers": 4},
    "qwen3-biased": SMALL["qwen3"] | {"attention_bias": True},
    "gemma-untied": SMALL["gemma"] | {"tie_word_embeddings": False},
    "phi-grouped": SMALL["phi"] | {"num_key_value_heads": 4},
    "phi3-tied": SMALL["phi3"] | {"tie_word_embeddings": True},
    "gpt2-untied": SMALL["gpt2"] | {"tie_word_embeddings": False},
    "gpt2-usual-width": SMALL["gpt2"] | {"n_inner": None},
    "opt-unbiased": SMALL["opt"] | {"enable_bias": False},
    "opt-unlearnt-norms": SMALL["opt"] | {"layer_norm_elementwise_affine": False},
    "bert-many-labels": SMALL["bert"] | {"id2label": {str(n): f"label {n}" for n in range(7)}},
    "roberta-one-type": SMALL["roberta"] | {"type_vocab_size": 1, "pad_token_id": 1},
    "distilbert-sines": SMALL["distilbert"] | {"sinusoidal_pos_embds": True},
}
DECODERS = [name for name, config in VARIANTS.items() if FAMILIES[str(config["model_type"])].is_causal]
BLOCKS = {
    "gpt2": "transformer.h",
    "opt": "model.decoder.layers",
    "bert": "bert.encoder.layer",
    "roberta": "roberta.encoder.layer",
    "distilbert": "distilbert.transformer.layer",
}


def read(config: dict[str, object]) -> Architecture:
    return Architecture.from_config(config, name="model", dtype="bfloat16")


def transformers_model(config: dict[str, Any], *, device: str) -> Any:
    """What transformers itself builds from a config."""
    from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    family = config["model_type"]
    auto: Any = AutoModelForCausalLM if FAMILIES[family].is_causal else AutoModelForSequenceClassification
    with torch.device(device):
        model = auto.from_config(CONFIG_MAPPING[family].from_dict(config), dtype=torch.bfloat16)
    model.tie_weights()
    return model


def n_parameters(module: Any) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize("name", VARIANTS)
def test_parameters_are_those_of_the_model_that_transformers_builds(name: str) -> None:
    model = transformers_model(VARIANTS[name], device="meta")
    architecture = read(VARIANTS[name])
    blocks = model.get_submodule(BLOCKS.get(architecture.family, "model.layers"))

    assert architecture.n_parameters == n_parameters(model)
    assert architecture.n_blocks == len(blocks)
    for block in blocks:
        assert architecture.component_parameters(Component.BLOCK) == n_parameters(block)


@pytest.mark.parametrize("name", catalogue.models())
def test_parameters_of_the_catalogue_are_those_that_transformers_builds(name: str) -> None:
    kind = catalogue.model(name)
    model = transformers_model(dict(kind.config), device="meta")

    assert kind.architecture("bfloat16").n_parameters == n_parameters(model)


@pytest.mark.parametrize("name", DECODERS)
def test_kv_bytes_are_those_of_a_real_cache(name: str) -> None:
    model = transformers_model(VARIANTS[name], device="cpu")
    architecture = read(VARIANTS[name])
    with torch.inference_mode():
        cache = model(torch.ones((1, 7), dtype=torch.long), use_cache=True).past_key_values
    parts_bytes = sum(layer.keys.nbytes + layer.values.nbytes for layer in cache.layers)

    assert architecture.kv_bytes_per_token(architecture.n_blocks) * 7 == parts_bytes


@pytest.mark.parametrize("family", ["bert", "roberta", "distilbert"])
def test_an_encoder_keeps_no_cache_and_serves_texts_as_long_as_its_positions(family: str) -> None:
    architecture = read(SMALL[family])
    model = transformers_model(dict(SMALL[family]), device="cpu")
    with torch.inference_mode():
        answer = model(torch.full((1, architecture.max_context), 5))
        with pytest.raises((IndexError, RuntimeError)):
            model(torch.full((1, architecture.max_context + 1), 5))

    assert "past_key_values" not in answer
    assert architecture.kv_bytes_per_token(6) == 0
    assert answer.logits.shape == (1, architecture.n_labels)


@pytest.mark.parametrize(
    ("config", "window", "n_windowed"),
    [
        (SMALL["mistral"] | {"sliding_window": 8}, 8, 6),
        (SMALL["phi3"] | {"sliding_window": 8}, 8, 6),
        (SMALL["qwen2"] | {"sliding_window": 8}, None, 0),
        (SMALL["qwen2"] | {"sliding_window": 8, "use_sliding_window": True, "max_window_layers": 4}, 8, 2),
        (SMALL["gemma2"] | {"sliding_window": 8}, 8, 3),
        (SMALL["gemma3_text"] | {"sliding_window": 8}, 8, 5),
        (SMALL["gemma3_text"] | {"sliding_window": 8, "sliding_window_pattern": 2}, 8, 3),
        (
            SMALL["qwen3"]
            | {
                "sliding_window": 8,
                "use_sliding_window": True,
                "layer_types": ["sliding_attention", *["full_attention"] * 5],
            },
            8,
            1,
        ),
    ],
)
def test_sliding_windows_are_in_the_blocks_whose_cache_transformers_bounds(
    config: dict[str, object], window: int | None, n_windowed: int
) -> None:
    architecture = read(config)
    model = transformers_model(dict(config), device="cpu")
    with torch.inference_mode():
        cache = model(torch.ones((1, 20), dtype=torch.long), use_cache=True).past_key_values
    n_bounded = sum(layer.keys.shape[-2] < 20 for layer in cache.layers)

    assert (architecture.window, architecture.n_windowed) == (window, n_windowed)
    assert n_bounded == n_windowed


PUBLISHED = {
    # Of the checkpoints on the Hugging Face Hub.
    "tinyllama-1.1b": 1_100_048_384,
    "llama-2-7b": 6_738_415_616,
    "llama-2-13b": 13_015_864_320,
    "llama-2-70b": 68_976_648_192,
    "llama-3-8b": 8_030_261_248,
    "llama-3-70b": 70_553_706_496,
    "mistral-7b": 7_241_732_096,
    "qwen2.5-0.5b": 494_032_768,
    "qwen2.5-1.5b": 1_543_714_304,
    "qwen2.5-7b": 7_615_616_512,
    "qwen3-0.6b": 596_049_920,
    "gemma-2b": 2_506_172_416,
    "gemma-3-1b": 999_885_952,
    "phi-2": 2_779_683_840,
    "phi-3-mini": 3_821_079_552,
    "opt-1.3b": 1_315_758_080,
    "gpt2": 124_439_808,
    "gpt2-medium": 354_823_168,
    "gpt2-large": 774_030_080,
    "gpt2-xl": 1_557_611_200,
    # The published encoder and its pooler, plus two labels.
    "bert-base": 109_482_240 + 2 * 769,
    "bert-large": 335_141_888 + 2 * 1025,
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_models_have_their_published_parameters(name: str) -> None:
    assert catalogue.model(name).architecture("float32").n_parameters == PUBLISHED[name]


def test_the_language_model_within_a_multimodal_config_is_read() -> None:
    nested = {
        "model_type": "gemma3",
        "text_config": SMALL["gemma3_text"],
        "vision_config": {"hidden_size": 9},
    }

    assert read(nested) == read(SMALL["gemma3_text"])


def test_what_a_published_multimodal_config_leaves_out_is_transformers_default() -> None:
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    stated = {"hidden_size": 2560, "intermediate_size": 10240, "num_hidden_layers": 34}
    config = {"model_type": "gemma3_text", **stated, "sliding_window": 1024}
    theirs: Any = CONFIG_MAPPING["gemma3_text"].from_dict(config)
    architecture = read({"model_type": "gemma3", "text_config": config})

    assert architecture.n_heads == theirs.num_attention_heads
    assert architecture.n_kv_heads == theirs.num_key_value_heads
    assert architecture.head_dim == theirs.head_dim
    assert architecture.vocab_size == theirs.vocab_size
    assert architecture.n_windowed == theirs.layer_types.count("sliding_attention")


@pytest.mark.parametrize(
    ("config", "key"),
    [
        ({"model_type": "mixtral", "num_local_experts": 8}, "num_local_experts 8"),
        ({"model_type": "qwen2_moe", "num_experts": 60}, "num_experts 60"),
        ({"model_type": "qwen3_moe", "num_experts": 128}, "num_experts 128"),
        ({"model_type": "deepseek_v3", "n_routed_experts": 256}, "n_routed_experts 256"),
        ({"model_type": "llama4", "text_config": {"num_local_experts": 16}}, "num_local_experts 16"),
    ],
)
def test_a_mixture_of_experts_is_refused_with_the_reason(config: dict[str, object], key: str) -> None:
    with pytest.raises(InputError, match=f"{key}, a mixture of experts.*trained router.*dense model"):
        read(config)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (SMALL["opt"] | {"do_layer_norm_before": False}, "do_layer_norm_before is False"),
        (SMALL["opt"] | {"word_embed_proj_dim": 32}, "word_embed_proj_dim is 32"),
        (SMALL["phi"] | {"qk_layernorm": True}, "qk_layernorm is True"),
        (SMALL["bert"] | {"is_decoder": True}, "is_decoder is True"),
        (SMALL["gpt2"] | {"add_cross_attention": True}, "add_cross_attention is True"),
        (SMALL["gemma3_text"] | {"use_bidirectional_attention": True}, "use_bidirectional_attention is True"),
        (
            SMALL["qwen2"] | {"use_sliding_window": True, "layer_types": ["full_attention"]},
            "lists 1 of its 6",
        ),
        (SMALL["roberta"] | {"pad_token_id": "x"}, "pad_token_id is 'x'"),
    ],
)
def test_variants_that_are_not_read_say_what_is_different(config: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        read(config)


@pytest.mark.parametrize("family", FAMILIES)
def test_slices_store_what_the_whole_stores(family: str) -> None:
    architecture = read(SMALL[family])
    parts = [Slice(0, 2, embedding=True), Slice(2, 5), Slice(5, 6, head=True)]
    twice = architecture.vocab_size * architecture.hidden_size * 2 if architecture.tied_embeddings else 0

    assert sum(map(architecture.weight_bytes, parts)) == architecture.weight_bytes(architecture.whole) + twice
