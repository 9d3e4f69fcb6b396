"""Paths of modules in each model family: where components begin, and how to cut a shard's attention."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

__all__ = ["MODULE_PATHS", "Attention", "ModulePaths"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Attention:
    """Attention whose number of heads follows from the hidden size, so that its config cannot express fewer.

    Paths are relative to the block.

    Attributes
    ----------
    into
        Projections to queries, keys and values: three, or one for all.
    holder
        The module that divides the projections' results among heads.
    n_heads, width
        Its attributes with the number of heads and, where there is one, the total size of all heads.
    """

    into: tuple[str, ...]
    holder: str
    n_heads: str
    width: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModulePaths:
    """Paths of modules in one family's model.

    Attributes
    ----------
    embedding
        The first module called in a pass.
    blocks
        The list of the blocks.
    second_half
        In a block, the first module of the MLP half.
    summed
        In a block, the two projections back to the hidden size, attention's and the MLP's, where tensor
        parallelism sums its devices' parts.
    head
        The first module of the head.
    end
        The last module of the head.
    attention
        How to cut the heads, where the config cannot.
    """

    embedding: str
    blocks: str
    second_half: str
    summed: tuple[str, str]
    head: str
    end: str = "lm_head"
    attention: Attention | None = None


_LLAMA = ModulePaths(
    embedding="model.embed_tokens",
    blocks="model.layers",
    second_half="post_attention_layernorm",
    summed=("self_attn.o_proj", "mlp.down_proj"),
    head="model.norm",
)
_GEMMA2 = replace(_LLAMA, second_half="pre_feedforward_layernorm")
_PHI = replace(_LLAMA, second_half="mlp", summed=("self_attn.dense", "mlp.fc2"), head="model.final_layernorm")
_GPT2 = ModulePaths(
    embedding="transformer.wte",
    blocks="transformer.h",
    second_half="ln_2",
    summed=("attn.c_proj", "mlp.c_proj"),
    head="transformer.ln_f",
    attention=Attention(into=("attn.c_attn",), holder="attn", n_heads="num_heads", width="split_size"),
)
_OPT = ModulePaths(
    embedding="model.decoder.embed_tokens",
    blocks="model.decoder.layers",
    second_half="final_layer_norm",
    summed=("self_attn.out_proj", "fc2"),
    head="model.decoder.final_layer_norm",
    attention=Attention(
        into=("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
        holder="self_attn",
        n_heads="num_heads",
    ),
)
_BERT_ATTENTION = Attention(
    into=("attention.self.query", "attention.self.key", "attention.self.value"),
    holder="attention.self",
    n_heads="num_attention_heads",
    width="all_head_size",
)
_BERT = ModulePaths(
    embedding="bert.embeddings",
    blocks="bert.encoder.layer",
    second_half="intermediate",
    summed=("attention.output.dense", "output.dense"),
    head="bert.pooler",
    end="classifier",
    attention=_BERT_ATTENTION,
)
_ROBERTA = ModulePaths(
    embedding="roberta.embeddings",
    blocks="roberta.encoder.layer",
    second_half="intermediate",
    summed=("attention.output.dense", "output.dense"),
    head="classifier",
    end="classifier",
    attention=_BERT_ATTENTION,
)
_DISTILBERT = ModulePaths(
    embedding="distilbert.embeddings",
    blocks="distilbert.transformer.layer",
    second_half="ffn",
    summed=("attention.out_lin", "ffn.lin2"),
    head="pre_classifier",
    end="classifier",
    attention=Attention(
        into=("attention.q_lin", "attention.k_lin", "attention.v_lin"),
        holder="attention",
        n_heads="n_heads",
    ),
)

MODULE_PATHS: Mapping[str, ModulePaths] = MappingProxyType(
    {
        "llama": _LLAMA,
        "mistral": _LLAMA,
        "qwen2": _LLAMA,
        "qwen3": _LLAMA,
        "gemma": _LLAMA,
        "gemma2": _GEMMA2,
        "gemma3_text": _GEMMA2,
        "phi": _PHI,
        "phi3": _LLAMA,
        "gpt2": _GPT2,
        "opt": _OPT,
        "bert": _BERT,
        "roberta": _ROBERTA,
        "distilbert": _DISTILBERT,
    }
)
"""Module paths by model family."""
