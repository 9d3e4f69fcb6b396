"""Choose the blocks of an excerpt that a pass calls: all, or a few in rotation."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn

__all__ = ["Rotation"]


class Rotation:
    """Makes passes of a model call a few of its blocks, each pass the ones after those of the last pass.

    A block is called again only after all others, as in passes of all blocks, so that the contents of the
    processor's caches at its call are the same. A pass of a few blocks only ends sooner. Its first block
    follows the embedding and not another block, and takes longer for it (:mod:`edgesim.measure.timing`).

    Parameters
    ----------
    model
        A model of a transformers class.
    path
        Path of its list of blocks.
    is_divisible
        Whether any few blocks represent all, and the model runs with them; false where blocks differ.
    """

    def __init__(self, model: Any, path: str, *, is_divisible: bool = True) -> None:
        holder, _, self._name = path.rpartition(".")
        self._holder = model.get_submodule(holder)
        self._blocks = tuple(model.get_submodule(path))
        self._is_divisible = is_divisible
        self._next = 0

    def possible(self, n_wanted: int) -> int:
        """Return how many blocks a pass can call for a request of `n_wanted`."""
        return max(1, min(n_wanted, len(self._blocks))) if self._is_divisible else len(self._blocks)

    @contextmanager
    def next_few(self, n_wanted: int) -> Iterator[int]:
        """Reduce the model to its next few blocks within the context, and return their number."""
        n_called = self.possible(n_wanted)
        first, n_blocks = self._next, len(self._blocks)
        self._next = (first + n_called) % n_blocks
        with self._having([self._blocks[(first + k) % n_blocks] for k in range(n_called)]):
            yield n_called

    @contextmanager
    def first_few(self, n_wanted: int) -> Iterator[int]:
        """Reduce the model to its first few blocks; `generate` counts tokens by the first one's cache."""
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
