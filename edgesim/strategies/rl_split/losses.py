"""Losses of a request's hidden states, and the resulting impairment of its answer."""

from __future__ import annotations

from collections import defaultdict

from edgesim.strategy import Cluster, LiveRequest, Token

__all__ = ["Losses"]


class Losses:
    """Positions that have crossed the split, and the missing share of them, by the split that they crossed.

    A token's answer depends on all positions so far, and quality tables were measured with all positions
    impaired equally. A token's impairment is therefore the mean missing share over all positions so far.
    Losses at several splits count separately, each by its share of all positions.

    Not modelled: repair of part of the caches by a move with recomputation; losses count in full until all
    blocks have recomputed all positions.
    """

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._missing: dict[int, float] = defaultdict(float)
        self._n_positions = 0

    def crossed(self, split: int, n_positions: int, share: float) -> None:
        """Record positions whose hidden states have crossed a split, and their missing share."""
        self._n_positions += n_positions
        if share:
            self._missing[split] += n_positions * share

    def kept(self, n_positions: int) -> None:
        """Record positions whose hidden states have crossed no split, or arrived complete."""
        self._n_positions += n_positions

    def recomputed(self) -> None:
        """Clear the losses: all blocks have recomputed all positions so far from complete states."""
        self._missing.clear()

    def level(self, split: int) -> float:
        """Return the mean missing share over all positions so far, of losses at a split."""
        return min(1.0, self._missing[split] / self._n_positions) if self._n_positions else 0.0

    def impair(self, cluster: Cluster, request: LiveRequest, token: Token) -> None:
        """Report the impairment of the token's answer to the cluster."""
        for split in list(self._missing):
            cluster.impair(request, self._kind, self.level(split), block=split, token=token)
