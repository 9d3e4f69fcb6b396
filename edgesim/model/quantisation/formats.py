"""Readers for quantisation formats that pack all matrices of a model in the same way.

Each states its source; tensor layouts are those of the libraries that write them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from edgesim.model.quantisation.entries import Entries, UnreadError
from edgesim.model.quantisation.packing import Packing

__all__ = ["FORMATS", "Reading", "in_groups"]

_BYTE_BITS, _HALF_BITS, _SINGLE_BITS = 8, 16, 32  # bits of a code, a scale, a large scale
_INTEGERS = (2, 3, 4, 8)  # bits that GPTQ and similar formats pack into 32-bit words without remainder
_BNB_BLOCK = 64  # weights that share an absolute maximum in bitsandbytes' 4-bit formats
_BNB_NESTED = 256  # maxima that share a second-level maximum under double quantisation
_HQQ_CODE_BITS: Mapping[int, float] = MappingProxyType({1: 1, 2: 2, 3: 3.2, 4: 4, 8: 8})  # 3: ten in a word


class Reading(NamedTuple):
    """Contents of a `quantization_config` with one packing for all matrices.

    Attributes
    ----------
    label
        Name of the format in reports.
    packing
        Packing of a matrix.
    exempt
        Patterns of modules that are not packed.
    packs_head
        Whether the vocabulary matrix is packed unless a pattern exempts it.
    only
        Names of the packed modules in a block; None: all linear maps.
    """

    label: str
    packing: Packing
    exempt: tuple[str, ...] = ()
    packs_head: bool = False
    only: tuple[str, ...] | None = None


def in_groups(bits: int, group: int | None) -> str:
    """Return a label for integers with a scale per group of weights."""
    return f"{bits} bits, a scale for " + ("each output" if group is None else f"each {group} weights")


def _awq(entries: Entries) -> Reading:
    """Read AWQ (Lin et al. 2024, arXiv 2306.00978) as written by AutoAWQ: `qweight`, `qzeros`, `scales`.

    Each group has a 16-bit scale and, unless `zero_point` is false or the layout is Marlin's, a packed zero
    point. The vocabulary matrix is never packed.
    """
    bits, group = entries.bits("bits", "w_bit", among=_INTEGERS), entries.group("group_size", "q_group_size")
    has_zeros = entries.flag("zero_point", default=True) and entries.text("version") != "marlin"
    packing = Packing(bits=bits, cell=(group, 1), cell_bits=_HALF_BITS + has_zeros * bits)
    return Reading(in_groups(bits, group), packing, entries.names("modules_to_not_convert") or ())


def _gptq(entries: Entries) -> Reading:
    """Read GPTQ (Frantar et al. 2023, arXiv 2210.17323) as written by AutoGPTQ and GPTQModel.

    Tensors are `qweight`, `scales`, `qzeros` (also if symmetric), and `g_idx` with each input's group in 32
    bits. Marlin's layout has neither of the last two.
    """
    entries.empty("dynamic", "extra_config")
    bits, group = entries.bits("bits", among=_INTEGERS), entries.group("group_size")
    is_marlin = entries.text("checkpoint_format") == "marlin" or entries.flag("is_marlin_format")
    packing = Packing(
        bits=bits,
        cell=(group, 1),
        cell_bits=_HALF_BITS + (0 if is_marlin else bits),
        input_bits=0 if is_marlin else _SINGLE_BITS,
    )
    return Reading(
        in_groups(bits, group),
        packing,
        entries.names("modules_to_not_convert") or (),
        packs_head=entries.flag("lm_head"),
        only=_flat_names(entries, "modules_in_block_to_quantize"),
    )


def _auto_round(entries: Entries) -> Reading:
    """Read AutoRound (Cheng et al. 2023, arXiv 2309.05516; not re-read) in the layout of GPTQ or AWQ."""
    layout = entries.text("packing_format", "auto_round:auto_gptq")
    if entries.text("data_type", "int") != "int" or not any(own in layout for own in ("gptq", "awq")):
        raise UnreadError(
            f"packing_format is {layout!r}, data_type {entries.text('data_type', 'int')!r}; expected "
            "integers in the layout of gptq or awq"
        )
    if "awq" in layout:
        entries.empty("extra_config")
        return _awq(entries)
    return _gptq(entries)


def _bitsandbytes(entries: Entries) -> Reading:
    """Read bitsandbytes: LLM.int8() (Dettmers et al. 2022, arXiv 2208.07339), NF4 and FP4 (QLoRA, 2023).

    8 bits: a 32-bit scale per output. 4 bits (arXiv 2305.14314): a 32-bit maximum for each 64 weights, or
    with `bnb_4bit_use_double_quant` an 8-bit maximum, 256 of which share a 32-bit one.
    """
    exempt = entries.names("llm_int8_skip_modules")
    is_4bit = entries.flag("load_in_4bit") or entries.flag("_load_in_4bit")
    is_8bit = entries.flag("load_in_8bit") or entries.flag("_load_in_8bit")
    if is_4bit == is_8bit or entries.flag("llm_int8_has_fp16_weight"):
        raise UnreadError("expected either load_in_4bit or load_in_8bit to be true, and no 16-bit copies")
    if is_8bit:
        packing = Packing(bits=8, cell=(None, 1), cell_bits=_SINGLE_BITS)
        return Reading(in_groups(8, None), packing, exempt or (), packs_head=exempt is not None)
    kind = entries.text("bnb_4bit_quant_type", "fp4")
    if kind not in ("fp4", "nf4"):
        raise entries.unread("bnb_4bit_quant_type", "fp4 or nf4")
    is_double = entries.flag("bnb_4bit_use_double_quant")
    maximum_bits = _BYTE_BITS + _SINGLE_BITS / _BNB_NESTED if is_double else _SINGLE_BITS
    packing = Packing(bits=4, cell=(_BNB_BLOCK, 1), is_flat=True, cell_bits=maximum_bits)
    label = f"{kind}{', quantised twice' if is_double else ''}"
    return Reading(label, packing, exempt or (), packs_head=exempt is not None)


def _fp8(entries: Entries) -> Reading:
    """Read 8-bit floats with a scale per matrix, or per block of `weight_block_size` outputs and inputs.

    Follows transformers' `FP8Linear`, and vLLM's `fp8`, whose key for exempt modules is `ignored_layers`.
    """
    entries.empty("modules_to_convert")
    exempt = entries.names("modules_to_not_convert")
    block = entries.block("weight_block_size")
    is_power = entries.text("scale_fmt") == "ue8m0"
    packing = Packing(
        bits=8,
        cell=(None, None) if block is None else (block[1], block[0]),
        cell_bits=_BYTE_BITS if is_power and block is not None else _SINGLE_BITS,
        matrix_bits=_SINGLE_BITS if entries.text("activation_scheme", "dynamic") == "static" else 0,
    )
    where = "each matrix" if block is None else f"each {block[0]} x {block[1]} weights"
    return Reading(
        f"8-bit floats, a scale for {where}",
        packing,
        exempt or entries.names("ignored_layers") or (),
        packs_head=exempt is not None,
    )


def _mxfp8(entries: Entries) -> Reading:
    """Read OCP's MXFP8: an 8-bit exponent (E8M0) per 32 weights (Microscaling Formats 1.0; not re-read)."""
    exempt = entries.names("modules_to_not_convert")
    packing = Packing(bits=8, cell=(32, 1), cell_bits=_BYTE_BITS)
    label = "8-bit floats, a scale for each 32 weights"
    return Reading(label, packing, exempt or (), packs_head=exempt is not None)


