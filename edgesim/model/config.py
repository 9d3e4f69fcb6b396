"""Reader for Hugging Face configs: model family and sizes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from edgesim.errors import InputError
from edgesim.model.families import FAMILIES, Family, Trait
from edgesim.model.rotary_embedding import rotated_share, stretched_context
from edgesim.model.timed_config import timed_value_problem

__all__ = ["canonical", "family_of", "read_sizes", "text_part"]

# Keys for the checkpoint's origin, weight packing or its authors' code; they do not affect size or speed.
_PROVENANCE_KEYS = frozenset(
    {
        "_name_or_path",
        "architectures",
        "auto_map",
        "dtype",
        "name_or_path",
        "quantization_config",
        "torch_dtype",
        "transformers_version",
    }
)
# Keys for how to run a model; ignored, because edgesim runs every model as its own measurements do.
_RUNTIME_KEYS = frozenset(
    {
        "_attn_implementation",
        "_attn_implementation_internal",
        "_experts_implementation",
        "attn_implementation",
        "chunk_size_feed_forward",
        "gradient_checkpointing",
        "output_attentions",
        "output_hidden_states",
        "return_dict",
        "torchscript",
        "use_bfloat16",
        "use_cache",
        "use_return_dict",
    }
)
_MOST: Mapping[str, int] = {
    "n_blocks": 10_000,
    "hidden_size": 1 << 20,
    "n_heads": 1 << 14,
    "n_kv_heads": 1 << 14,
    "head_dim": 1 << 14,
    "mlp_size": 1 << 24,
    "vocab_size": 1 << 26,
    "max_context": 1_000_000_000,
}
"""Largest accepted sizes, at least ten times those of any published model, to catch typing errors."""
_MOST_OF_OTHERS = 1 << 26
_EXPERT_KEYS = ("num_local_experts", "num_experts", "n_routed_experts", "moe_num_experts")
_N_LABELS = 2  # transformers' own default


def text_part(config: Mapping[str, object]) -> Mapping[str, object]:
    """Return the part that describes a language model: the config itself, or its `text_config`.

    Models with image or audio input keep their language model's config there. The parts before the language
    model (the encoder of images or audio, and its projection) are not read.
    """
    nested, family = config.get("text_config"), config.get("model_type")
    if (isinstance(family, str) and family in FAMILIES) or not isinstance(nested, Mapping):
        return config
    inherited = {key: config[key] for key in ("tie_word_embeddings",) if key in config}
    return inherited | dict(nested)


def canonical(config: Mapping[str, object]) -> str:
    """Return a config as canonical JSON without provenance and runtime keys: equal for equal shapes."""
    left_out = _PROVENANCE_KEYS | _RUNTIME_KEYS
    kept = {key: config[key] for key in sorted(config) if key not in left_out}
    return json.dumps(kept, separators=(",", ":"))


def family_of(config: Mapping[str, object], name: str) -> Family:
    """Return the family of a config.

    Raises
    ------
    InputError
        If the model is a mixture of experts, or its family is not supported.
    """
    experts = [key for key in _EXPERT_KEYS if _exceeds_one(config.get(key))]
    if experts:
        raise InputError(
            f"model {name}: its config has {experts[0]} {_shown(config[experts[0]])}, a mixture of experts. "
            "The experts of a token, and so its cost, depend on the trained router; edgesim measures models "
            "with random weights, whose routing is not representative. Choose a dense model."
        )
    family = config.get("model_type")
    if isinstance(family, str) and family in FAMILIES:
        return FAMILIES[family]
    raise InputError(
        f"model {name}: its config has model_type {_shown(family)}; edgesim supports {', '.join(FAMILIES)}. "
        "Choose a model of one of these families."
    )


def read_sizes(config: Mapping[str, object], name: str) -> dict[str, Any]:
    """Read the fields of an architecture from a config, by field name.

    Raises
    ------
    InputError
        If the family is not supported, or a size is missing or impossible.
    """
    family = family_of(config, name)
    return _Reader(config, name, family).sizes()


class _Reader:
    """Reader of one config by its family's description; error messages name the model and the key."""

    __slots__ = ("_config", "_family", "_name")

    def __init__(self, config: Mapping[str, object], name: str, family: Family) -> None:
        self._config, self._name, self._family = config, name, family

    def sizes(self) -> dict[str, Any]:
        """Read all fields."""
        family = self._family
        self._check_needs()
        self._check_rest()
        hidden_size, n_heads = self.size("hidden_size"), self.size("n_heads")
        n_kv_heads = self.size("n_kv_heads", default=n_heads) if family.has_kv_heads else n_heads
        if n_heads % n_kv_heads:
            raise self.refuse(
                f"num_key_value_heads {n_kv_heads} must divide num_attention_heads {n_heads}; correct either"
            )
        head_dim = self._head_dim(hidden_size, n_heads)
        n_blocks, rows = self.size("n_blocks"), self.size("max_context")
        norm_size = (2 if family.norms_shift else 1) if self.has(family.norms_learn) else 0
        window, n_windowed = self.windows(n_blocks)
        return {
            "family": family.name,
            "n_blocks": n_blocks,
            "hidden_size": hidden_size,
            "n_heads": n_heads,
            "n_kv_heads": n_kv_heads,
            "head_dim": head_dim,
            "mlp_size": self.size(
                "mlp_size", default=family.mlp_multiple and family.mlp_multiple * hidden_size
            ),
            "gated_mlp": family.has_gate,
            "vocab_size": self.size("vocab_size"),
            "max_context": self._max_context(rows),
            "tied_embeddings": family.is_causal and self.flag("tie_word_embeddings", family.ties_embeddings),
            "is_causal": family.is_causal,
            "norms": tuple(n * norm_size * hidden_size for n in family.n_norms),
            "qk_norm": 2 * norm_size * head_dim if self.has(family.qk_norm) else 0,
            "qkv_bias": self.has(family.qkv_bias),
            "out_bias": self.has(family.out_bias),
            "mlp_bias": self.has(family.mlp_bias),
            "head_bias": family.has_head_bias,
            "n_position_rows": rows + family.n_spare_positions if family.has_positions else 0,
            "n_type_rows": self.number("type_vocab_size") if "type_vocab_size" in family.defaults else 0,
            "n_labels": 0 if family.is_causal else self.n_labels(),
            "window": window,
            "n_windowed": n_windowed,
        }

    def _head_dim(self, hidden_size: int, n_heads: int) -> int:
        """Head size: as stated, or the hidden size over the number of heads."""
        family = self._family
        own = self.size("head_dim", default=0) if family.has_own_head_dim else 0
        if not own and hidden_size % n_heads:
            stated = ", or state head_dim" * family.has_own_head_dim
            raise self.refuse(
                f"num_attention_heads {n_heads} must divide hidden_size {hidden_size}; correct either{stated}"
            )
        head_dim = own or hidden_size // n_heads
        if not family.has_positions:
            n_turned = int(head_dim * rotated_share(self._config))
            if n_turned < 2 or n_turned % 2:
                raise self.refuse(
                    f"rotary embeddings rotate {n_turned} of the {head_dim} dimensions of a head, in pairs; "
                    "expected an even number: correct head_dim, hidden_size or num_attention_heads"
                )
        return head_dim

    def _max_context(self, rows: int) -> int:
        """Longest text; with rotary embeddings, including their context extension."""
        if self._family.has_positions:
            longest = rows - self.n_unreached_positions()
            if longest < 1:
                raise self.refuse(
                    f"pad_token_id {self._stated('pad_token_id')!r} leaves none of its {rows} positions; "
                    "correct max_position_embeddings or pad_token_id"
                )
            return longest
        if self._family.states_reach:
            return rows
        try:
            return min(stretched_context(self._config, rows), _MOST["max_context"])
        except ValueError as error:
            raise self.refuse(str(error)) from None

    def size(self, size: str, *, default: int | None = None) -> int:
        """Read a size under the first of its names in the config; null counts as missing."""
        names = self._family.names_of(size)
        for name in names:
            if self._config.get(name) is not None:
                return self.number(name, _MOST[size])
        # transformers applies its default to a missing key, but not to a null.
        known = self._family.defaults.get(names[0])
        if isinstance(known, int) and names[0] not in self._config:
            return known
        if default is None:
            raise self.refuse(f"its config has no {names[0]}; expected a complete Hugging Face config.json")
        return default

    def number(self, key: str, most: int = _MOST_OF_OTHERS) -> int:
        """Read a whole number from 1 to `most`."""
        value = self._stated(key)
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
            raise self.refuse(
                f"{key} is {_shown(value)} in its config; expected a whole number from 1 to {most}"
            )
        return value

    def flag(self, key: str, default: bool) -> bool:
        value = self._config.get(key, default)
        if not isinstance(value, bool):
            raise self.refuse(f"{key} is {_shown(value)} in its config; expected true or false")
        return value

    def has(self, trait: Trait) -> bool:
        """Resolve a trait that is constant in a family, or given by a flag in the config."""
        return trait if isinstance(trait, bool) else self.flag(trait, self._family.defaults[trait] is True)

    def n_unreached_positions(self) -> int:
        if not self._family.positions_behind_padding:
            return 0
        padding = self._stated("pad_token_id")
        n_tokens = self.size("vocab_size")
        if isinstance(padding, bool) or not isinstance(padding, int) or not 0 <= padding < n_tokens:
            raise self.refuse(
                f"pad_token_id is {_shown(padding)} in its config; expected one of its {n_tokens} tokens"
            )
        return padding + 1

    def n_labels(self) -> int:
        named = self._config.get("id2label")
        if isinstance(named, Mapping) and named:
            return len(named)
        return self.number("num_labels") if "num_labels" in self._config else _N_LABELS

    def windows(self, n_blocks: int) -> tuple[int | None, int]:
        """Read the length of the sliding window, and the number of blocks with one."""
        law = self._family.window
        if law == "none" or (law == "upper" and not self.has("use_sliding_window")):
            return None, 0
        window = self._stated("sliding_window")
        if window is None:
            return None, 0
        n_windowed = self._n_windowed(law, n_blocks)
        return (self.number("sliding_window"), n_windowed) if n_windowed else (None, 0)

    def _n_windowed(self, law: str, n_blocks: int) -> int:
        kinds = self._config.get("layer_types")
        if isinstance(kinds, Sequence) and not isinstance(kinds, str):
            if len(kinds) < n_blocks:
                raise self.refuse(f"layer_types lists {len(kinds)} of its {n_blocks} blocks; list them all")
            return list(kinds[:n_blocks]).count("sliding_attention")
        match law:
            case "upper":
                return max(0, n_blocks - self.number("max_window_layers"))
            case "alternate":
                return (n_blocks + 1) // 2
            case "pattern":
                return n_blocks - n_blocks // self.number("sliding_window_pattern")
            case _:
                return n_blocks

    def refuse(self, message: str) -> InputError:
        return InputError(f"model {self._name}: {message}")

    def _stated(self, key: str) -> object:
        return self._config.get(key, self._family.defaults.get(key))

    def _check_rest(self) -> None:
        """Refuse values that affect times and with which transformers could not build a model."""
        for key in self._config:
            problem = timed_value_problem(key, self._config[key])
            if problem is not None:
                raise self.refuse(f"{key} is {_shown(self._config[key])} in its config; {problem}")

    def _check_needs(self) -> None:
        """Refuse variants of a family that are not supported."""
        for key, needed in self._family.needs.items():
            expected = self._config.get(needed) if isinstance(needed, str) else needed
            found = self._config.get(key)
            if found is not None and found != expected:
                raise self.refuse(
                    f"{key} is {_shown(found)} in its config; edgesim supports models of the family "
                    f"{self._family.name} only with {expected!r}"
                )


def _shown(value: object) -> str:
    """Return the repr of a value, cut to 60 characters."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _exceeds_one(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 1
