"""Transport block sizes of 5G NR and their segmentation into code blocks."""

from __future__ import annotations

import math
from bisect import bisect_left
from typing import NamedTuple

from edgesim.radio.adaptation.nr_tables import TRANSPORT_BLOCK_BITS, Scheme

__all__ = ["Segmentation", "info_bits", "segmentation", "transport_block_bits"]

MAX_RE_PER_PRB = 156  # TS 38.214 §5.1.3.2, step 1
ALIGNMENT_BITS = 8  # every code block is a whole number of octets
LARGEST_IN_TABLE_BITS = 3824
LARGEST_UNSPLIT_BITS = 8424
LOW_RATE_BLOCK_BITS = 3816
CRC_BITS = 24
SHORT_CRC_BITS = 16  # transport blocks up to 3824 bits


def info_bits(scheme: Scheme, n_prb: int, re_per_prb: int, n_layers: int = 1) -> float:
    """Return N_info = N_RE·R·Q_m·v of TS 38.214 §5.1.3.2: information bits before rounding."""
    n_re = min(MAX_RE_PER_PRB, re_per_prb) * n_prb
    return n_re * scheme.rate_1024 * scheme.modulation_bits * n_layers / 1024.0


def transport_block_bits(scheme: Scheme, n_prb: int, re_per_prb: int, n_layers: int = 1) -> int:
    """Return the transport block size in bits, TS 38.214 §5.1.3.2 steps 1 to 4.

    Parameters
    ----------
    n_prb
        Resource blocks of the allocation.
    re_per_prb
        N'_RE: resource elements per resource block and slot that carry data; capped at 156.
    n_layers
        v: spatial layers.
    """
    n_info = info_bits(scheme, n_prb, re_per_prb, n_layers)
    if n_info <= LARGEST_IN_TABLE_BITS:
        n = max(3, math.floor(math.log2(n_info)) - 6) if n_info >= 1.0 else 3
        quantised = max(24, (math.floor(n_info) >> n) << n)
        return TRANSPORT_BLOCK_BITS[bisect_left(TRANSPORT_BLOCK_BITS, quantised)]
    n = math.floor(math.log2(n_info - CRC_BITS)) - 5
    step = 1 << n
    with_crc = max(3840, step * math.floor((n_info - CRC_BITS) / step + 0.5)) + CRC_BITS  # ties round up
    if scheme.rate_1024 <= 256.0:
        n_blocks = -(-with_crc // LOW_RATE_BLOCK_BITS)
    elif with_crc - CRC_BITS > LARGEST_UNSPLIT_BITS:
        n_blocks = -(-with_crc // LARGEST_UNSPLIT_BITS)
    else:
        n_blocks = 1
    unit = ALIGNMENT_BITS * n_blocks
    return unit * -(-with_crc // unit) - CRC_BITS


class Segmentation(NamedTuple):
    """The code blocks of a transport block."""

    n_code_blocks: int
    code_block_bits: int
    """Bits that one code block encodes, CRCs included."""
    lowest_coding: float
    """Lowest code rate of the base graph, 1/3 or 1/5; below it incremental redundancy repeats bits."""


def segmentation(transport_bits: int, scheme: Scheme) -> Segmentation:
    """Split a transport block into code blocks: TS 38.212 §7.2.2 (base graph), §7.2.1, §5.2.2 (CRC)."""
    second_graph = (
        transport_bits <= 292
        or (transport_bits <= LARGEST_IN_TABLE_BITS and scheme.rate_1024 <= 0.67 * 1024.0)
        or scheme.rate_1024 <= 256.0
    )
    largest_bits = 3840 if second_graph else 8448
    lowest_coding = 1.0 / 5.0 if second_graph else 1.0 / 3.0
    bits = transport_bits + (CRC_BITS if transport_bits > LARGEST_IN_TABLE_BITS else SHORT_CRC_BITS)
    if bits <= largest_bits:
        return Segmentation(1, bits, lowest_coding)
    n_blocks = -(-bits // (largest_bits - CRC_BITS))
    return Segmentation(n_blocks, -(-(bits + n_blocks * CRC_BITS) // n_blocks), lowest_coding)
