"""Which blocks of an excerpt a pass calls: all, or a few of them, in turn."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn

__all__ = ["Rotation"]


class Rotation:
    """Lets passes of a model call a few of its blocks at a time, each pass those behind the last one's.

    A block is called again only when all the others have been, as in passes of all blocks: what lies in the
    processor's caches when it is called is the same. A pass of a few blocks merely ends sooner.

    Not modelled: that the pass's first block follows the embedding and not another block. What it reads of
    its predecessor is the hidden states, which are small beside its own weights.

    Parameters
    ----------
    model
        Of transformers' classes.
    path
        Of the list of its blocks.
    is_divisible
        Whether any few blocks stand for all, and the model runs with them: not where blocks differ.
    """

    def __init__(self, model: Any, path: str, *, is_divisible: bool = True) -> None:
        holder, _, self._name = path.rpartition(".")
        self._holder = model.get_submodule(holder)
        self._blocks = tuple(model.get_submodule(path))
        self._is_divisible = is_divisible
        self._next = 0

    def possible(self, n_wanted: int) -> int:
        """How many blocks a pass can call if so many are wanted."""
        return max(1, min(n_wanted, len(self._blocks))) if self._is_divisible else len(self._blocks)

    @contextmanager
    def next_few(self, n_wanted: int) -> Iterator[int]:
        """Let the model have the next few blocks alone, and tell how many they are."""
        n_called = self.possible(n_wanted)
        first, n_blocks = self._next, len(self._blocks)
        self._next = (first + n_called) % n_blocks
        with self._having([self._blocks[(first + k) % n_blocks] for k in range(n_called)]):
            yield n_called

    @contextmanager
    def first_few(self, n_wanted: int) -> Iterator[int]:
        """Let the model have its first few blocks alone, by the first of which `generate` counts tokens."""
        n_called = self.possible(n_wanted)
        with self._having(self._blocks[:n_called]):
            yield n_called

    @contextmanager
    def _having(self, blocks: Any) -> Iterator[None]:
        if len(blocks) == len(self._blocks):
            yield  # in their own order
            return
        whole = getattr(self._holder, self._name)
        setattr(self._holder, self._name, nn.ModuleList(blocks))
        try:
            yield
        finally:
            setattr(self._holder, self._name, whole)
