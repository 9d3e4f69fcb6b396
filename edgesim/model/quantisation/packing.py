"""Storage of weights: a uniform size per weight, or a published packing per matrix."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from edgesim.units import bits

__all__ = ["WORD_BITS", "Even", "Matrix", "Packed", "Packing", "Storage"]

WORD_BITS = 32
"""Bits of the integers into which codes are packed."""


class Matrix(NamedTuple):
    """Weight matrix of one linear map."""

    name: str
    """Name of its module in a block or, outside blocks, in the model: ``mlp.down_proj``, ``lm_head``."""
    n_in: int
    n_out: int

    @property
    def n_weights(self) -> int:
        """Number of entries, without a bias."""
        return self.n_in * self.n_out


@dataclass(frozen=True, slots=True, kw_only=True)
class Packing:
    """Size of a matrix in one format: codes, and the scales and zero points of its cells.

    Attributes
    ----------
    bits
        Bits of a weight's code.
    cell
        Numbers of inputs and outputs whose weights share a scale, ``(n_in, n_out)``; None: all.
    is_flat
        Whether the matrix is flattened to one row and divided into cells of ``cell[0]`` weights.
    cell_bits
        Bits of a cell's scale and zero point.
    input_bits
        Bits per input, such as GPTQ's group index.
    matrix_bits
        Bits per matrix.
    codes_per_word
        Codes per 32-bit word, along the inputs, if words have unused bits; None: all bits are used.
    """

    bits: float
    cell: tuple[int | None, int | None] = (None, None)
    is_flat: bool = False
    cell_bits: float = 0.0
    input_bits: float = 0.0
    matrix_bits: float = 0.0
    codes_per_word: int | None = None

    def size_bytes(self, matrix: Matrix) -> float:
        """Stored bytes of a matrix; a partial cell at an edge counts as a whole one."""
        size_bits = self._code_bits(matrix) + self._n_cells(matrix) * self.cell_bits
        return (size_bits + matrix.n_in * self.input_bits + self.matrix_bits) / bits(1)

    def _code_bits(self, matrix: Matrix) -> float:
        if self.codes_per_word is None:
            return matrix.n_weights * self.bits
        return WORD_BITS * math.ceil(matrix.n_in / self.codes_per_word) * matrix.n_out

    def _n_cells(self, matrix: Matrix) -> int:
        if self.is_flat:
            return math.ceil(matrix.n_weights / (self.cell[0] or matrix.n_weights))
        across, along = (
            1 if size is None else math.ceil(n / size) for n, size in zip(matrix[1:], self.cell, strict=True)
        )
        return across * along


@dataclass(frozen=True, slots=True)
class Even:
    """Uniform storage: the same number of bytes for every parameter, including norms and embeddings."""

    bytes_per_weight: float


@dataclass(frozen=True)
class Packed:
    """Packed storage of some matrices; other parameters (norms, biases, embeddings) keep the number format.

    Attributes
    ----------
    name
        Label in reports, such as ``awq, 4 bits in groups of 128``.
    by_matrix
        Packing of each packed matrix, by its name; other matrices keep the number format.
    """

    name: str
    by_matrix: tuple[tuple[str, Packing], ...]

    def saved_bytes(self, matrices: Iterable[Matrix], dtype_bytes: int) -> float:
        """Bytes saved in `matrices`, compared with a number format of `dtype_bytes`."""
        return sum(
            matrix.n_weights * dtype_bytes - self._packings[matrix.name].size_bytes(matrix)
            for matrix in matrices
            if matrix.name in self._packings
        )

    @cached_property
    def _packings(self) -> dict[str, Packing]:
        return dict(self.by_matrix)


Storage = Even | Packed
