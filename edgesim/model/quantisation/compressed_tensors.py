"""Reader for the `quantization_config` of compressed-tensors, with a packing per group of modules."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from edgesim.model.quantisation.entries import Entries, Modules, UnreadError
from edgesim.model.quantisation.formats import in_groups
from edgesim.model.quantisation.packing import WORD_BITS, Packing

__all__ = ["read_groups"]

_BYTE_BITS, _HALF_BITS, _SINGLE_BITS = 8, 16, 32
_SHAPE_BITS = 128  # two 64-bit numbers: `weight_shape`
_BYTE_FORMATS = ("int-quantized", "float-quantized", "naive-quantized")  # one code in a byte
_FOUR_BIT_FLOATS: Mapping[str, int] = MappingProxyType(
    {"nvfp4-pack-quantized": 2 * _SINGLE_BITS, "mxfp4-pack-quantized": 0}
)
"""Formats with two codes in a byte and an 8-bit scale per group, by further bits per matrix: NVFP4 has two
scales of 32 bits."""


def read_groups(
    entries: Entries, names: Iterable[str], modules: Modules
) -> tuple[str, tuple[tuple[str, Packing], ...]]:
    """Return a label for reports, and the packing of each packed matrix by name.

    A matrix belongs to the first group whose `targets` match it, unless `ignore` matches it.

    Raises
    ------
    UnreadError
        If a format is not supported, or blocks differ.
    """
    sparse = entries.value("sparsity_config")
    if sparse and entries.section("sparsity_config").text("format", "dense") != "dense":
        raise entries.unread("sparsity_config", "none, or a dense one")
    ignored = entries.names("ignore") or ()
    groups = [
        (group.names("targets") or (), *_packing(group, entries.text("format")))
        for group in entries.sections("config_groups")
        if group.value("weights") is not None
    ]
    if not groups:
        raise UnreadError("config_groups has no group with weights; expected at least one")
    found, labels = [], []
    for name in names:
        if modules.named(name, ignored):
            continue
        for targets, label, packing in groups:
            if modules.named(name, targets):
                found.append((name, packing))
                labels.append(label)
                break
    return " and ".join(dict.fromkeys(labels)) or "nothing packed", tuple(found)


def _packing(group: Entries, whole_format: str) -> tuple[str, Packing]:
    """Label and packing of one group; tensor layouts of compressed-tensors' compressors (from memory)."""
    weights = group.section("weights")
    layout = group.text("format", whole_format)
    bits = weights.bits("num_bits", among=(1, 2, 3, 4, 5, 6, 7, 8))
    size, cell = _cell(weights)
    has_zeros = not weights.flag("symmetric", default=True)
    label = in_groups(bits, size) if cell[1] == 1 else f"{bits} bits, a scale for {_shown(cell)}"
    if layout in _FOUR_BIT_FLOATS and bits == 4:
        return f"{layout[:5]}, a scale for each {size} weights", Packing(
            bits=4, cell=cell, cell_bits=_BYTE_BITS, matrix_bits=_FOUR_BIT_FLOATS[layout]
        )
    if layout == "pack-quantized":
        is_indexed = weights.text("actorder") == "group"
        return label, Packing(
            bits=bits,
            cell=cell,
            cell_bits=_HALF_BITS + has_zeros * bits,
            input_bits=_SINGLE_BITS if is_indexed else 0,
            matrix_bits=_SHAPE_BITS,
            codes_per_word=WORD_BITS // bits,
        )
    if layout in _BYTE_FORMATS:
        return label, Packing(bits=8, cell=cell, cell_bits=_HALF_BITS + has_zeros * _BYTE_BITS)
    readable = ", ".join(("pack-quantized", *_BYTE_FORMATS, *_FOUR_BIT_FLOATS))
    raise UnreadError(f"format is {layout!r} with {bits} bits; expected one of {readable}")


def _cell(weights: Entries) -> tuple[int | None, tuple[int | None, int | None]]:
    """Return the group size, and the numbers of inputs and outputs that share a scale."""
    default = "tensor" if weights.value("group_size") is None else "group"
    match weights.text("strategy", default):
        case "tensor":
            return None, (None, None)
        case "channel":
            return None, (None, 1)
        case "group" | "tensor_group":
            size = weights.group("group_size")
            return size, (size, 1)
        case "block":
            block = weights.block("block_structure")
            if block is None:
                raise weights.unread("block_structure", "two whole numbers >= 1")
            return None, (block[1], block[0])
    raise weights.unread("strategy", "tensor, channel, group, tensor_group or block")


def _shown(cell: tuple[int | None, int | None]) -> str:
    return "each matrix" if cell[0] is None else f"each {cell[1]} x {cell[0]} weights"
