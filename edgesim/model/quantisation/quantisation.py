"""Reader for the `quantization_config` of a Hugging Face config: storage of a checkpoint's weights.

Formats that are not supported, or differ between blocks, are refused, because guessed sizes would invalidate
all results. As in transformers, the embedding, norms and biases keep the number format, as do modules that
the config exempts. The vocabulary matrix is packed only if the config states so, by its own flag or by a list
of exempt modules without it.

Not modelled: a quantised KV cache (it keeps the number format); sparse formats; packing of an encoder's
classifier, which keeps the number format; code books, a few kilobytes per model.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from edgesim.errors import InputError
from edgesim.model.families import Family
from edgesim.model.quantisation.compressed_tensors import read_groups
from edgesim.model.quantisation.entries import Entries, Modules, UnreadError
from edgesim.model.quantisation.formats import FORMATS
from edgesim.model.quantisation.packing import Packed

__all__ = ["QUANT_METHODS", "quantisation_entry", "read_storage"]

_KEYS = ("quantization_config", "compression_config")
_IN_GROUPS = "compressed-tensors"
_ALIASES: Mapping[str, str] = MappingProxyType(
    {"intel/auto-round": "auto-round", "auto_round": "auto-round", "compressed_tensors": _IN_GROUPS}
)

QUANT_METHODS = (*FORMATS, _IN_GROUPS)
"""Supported values of `quant_method`."""


def quantisation_entry(config: Mapping[str, object]) -> object:
    """Return the quantisation entry of a config (its language model's, or the whole model's), or None."""
    nested = config.get("text_config")
    parts = (nested, config) if isinstance(nested, Mapping) else (config,)
    return next((part[key] for part in parts for key in _KEYS if part.get(key) is not None), None)


def read_storage(
    config: Mapping[str, object], name: str, *, family: Family, n_blocks: int, ties_embeddings: bool
) -> Packed | None:
    """Read the storage of a model's weights; None if they are not quantised, or dequantised on loading.

    Raises
    ------
    InputError
        If the format is not supported, differs between blocks, or lacks a value that determines its size.
    """
    entries = quantisation_entry(config)
    if entries is None:
        return None
    try:
        return _read(Entries(entries), family, n_blocks, ties_embeddings)
    except UnreadError as unread:
        raise InputError(
            f"model {name}: quantization_config in its config: {unread}. Set the storage of its weights by "
            "'weights:' (q40, q80, int8 or int4) or 'bytes_per_weight:' in the scenario's 'model'; "
            "'bytes_per_weight: 2' is 16 bits"
        ) from None


def _read(entries: Entries, family: Family, n_blocks: int, ties_embeddings: bool) -> Packed | None:
    if entries.flag("dequantize"):
        return None
    method = _method(entries)
    modules = Modules(family.blocks, family.head, n_blocks)
    names = [*family.attention_in, family.attention_out, *family.mlp_in, family.mlp_out]
    # An embedding is not a linear map; a head with tied embeddings shares its matrix, which is not packed.
    head = [family.head] if family.is_causal and not ties_embeddings else []
    if method == _IN_GROUPS:
        label, by_matrix = read_groups(entries, [*names, *head], modules)
        return Packed(f"{method}, {label}", by_matrix)
    reading = FORMATS[method](entries)
    if reading.only is not None:
        names = [name for name in names if name in reading.only]
    if reading.packs_head:
        names += head
    kept = [name for name in names if not modules.named(name, reading.exempt)]
    return Packed(f"{method}, {reading.label}", tuple((name, reading.packing) for name in kept))


def _method(entries: Entries) -> str:
    method = entries.text("quant_method")
    if not method and (entries.flag("load_in_4bit") or entries.flag("load_in_8bit")):
        method = "bitsandbytes"  # early bitsandbytes configs have no quant_method
    method = _ALIASES.get(method, method)
    if method not in QUANT_METHODS:
        raise entries.unread("quant_method", f"one of {', '.join(QUANT_METHODS)}")
    return method
