"""Supported transformer families, one description each.

A family corresponds to a `model_type` of transformers: models that one class builds from their config. Its
description gives the config's names of the sizes, and the optional parts of the blocks in addition to the
matrices that every transformer has. Formulas and measurements use only these descriptions; a new family
requires one more entry here (and the locations of its modules in `edgesim.measure.places`). Each description
was compared with transformers' own classes, parameter by parameter.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

__all__ = ["FAMILIES", "Family"]

_USUAL_KEYS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "n_blocks": ("num_hidden_layers",),
        "hidden_size": ("hidden_size",),
        "n_heads": ("num_attention_heads",),
        "n_kv_heads": ("num_key_value_heads",),
        "head_dim": ("head_dim",),
        "mlp_size": ("intermediate_size",),
        "vocab_size": ("vocab_size",),
        "max_context": ("max_position_embeddings",),
    }
)

Trait = bool | str
"""Whether a family has a feature: always, never, or according to the config flag of this name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """Common properties of the models of one `model_type`.

    Attributes
    ----------
    name
        transformers' `model_type`.
    is_causal
        Whether the model is a decoder: a token attends to earlier tokens only, and the model generates. An
        encoder reads a text in one pass, each token attends to all, and the answer is computed from the
        first token's state.
    keys
        Config names of sizes with other names than usual, the family's own first.
    defaults
        transformers' values for missing keys. Published configs omit keys with these values, as does the
        language model's part of configs with image or audio input.
    has_own_head_dim
        Whether the config may state the head size; else it is the hidden size over the number of heads.
    has_kv_heads
        Whether several query heads may share a key and a value (grouped-query attention).
    mlp_multiple
        Default width of the MLP, in hidden sizes; None: the config must state the width.
    has_gate
        Whether the MLP has two input matrices, one of which gates the other.
    norms_shift
        Whether normalisations have a shift as well as a scale (LayerNorm; RMSNorm has a scale only).
    norms_learn
        Whether normalisations have weights at all.
    n_norms
        Number of normalisations of the hidden state: before the first block, in the attention half of a
        block, in its MLP half, and in the head.
    qk_norm
        Whether the queries and keys of each head are normalised, with weights shared by the heads.
    qkv_bias, out_bias, mlp_bias
        Whether the projections to queries, keys and values, the output projection, and the MLP's matrices
        have a bias.
    has_head_bias
        Whether the vocabulary matrix has a bias.
    has_positions
        Whether there is a table of position embeddings (else: rotary embeddings, no weights).
    n_spare_positions
        Rows of that table beyond the longest text (two in OPT).
    positions_behind_padding
        Whether positions are counted from after the padding token's index, as in RoBERTa: the rows up to it
        are not used for text.
    ties_embeddings
        Whether embedding and head share their matrix by default.
    window
        Blocks with a sliding window if the config states its length and does not list the blocks' kinds:
        ``all``; ``upper``, those from `max_window_layers` on; ``alternate``, every other from the first;
        ``pattern``, all but every `sliding_window_pattern`-th; ``none``.
    states_reach
        Whether `max_position_embeddings` already includes the extension of rotary embeddings, for any factor.
    needs
        Required values of keys, if present in a config; other variants are not supported.
    blocks, head
        Module names of the list of blocks and of the vocabulary matrix.
    attention_in, attention_out, mlp_in, mlp_out
        Module names of the linear maps in a block: to queries, keys and values (three, or one for all), and
        the output projection; into the MLP (two with a gate, or one for both), and out of it.
    """

    name: str
    is_causal: bool = True
    keys: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    defaults: Mapping[str, object] = field(default_factory=dict)
    has_own_head_dim: bool = True
    has_kv_heads: bool = True
    mlp_multiple: int | None = None
    has_gate: bool = True
    norms_shift: bool = False
    norms_learn: Trait = True
    n_norms: tuple[int, int, int, int] = (0, 1, 1, 1)
    qk_norm: Trait = False
    qkv_bias: Trait = False
    out_bias: Trait = False
    mlp_bias: Trait = False
    has_head_bias: bool = False
    has_positions: bool = False
    n_spare_positions: int = 0
    positions_behind_padding: bool = False
    ties_embeddings: bool = False
    window: str = "none"
    states_reach: bool = False
    needs: Mapping[str, object] = field(default_factory=dict)
    blocks: str = "model.layers"
    head: str = "lm_head"
    attention_in: tuple[str, ...] = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj")
    attention_out: str = "self_attn.o_proj"
    mlp_in: tuple[str, ...] = ("mlp.gate_proj", "mlp.up_proj")
    mlp_out: str = "mlp.down_proj"

    def names_of(self, size: str) -> tuple[str, ...]:
        """Config names of a size, the family's own first."""
        own = self.keys.get(size, ())
        return (*own, *(name for name in _USUAL_KEYS[size] if name not in own))

    def config(self, **sizes: int) -> dict[str, object]:
        """Build a config with these sizes, such as ``n_blocks=2``, omitting those the family lacks."""
        if not self.has_own_head_dim:
            sizes.pop("head_dim", None)
        if not self.has_kv_heads:
            sizes.pop("n_kv_heads", None)
        return {"model_type": self.name, **{self.names_of(size)[0]: value for size, value in sizes.items()}}


