"""Reading a Hugging Face config: which family it belongs to, and the sizes that it states."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from edgesim.errors import InputError
from edgesim.model.families import FAMILIES, Family, Said

__all__ = ["canonical", "family_of", "read_sizes", "text_part"]

# Keys that say where a checkpoint came from, how its weights were packed or which code its authors had for
# it, not how large or fast the model is.
_PROVENANCE_KEYS = frozenset(
    {
        "_name_or_path",
        "architectures",
        "auto_map",
        "dtype",
        "quantization_config",
        "torch_dtype",
        "transformers_version",
    }
)
_EXPERT_KEYS = ("num_local_experts", "num_experts", "n_routed_experts", "moe_num_experts")
_N_LABELS = 2  # transformers' own default


def text_part(config: Mapping[str, object]) -> Mapping[str, object]:
    """Return the part that describes a language model: the config itself, or its `text_config`.

    Models that also see or hear keep their language model's config there. What precedes the language model
    (the encoder of images or sound, and the projection behind it) is not read.
    """
    nested = config.get("text_config")
    if config.get("model_type") in FAMILIES or not isinstance(nested, Mapping):
        return config
    inherited = {key: config[key] for key in ("tie_word_embeddings",) if key in config}
    return inherited | dict(nested)


def canonical(config: Mapping[str, object]) -> str:
    """Write a config as JSON text, less its provenance: the same for the same shape."""
    kept = {key: config[key] for key in sorted(config) if key not in _PROVENANCE_KEYS}
    return json.dumps(kept, separators=(",", ":"))


def family_of(config: Mapping[str, object], name: str) -> Family:
    """Return the family of a config.

    Raises
    ------
    InputError
        If it is a mixture of experts, or of a family that is not read.
    """
    experts = [key for key in _EXPERT_KEYS if _exceeds_one(config.get(key))]
    if experts:
        raise InputError(
            f"model {name}: its config says {experts[0]} {config[experts[0]]}, a mixture of experts. "
            "Which of them a token reads, and so what it costs, its trained router decides; edgesim runs "
            "models with random weights, whose routing says nothing of that. Choose a dense model."
        )
    family = config.get("model_type")
    if family in FAMILIES:
        return FAMILIES[str(family)]
    raise InputError(
        f"model {name}: its config says model_type {family!r}; edgesim reads {', '.join(FAMILIES)}. "
        "Choose a model of one of these families."
    )


def read_sizes(config: Mapping[str, object], name: str) -> dict[str, Any]:
    """Read all that an architecture is told by its config, under the names of its fields.

    Raises
    ------
    InputError
        If the family is not read, or a size is missing or impossible.
    """
    family = family_of(config, name)
    return _Reader(config, name, family).sizes()


class _Reader:
    """One config, read by its family's description, with messages that name the model and the key."""

    __slots__ = ("_config", "_family", "_name")

    def __init__(self, config: Mapping[str, object], name: str, family: Family) -> None:
        self._config, self._name, self._family = config, name, family

    def sizes(self) -> dict[str, Any]:
        """Read everything."""
        family = self._family
        self._check_needs()
        hidden_size, n_heads = self.size("hidden_size"), self.size("n_heads")
        n_kv_heads = self.size("n_kv_heads", default=n_heads) if family.has_kv_heads else n_heads
        if hidden_size % n_heads or n_heads % n_kv_heads:
            raise self.refuse(
                f"num_attention_heads {n_heads} must divide hidden_size {hidden_size}, and "
                f"num_key_value_heads {n_kv_heads} must divide num_attention_heads"
            )
        head_dim = hidden_size // n_heads
        if family.has_own_head_dim:
            head_dim = self.size("head_dim", default=head_dim)
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
            "max_context": rows - self.n_unreached_positions(),
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

    def size(self, size: str, *, default: int | None = None) -> int:
        """Read a size under the first of its names that the config states; null counts as not stated."""
        names = self._family.names_of(size)
        for name in names:
            if self._config.get(name) is not None:
                return self.number(name)
        # What transformers takes for a key that is left out does not stand in for a null.
        known = self._family.defaults.get(names[0])
        if isinstance(known, int) and names[0] not in self._config:
            return known
        if default is None:
            raise self.refuse(f"its config has no {names[0]}; every Hugging Face config.json states it")
        return default

    def number(self, key: str) -> int:
        """Read a whole number of one or more."""
        value = self._said(key)
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise self.refuse(f"{key} is {value!r} in its config; expected a whole number >= 1")
        return value

    def flag(self, key: str, default: bool) -> bool:
        value = self._config.get(key, default)
        if not isinstance(value, bool):
            raise self.refuse(f"{key} is {value!r} in its config; expected true or false")
        return value

    def has(self, said: Said) -> bool:
        """Resolve what a family has always, never, or as a flag says."""
        return said if isinstance(said, bool) else self.flag(said, self._family.defaults[said] is True)

    def n_unreached_positions(self) -> int:
        if not self._family.positions_behind_padding:
            return 0
        padding = self._said("pad_token_id")
        if isinstance(padding, bool) or not isinstance(padding, int) or padding < 0:
            raise self.refuse(f"pad_token_id is {padding!r} in its config; expected a whole number >= 0")
        return padding + 1

    def n_labels(self) -> int:
        named = self._config.get("id2label")
        if isinstance(named, Mapping) and named:
            return len(named)
        return self.number("num_labels") if "num_labels" in self._config else _N_LABELS

    def windows(self, n_blocks: int) -> tuple[int | None, int]:
        """Read the length of the sliding window, and how many blocks have it."""
        law = self._family.window
        if law == "none" or (law == "upper" and not self.has("use_sliding_window")):
            return None, 0
        window = self._said("sliding_window")
        if window is None:
            return None, 0
        n_windowed = self._n_windowed(law, n_blocks)
        return (self.number("sliding_window"), n_windowed) if n_windowed else (None, 0)

    def _n_windowed(self, law: str, n_blocks: int) -> int:
        kinds = self._config.get("layer_types")
        if isinstance(kinds, Sequence) and not isinstance(kinds, str):
            if len(kinds) < n_blocks:
                raise self.refuse(f"layer_types lists {len(kinds)} of its {n_blocks} blocks")
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

    def _said(self, key: str) -> object:
        return self._config.get(key, self._family.defaults.get(key))

    def _check_needs(self) -> None:
        """Refuse the variants of a family that are not read."""
        for key, needed in self._family.needs.items():
            expected = self._config.get(needed) if isinstance(needed, str) else needed
            found = self._config.get(key)
            if found is not None and found != expected:
                raise self.refuse(
                    f"{key} is {found!r} in its config; edgesim reads models of the family "
                    f"{self._family.name} only with {expected!r} there"
                )


def _exceeds_one(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 1
