"""The `quantization_config` of a Hugging Face config: how a checkpoint's weights are stored.

What is not read, or not the same in every block, is refused: bytes that are guessed make every later number
wrong. As in transformers, the embedding, norms and biases keep the number format, and so do modules that the
config exempts; the vocabulary matrix is packed only where the config says so, by its own flag or by a list of
exempt modules without it.

Not modelled: a cache of keys and values that the config would have quantised, too (it keeps the number
format); sparse formats; an encoder's classifier, which keeps the number format; code books, a few kilobytes
a model.
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

__all__ = ["QUANT_METHODS", "read_storage", "said_quantisation"]

_KEYS = ("quantization_config", "compression_config")
_IN_GROUPS = "compressed-tensors"
_ALIASES: Mapping[str, str] = MappingProxyType(
    {"intel/auto-round": "auto-round", "auto_round": "auto-round", "compressed_tensors": _IN_GROUPS}
)

QUANT_METHODS = (*FORMATS, _IN_GROUPS)
"""Values of `quant_method` that are read."""


def said_quantisation(config: Mapping[str, object]) -> object:
    """Return what a config says of its quantisation, for its language model or for all; None: nothing."""
    nested = config.get("text_config")
    parts = (nested, config) if isinstance(nested, Mapping) else (config,)
    return next((part[key] for part in parts for key in _KEYS if part.get(key) is not None), None)


def read_storage(
    config: Mapping[str, object], name: str, *, family: Family, n_blocks: int, ties_embeddings: bool
) -> Packed | None:
    """Read how a model's weights are stored; None where its config says nothing, or has them unpacked.

    Raises
    ------
    InputError
        If the format is not read, differs from block to block, or lacks what its size depends on.
    """
    said = said_quantisation(config)
    if said is None:
        return None
    try:
        return _read(Entries(said), family, n_blocks, ties_embeddings)
    except UnreadError as unread:
        raise InputError(
            f"model {name}: quantization_config in its config: {unread}. Say how its weights are stored with "
            "'weights:' (q40, q80, int8 or int4) or 'bytes_per_weight:' in the scenario's 'model'; "
            "'bytes_per_weight: 2' is 16 bits"
        ) from None


def _read(said: Entries, family: Family, n_blocks: int, ties_embeddings: bool) -> Packed | None:
    if said.flag("dequantize"):
        return None
    method = _method(said)
    modules = Modules(family.blocks, family.head, n_blocks)
    names = [*family.attention_in, family.attention_out, *family.mlp_in, family.mlp_out]
    # An embedding is no linear map, and a head that shares its matrix keeps it as it is.
    head = [family.head] if family.is_causal and not ties_embeddings else []
    if method == _IN_GROUPS:
        label, by_matrix = read_groups(said, [*names, *head], modules)
        return Packed(f"{method}, {label}", by_matrix)
    reading = FORMATS[method](said)
    if reading.only is not None:
        names = [name for name in names if name in reading.only]
    if reading.packs_head:
        names += head
    kept = [name for name in names if not modules.named(name, reading.exempt)]
    return Packed(f"{method}, {reading.label}", tuple((name, reading.packing) for name in kept))


def _method(said: Entries) -> str:
    method = said.text("quant_method")
    if not method and (said.flag("load_in_4bit") or said.flag("load_in_8bit")):
        method = "bitsandbytes"  # which did not name itself in its first configs
    method = _ALIASES.get(method, method)
    if method not in QUANT_METHODS:
        raise said.unread("quant_method", f"one of {', '.join(QUANT_METHODS)}")
    return method