def _per_output(label: str, scale_bits: int) -> Callable[[Entries], Reading]:
    """Return a reader for 8 bits with a scale per output: transformers' `FbgemmFp8Linear`, `EetqLinear`."""

    def read(entries: Entries) -> Reading:
        exempt = entries.names("modules_to_not_convert")
        packing = Packing(bits=8, cell=(None, 1), cell_bits=scale_bits)
        return Reading(label, packing, exempt or (), packs_head=exempt is not None)

    return read


def _hqq(entries: Entries) -> Reading:
    """Read HQQ (Badri and Shaji 2023): 16-bit scale and zero point per group, the same for all modules."""
    within = entries.section("quant_config")
    if within.value("weight_quant_params") is None:
        raise UnreadError("quant_config has no weight_quant_params; modules that differ are not supported")
    within.empty("scale_quant_params", "zero_quant_params")
    weights = within.section("weight_quant_params")
    bits, group = weights.bits("nbits", among=tuple(_HQQ_CODE_BITS)), weights.group("group_size")
    cell = (None, 1) if group is None else (group, 1)
    packing = Packing(
        bits=_HQQ_CODE_BITS[bits], cell=cell, is_flat=group is not None, cell_bits=2 * _HALF_BITS
    )
    exempt = entries.names("skip_modules")
    return Reading(in_groups(bits, group), packing, exempt or (), packs_head=exempt is not None)


def _bitnet(entries: Entries) -> Reading:
    """Read BitNet b1.58 (Ma et al. 2024, arXiv 2402.17764): 4 ternary weights a byte, a scale per matrix."""
    if entries.text("linear_class", "bitlinear") != "bitlinear":
        raise entries.unread("linear_class", "'bitlinear', whose weights are packed")
    if entries.text("quantization_mode", "offline") != "offline":
        raise entries.unread("quantization_mode", "'offline', whose weights are packed")
    exempt = entries.names("modules_to_not_convert")
    norm_bits = _HALF_BITS if entries.flag("use_rms_norm") else 0
    packing = Packing(bits=2, input_bits=norm_bits, matrix_bits=_HALF_BITS)
    return Reading("2 bits, a scale for each matrix", packing, exempt or (), packs_head=exempt is not None)


def _flat_names(entries: Entries, key: str) -> tuple[str, ...] | None:
    """Return the names in a list of lists; None if the entry is missing."""
    listed = entries.value(key)
    if listed is None:
        return None
    if not isinstance(listed, list):
        raise entries.unread(key, "lists of names")
    names = [name for part in listed for name in (part if isinstance(part, list) else [part])]
    if not names or not all(isinstance(name, str) for name in names):
        raise entries.unread(key, "lists of names")
    return tuple(names)


FORMATS: Mapping[str, Callable[[Entries], Reading]] = MappingProxyType(
    {
        "awq": _awq,
        "gptq": _gptq,
        "auto-round": _auto_round,
        "bitsandbytes": _bitsandbytes,
        "fp8": _fp8,
        "mxfp8": _mxfp8,
        "fbgemm_fp8": _per_output("8-bit floats, a scale for each output", _SINGLE_BITS),
        "eetq": _per_output(in_groups(8, None), _HALF_BITS),
        "hqq": _hqq,
        "bitnet": _bitnet,
    }
)
"""Readers, by `quant_method`."""
