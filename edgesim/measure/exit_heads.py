"""Early-exit heads: what turns the hidden state between two blocks into a guess at the next token."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import nn

__all__ = ["ExitHead", "ExitHeads"]


class ExitHead(nn.Module):
    """A norm and a square projection, before the model's own unembedding.

    It begins as the logit lens (nostalgebraist 2020) of a model whose last norm is an RMSNorm: the hidden
    state as it is, normalised, in the last head's place. What is learned besides is how an early state must
    be turned for that head to read it, as the tuned lens does (Belrose et al. 2023, arXiv 2303.08112).
    """

    def __init__(self, hidden_size: int, eps: float) -> None:
        super().__init__()
        self.norm = nn.RMSNorm(hidden_size, eps=eps)
        self.projection = nn.Linear(hidden_size, hidden_size, bias=False)
        nn.init.eye_(self.projection.weight)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """Turn states after an inner block, [..., hidden_size], into what the unembedding reads."""
        turned: torch.Tensor = self.projection(self.norm(hidden))
        return turned


class ExitHeads(nn.ModuleDict):
    """Heads by the number of blocks after which they stand.

    Parameters
    ----------
    blocks
        After how many blocks; increasing, all before the last.
    """

    def __init__(self, blocks: Iterable[int], *, hidden_size: int, eps: float = 1e-5) -> None:
        super().__init__({str(block): ExitHead(hidden_size, eps) for block in blocks})

    @property
    def blocks(self) -> tuple[int, ...]:
        """After how many blocks they stand."""
        return tuple(int(block) for block in self)

    def logits(
        self, hidden: torch.Tensor, block: int, unembed: Callable[[torch.Tensor], Any]
    ) -> torch.Tensor:
        """Logits of the exit after so many blocks, [..., n_vocabulary]."""
        logits: torch.Tensor = unembed(self[str(block)](hidden))
        return logits
