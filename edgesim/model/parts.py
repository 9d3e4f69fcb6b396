"""Parts of a model that are timed and placed: components, and slices of neighbouring blocks."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

__all__ = ["Component", "FloatArray", "Slice", "Tokens"]

FloatArray = NDArray[np.float64]
Tokens = int | NDArray[np.int64]
"""Counts of tokens: one, or an array of them for which an array is wanted back."""


class Component(StrEnum):
    """The parts whose times are known one by one.

    `BLOCK` is one transformer layer, `ATTENTION` and `MLP` its two halves, each with its normalisation and
    its residual addition. `EMBEDDING` is all that a forward pass does before its first block, `HEAD` the
    final normalisation and the vocabulary matrix on the last position, `STEP` the work per generated token
    outside the forward pass: preparing inputs, processing logits, choosing the token. An encoder's head is a
    classifier on the state of the first token, and its step the work around the one pass.
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
    """A run of neighbouring blocks, ``first <= block < last``, with or without the two ends of the model.

    Attributes
    ----------
    first, last
        The first block held and the first block no longer held; equal where no block is held.
    embedding
        Whether what stands before the first block is held too.
    head
        Whether the final normalisation and the vocabulary matrix are held too.

    A tuple underneath, so that it hashes at C speed: the engine looks up a price by slice at every visit.
    """

    __slots__ = ()

    def __new__(cls, first: int, last: int, embedding: bool = False, head: bool = False) -> Self:
        if not 0 <= first <= last:
            raise ValueError(f"a slice runs from block {first} up to block {last}: 0 <= first <= last")
        return super().__new__(cls, first, last, embedding, head)

    @property
    def n_blocks(self) -> int:
        """How many blocks are held."""
        return self.last - self.first

    def __str__(self) -> str:
        """Name the slice by what it holds, its blocks inclusively: ``embedding+0-4``, ``5-11+head``."""
        blocks = {0: "", 1: f"{self.first}"}.get(self.n_blocks, f"{self.first}-{self.last - 1}")
        held = ("embedding" if self.embedding else "", blocks, "head" if self.head else "")
        return "+".join(filter(None, held)) or "nothing"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a name that :meth:`__str__` gave; a slice without blocks is put at block 0."""
        words = text.split("+")
        runs = [[int(end) for end in word.split("-")] for word in words if word[:1].isdigit()]
        first, last = (runs[0][0], runs[0][-1] + 1) if runs else (0, 0)
        return cls(first, last, embedding="embedding" in words, head="head" in words)
