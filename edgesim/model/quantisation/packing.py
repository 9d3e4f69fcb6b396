"""How weights are stored: each in so many bytes alike, or matrix by matrix in a published format."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from edgesim.units import bits

__all__ = ["WORD_BITS", "Even", "Matrix", "Packed", "Packing", "Storage"]

WORD_BITS = 32
"""Of the integers that codes are packed into."""


class Matrix(NamedTuple):
    """The weights of one linear map."""

    name: str
    """Of its module, in a block or, outside of them, in the model: ``mlp.down_proj``, ``lm_head``."""
    n_in: int
    n_out: int

    @property
    def n_weights(self) -> int:
        """Its entries, without a bias."""
        return self.n_in * self.n_out


@dataclass(frozen=True, slots=True, kw_only=True)
class Packing:
    """The size of a matrix in one format: of its codes, and of the scales and zero points of its cells.

    Attributes
    ----------
    bits
        Bits of a weight's code.
    cell
        Inputs and outputs whose weights share a scale, ``(n_in, n_out)``; None: all there are.
    is_flat
        Whether cells are cut from the matrix as one row, of ``cell[0]`` weights each.
    cell_bits
        Bits of a cell's scale and zero point.
    input_bits
        Bits per input, such as GPTQ's index of its group.
    matrix_bits
        Bits per matrix.
    codes_per_word
        Codes in a word of 32 bits where they do not fill it, along the inputs; None: no bit is left over.
    """

    bits: float
    cell: tuple[int | None, int | None] = (None, None)
    is_flat: bool = False
    cell_bits: float = 0.0
    input_bits: float = 0.0
    matrix_bits: float = 0.0
    codes_per_word: int | None = None

    def size_bytes(self, matrix: Matrix) -> float:
        """Bytes that a matrix takes; a cell that is cut at its edge counts as one."""
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
    """Every parameter takes as many bytes, those of norms and embeddings too."""

    bytes_per_weight: float


@dataclass(frozen=True)
class Packed:
    """Some matrices are packed; all other parameters keep the number format: norms, biases, embeddings.

    Attributes
    ----------
    name
        How reports call it, such as ``awq, 4 bits in groups of 128``.
    by_matrix
        How each packed matrix is packed, by its name; the rest keeps the number format.
    """

    name: str
    by_matrix: tuple[tuple[str, Packing], ...]

    def saved_bytes(self, matrices: Iterable[Matrix], dtype_bytes: int) -> float:
        """Bytes by which matrices are smaller than in a number format."""
        return sum(
            matrix.n_weights * dtype_bytes - self._packings[matrix.name].size_bytes(matrix)
            for matrix in matrices
            if matrix.name in self._packings
        )

    @cached_property
    def _packings(self) -> dict[str, Packing]:
        return dict(self.by_matrix)


Storage = Even | Packed