def _sizes(
    n_blocks: int,
    hidden_size: int,
    n_heads: int,
    mlp_size: int,
    vocab_size: int,
    max_context: int,
    *,
    mlp: str = "intermediate_size",
) -> Mapping[str, object]:
    """Default sizes of a family's class in transformers, by config key."""
    return {
        "num_hidden_layers": n_blocks,
        "hidden_size": hidden_size,
        "num_attention_heads": n_heads,
        mlp: mlp_size,
        "vocab_size": vocab_size,
        "max_position_embeddings": max_context,
    }


_LLAMA = Family(
    name="llama",
    defaults={
        **_sizes(32, 4096, 32, 11008, 32_000, 2048),
        "attention_bias": False,
        "mlp_bias": False,
    },
    qkv_bias="attention_bias",
    out_bias="attention_bias",
    mlp_bias="mlp_bias",
)
_MISTRAL = Family(
    name="mistral",
    defaults={
        **_sizes(32, 4096, 32, 14336, 32_000, 131_072),
        "num_key_value_heads": 8,
        "sliding_window": 4096,
    },
    window="all",
)
_QWEN2 = Family(
    name="qwen2",
    defaults={
        **_sizes(32, 4096, 32, 22016, 151_936, 32_768),
        "num_key_value_heads": 32,
        "use_sliding_window": False,
        "sliding_window": 4096,
        "max_window_layers": 28,
    },
    qkv_bias=True,
    window="upper",
)
_QWEN3 = replace(
    _QWEN2,
    name="qwen3",
    defaults={**_QWEN2.defaults, "head_dim": 128, "attention_bias": False},
    qkv_bias="attention_bias",
    out_bias="attention_bias",
    qk_norm=True,
)
_GEMMA = Family(
    name="gemma",
    defaults={
        **_sizes(28, 3072, 16, 24576, 256_000, 8192),
        "num_key_value_heads": 16,
        "head_dim": 256,
        "attention_bias": False,
    },
    qkv_bias="attention_bias",
    out_bias="attention_bias",
    ties_embeddings=True,
    needs={"use_bidirectional_attention": False},
)
_GEMMA2 = replace(
    _GEMMA,
    name="gemma2",
    defaults={
        **_GEMMA.defaults,
        **_sizes(26, 2304, 8, 9216, 256_000, 8192),
        "num_key_value_heads": 4,
        "sliding_window": 4096,
    },
    n_norms=(0, 2, 2, 1),
    window="alternate",
)
_GEMMA3 = replace(
    _GEMMA2,
    name="gemma3_text",
    defaults={
        **_GEMMA2.defaults,
        **_sizes(26, 2304, 8, 9216, 262_208, 131_072),
        "sliding_window_pattern": 6,
    },
    qk_norm=True,
    window="pattern",
    states_reach=True,
)
_PHI = Family(
    name="phi",
    defaults=_sizes(24, 2048, 32, 8192, 51_200, 2048),
    has_gate=False,
    norms_shift=True,
    n_norms=(0, 1, 0, 1),  # attention and MLP run in parallel on one normalised input
    qkv_bias=True,
    out_bias=True,
    mlp_bias=True,
    has_head_bias=True,
    needs={"qk_layernorm": False},  # published Phi models have none
    attention_out="self_attn.dense",
    mlp_in=("mlp.fc1",),
    mlp_out="mlp.fc2",
)
_PHI3 = Family(
    name="phi3",
    defaults=_sizes(32, 3072, 32, 8192, 32_064, 4096),
    window="all",
    attention_in=("self_attn.qkv_proj",),
    mlp_in=("mlp.gate_up_proj",),
)
_GPT2 = Family(
    name="gpt2",
    keys={
        "n_blocks": ("n_layer",),
        "hidden_size": ("n_embd",),
        "n_heads": ("n_head",),
        "mlp_size": ("n_inner",),
        "max_context": ("n_positions",),
    },
    defaults={"n_layer": 12, "n_embd": 768, "n_head": 12, "vocab_size": 50_257, "n_positions": 1024},
    has_own_head_dim=False,
    has_kv_heads=False,
    mlp_multiple=4,
    has_gate=False,
    norms_shift=True,
    qkv_bias=True,
    out_bias=True,
    mlp_bias=True,
    has_positions=True,
    ties_embeddings=True,
    needs={"add_cross_attention": False},
    blocks="transformer.h",
    attention_in=("attn.c_attn",),
    attention_out="attn.c_proj",
    mlp_in=("mlp.c_fc",),
    mlp_out="mlp.c_proj",
)
_OPT = Family(
    name="opt",
    keys={"mlp_size": ("ffn_dim",)},
    defaults={
        **_sizes(12, 768, 12, 3072, 50_272, 2048, mlp="ffn_dim"),
        "enable_bias": True,
        "layer_norm_elementwise_affine": True,
    },
    has_own_head_dim=False,
    has_kv_heads=False,
    has_gate=False,
    norms_shift=True,
    norms_learn="layer_norm_elementwise_affine",
    qkv_bias="enable_bias",
    out_bias="enable_bias",
    mlp_bias="enable_bias",
    has_positions=True,
    n_spare_positions=2,
    ties_embeddings=True,
    # Only OPT-350m normalises after its halves and projects its embedding.
    needs={
        "do_layer_norm_before": True,
        "_remove_final_layer_norm": False,
        "word_embed_proj_dim": "hidden_size",
    },
    blocks="model.decoder.layers",
    attention_out="self_attn.out_proj",
    mlp_in=("fc1",),
    mlp_out="fc2",
)
_BERT = Family(
    name="bert",
    is_causal=False,
    has_own_head_dim=False,
    has_kv_heads=False,
    has_gate=False,
    defaults={**_sizes(12, 768, 12, 3072, 30_522, 512), "type_vocab_size": 2},
    norms_shift=True,
    n_norms=(1, 1, 1, 0),
    qkv_bias=True,
    out_bias=True,
    mlp_bias=True,
    has_positions=True,
    needs={"is_decoder": False, "add_cross_attention": False},
    blocks="bert.encoder.layer",
    head="classifier",
    attention_in=("attention.self.query", "attention.self.key", "attention.self.value"),
    attention_out="attention.output.dense",
    mlp_in=("intermediate.dense",),
    mlp_out="output.dense",
)
_ROBERTA = replace(
    _BERT,
    name="roberta",
    defaults={**_BERT.defaults, "vocab_size": 50_265, "pad_token_id": 1},
    positions_behind_padding=True,
    blocks="roberta.encoder.layer",
)
_DISTILBERT = replace(
    _BERT,
    name="distilbert",
    keys={
        "n_blocks": ("n_layers",),
        "hidden_size": ("dim",),
        "n_heads": ("n_heads",),
        "mlp_size": ("hidden_dim",),
    },
    defaults={
        "n_layers": 6,
        "dim": 768,
        "n_heads": 12,
        "hidden_dim": 3072,
        "vocab_size": 30_522,
        "max_position_embeddings": 512,
    },
    needs={},
    blocks="distilbert.transformer.layer",
    attention_in=("attention.q_lin", "attention.k_lin", "attention.v_lin"),
    attention_out="attention.out_lin",
    mlp_in=("ffn.lin1",),
    mlp_out="ffn.lin2",
)

FAMILIES: Mapping[str, Family] = MappingProxyType(
    {
        family.name: family
        for family in (
            _LLAMA, _MISTRAL, _QWEN2, _QWEN3, _GEMMA, _GEMMA2, _GEMMA3, _PHI, _PHI3, _GPT2, _OPT,
            _BERT, _ROBERTA, _DISTILBERT,
        )
    }
)  # fmt: skip
"""Supported families, by `model_type`."""
