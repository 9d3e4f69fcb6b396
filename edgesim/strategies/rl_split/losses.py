"""What has been lost of a request's hidden states, and what that does to its answer."""

from __future__ import annotations

from collections import defaultdict

from edgesim.strategy import Cluster, LiveRequest, Token

__all__ = ["Losses"]


class Losses:
    """Positions that have crossed the cut, and what of them is missing, by the cut at which they crossed.

    A token's answer rests on all positions so far, and tables of answers were measured with all of them
    impaired alike. So a token counts at the mean share that is missing over all positions so far; what was
    lost at several cuts counts at each in the share that it has of all positions.

    Not modelled: that a move by recomputation mends a part of the caches; what was lost counts in full until
    all blocks have computed all positions anew.
    """

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._missing: dict[int, float] = defaultdict(float)
        self._n_positions = 0

    def crossed(self, split: int, n_positions: int, share: float) -> None:
        """Note positions whose hidden states have crossed a cut, of which a share is missing."""
        self._n_positions += n_positions
        if share:
            self._missing[split] += n_positions * share

    def kept(self, n_positions: int) -> None:
        """Note positions that have crossed nothing, or whole."""
        self._n_positions += n_positions

    def made_anew(self) -> None:
        """Forget what is missing: all blocks have computed all positions so far from whole states."""
        self._missing.clear()

    def level(self, split: int) -> float:
        """Mean share that is missing of all positions so far, lost at a cut."""
        return min(1.0, self._missing[split] / self._n_positions) if self._n_positions else 0.0

    def tell(self, cluster: Cluster, request: LiveRequest, token: Token) -> None:
        """Let the token's answer count as measured under that."""
        for split in list(self._missing):
            cluster.impair(request, self._kind, self.level(split), block=split, token=token)
