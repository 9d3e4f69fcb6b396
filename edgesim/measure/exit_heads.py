"""Early-exit heads, which predict the next token from the hidden state between two blocks."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import nn

__all__ = ["ExitHead", "ExitHeads"]


class ExitHead(nn.Module):
    """A norm and a square projection, followed by the model's own unembedding.

    It starts as the logit lens (nostalgebraist 2020) of a model whose last norm is an RMSNorm: the normalised
    hidden state is passed to the unembedding unchanged. Training then learns the projection with which the
    unembedding reads an early state, as in the tuned lens (Belrose et al. 2023, arXiv 2303.08112).
    """

    def __init__(self, hidden_size: int, eps: float) -> None:
        super().__init__()
        self.norm = nn.RMSNorm(hidden_size, eps=eps)
        self.projection = nn.Linear(hidden_size, hidden_size, bias=False)
        nn.init.eye_(self.projection.weight)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """Project states after an inner block, [..., hidden_size], to inputs of the unembedding."""
        turned: torch.Tensor = self.projection(self.norm(hidden))
        return turned


class ExitHeads(nn.ModuleDict):
    """Exit heads by the number of blocks before them.

    Parameters
    ----------
    blocks
        Numbers of blocks after which there is a head; increasing, all below the model's number of blocks.
    """

    def __init__(self, blocks: Iterable[int], *, hidden_size: int, eps: float = 1e-5) -> None:
        super().__init__({str(block): ExitHead(hidden_size, eps) for block in blocks})

    @property
    def blocks(self) -> tuple[int, ...]:
        """Numbers of blocks after which there is a head."""
        return tuple(int(block) for block in self)

    def logits(
        self, hidden: torch.Tensor, block: int, unembed: Callable[[torch.Tensor], Any]
    ) -> torch.Tensor:
        """Return the logits of the exit after `block` blocks, [..., n_vocabulary]."""
        logits: torch.Tensor = unembed(self[str(block)](hidden))
        return logits
