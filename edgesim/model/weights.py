"""Storage formats of weights: bytes per weight, including its share of scales."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

__all__ = ["WEIGHT_FORMATS"]

_GROUP = 32  # weights that share a scale in llama.cpp's and distributed-llama's oldest formats
_SCALE_BYTES = 2  # IEEE half precision
_LARGE_GROUP = 128  # weights that share a scale and a zero point in GPTQ's and AWQ's usual setting

WEIGHT_FORMATS: Mapping[str, float] = MappingProxyType(
    {
        "q40": (_GROUP / 2 + _SCALE_BYTES) / _GROUP,
        "q80": (_GROUP + _SCALE_BYTES) / _GROUP,
        "int8": 1.0,
        "int4": (_LARGE_GROUP / 2 + _SCALE_BYTES + 0.5) / _LARGE_GROUP,
    }
)
"""Bytes per weight.

``q40``, ``q80``: blocks of 32 weights of 4 or 8 bits with a 16-bit scale (llama.cpp's Q4_0 and Q8_0;
distributed-llama's Q40 and Q80). ``int8``: 8 bits, with one scale per row of a matrix, which is not counted
(LLM.int8(), Dettmers et al. 2022, arXiv 2208.07339). ``int4``: 4 bits in groups of 128 that share a 16-bit
scale and a 4-bit zero point (GPTQ, Frantar et al. 2023, arXiv 2210.17323; AWQ, Lin et al. 2024,
arXiv 2306.00978).
"""
