"""Parts of a model that are timed and placed: components, and slices of consecutive blocks."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

__all__ = ["Component", "FloatArray", "Slice", "Tokens"]

FloatArray = NDArray[np.float64]
Tokens = int | NDArray[np.int64]
"""Number of tokens, or an array of numbers, for which functions return an array."""


class Component(StrEnum):
    """Parts of a model that are timed separately.

    `BLOCK` is one transformer layer, `ATTENTION` and `MLP` its two halves, each with its normalisation and
    its residual addition. `EMBEDDING` is the part of a forward pass before the first block, `HEAD` the final
    normalisation and the vocabulary matrix on the last position, `STEP` the work per generated token outside
    the forward pass: preparing inputs, processing logits, choosing the token. An encoder's head is a
    classifier on the state of the first token, and its step the work around its single pass.
    """

    EMBEDDING = "embedding"
    ATTENTION = "attention"
    MLP = "mlp"
    BLOCK = "block"
    HEAD = "head"
    STEP = "step"


class _Run(NamedTuple):
    first: int
    last: int
    embedding: bool = False
    head: bool = False


class Slice(_Run):
    """Consecutive blocks, ``first <= block < last``, with or without the two ends of the model.

    Attributes
    ----------
    first, last
        First block, and first block after the slice; equal if the slice has no blocks.
    embedding
        Whether the slice includes the part before the first block.
    head
        Whether the slice includes the final normalisation and the vocabulary matrix.

    A tuple subclass, so that it hashes at C speed: the engine looks up times by slice at every visit.
    """

    __slots__ = ()

    def __new__(cls, first: int, last: int, embedding: bool = False, head: bool = False) -> Self:
        if not 0 <= first <= last:
            raise ValueError(f"a slice runs from block {first} up to block {last}: 0 <= first <= last")
        return super().__new__(cls, first, last, embedding, head)

    @property
    def n_blocks(self) -> int:
        """Number of blocks in the slice."""
        return self.last - self.first

    def __str__(self) -> str:
        """Name of the slice by its parts, with inclusive block numbers: ``embedding+0-4``, ``5-11+head``."""
        blocks = {0: "", 1: f"{self.first}"}.get(self.n_blocks, f"{self.first}-{self.last - 1}")
        parts = ("embedding" if self.embedding else "", blocks, "head" if self.head else "")
        return "+".join(filter(None, parts)) or "nothing"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse a name made by :meth:`__str__`; a slice without blocks gets block 0 as `first`."""
        words = text.split("+")
        runs = [[int(end) for end in word.split("-")] for word in words if word[:1].isdigit()]
        first, last = (runs[0][0], runs[0][-1] + 1) if runs else (0, 0)
        return cls(first, last, embedding="embedding" in words, head="head" in words)
