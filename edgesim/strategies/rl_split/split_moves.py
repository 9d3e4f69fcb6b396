"""Moving the split within a request: blocks that change ends need their KV caches at the new end."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, Literal

from edgesim.model.architecture import Architecture
from edgesim.strategy import Cluster, Fleet, LiveRequest, Slice, Token

__all__ = ["Mover", "Moving"]

Moving = Literal["transfer", "recompute", "cheaper"]


@dataclass(frozen=True, eq=False)
class Mover:
    """Moves the split of a request between two passes.

    Transfer: one acknowledged message carries the keys and values of the moved blocks for all positions so
    far. Recompute: hidden states are not kept, so the device's blocks before the new split recompute all
    positions so far. If blocks move to the edge, their input states at the new split follow in one
    acknowledged message (token ids if the edge takes all blocks), and the moved blocks process them there.

    Not modelled: caches that stay at the old end and would only need an update when the split returns; moving
    while the device computes.
    """

    model: Architecture
    fleet: Fleet
    how: Moving

    def cache_bytes(self, old: int, new: int, n_positions: int) -> int:
        """Return the size of the keys and values of the blocks between two splits [byte]."""
        return n_positions * self.model.kv_bytes_per_token(abs(new - old))

    def state_bytes(self, new: int, n_positions: int, token_bytes: int) -> int:
        """Return the bytes that recomputation sends to the edge: states, or token ids for split 0."""
        return n_positions * (self.model.activation_bytes(1) if new else token_bytes)

    def transfer_s(
        self, cluster: Cluster, device: str, edge: str, old: int, new: int, n_positions: int
    ) -> float:
        """Return the time to transfer the caches, at the links' present state [s]."""
        ends = (edge, device) if new > old else (device, edge)
        return cluster.observe().route(*ends).seconds(self.cache_bytes(old, new, n_positions))

    def recompute_s(
        self, cluster: Cluster, request: LiveRequest, edge: str, old: int, new: int, n_positions: int
    ) -> float:
        """Return the time to recompute all positions, at the present state of devices and links [s]."""
        view, device = cluster.observe(), request.source
        total_s = 0.0
        if new:
            part = Slice(0, new, embedding=True)
            total_s += view.work_s(device) + self.fleet.seconds(device, part, n_new=n_positions, n_context=0)
        if new < old:
            size_bytes = self.state_bytes(new, n_positions, request.token_bytes)
            total_s += view.route(device, edge).seconds(size_bytes) + view.work_s(edge)
            part = Slice(new, old, embedding=new == 0)
            total_s += self.fleet.seconds(edge, part, n_new=n_positions, n_context=0)
        return total_s

    def seconds(
        self, cluster: Cluster, request: LiveRequest, edge: str, old: int, new: int, n_positions: int
    ) -> float:
        """Return the time of a move now, by the configured method [s]."""
        if old == new or n_positions == 0:
            return 0.0
        transfer_s = self.transfer_s(cluster, request.source, edge, old, new, n_positions)
        if self.how == "transfer":
            return transfer_s
        recompute_s = self.recompute_s(cluster, request, edge, old, new, n_positions)
        return recompute_s if self.how == "recompute" else min(transfer_s, recompute_s)

    def move(
        self, request: LiveRequest, cluster: Cluster, edge: str, old: int, new: int, token: Token
    ) -> Generator[Any, Any, bool]:
        """Move the split before a pass.

        Parameters
        ----------
        token
            The next pass.

        Returns
        -------
        bool
            Whether every block has recomputed all positions, so that no earlier losses remain. This is so
            after recomputation if the old or the new split is after the last block. Any other move leaves
            caches as they were, at least those of the blocks after both splits.
        """
        device, n_positions = request.source, token.n_context
        transfers = self.how == "transfer"
        if self.how == "cheaper":
            transfer_s = self.transfer_s(cluster, device, edge, old, new, n_positions)
            transfers = transfer_s <= self.recompute_s(cluster, request, edge, old, new, n_positions)
        if old == 0:  # the device embeds the next token
            yield from cluster.send(request, edge, device, request.token_bytes, carries="ids")
        if transfers:
            ends = (edge, device) if new > old else (device, edge)
            size_bytes = self.cache_bytes(old, new, n_positions)
            if old == self.model.n_blocks and new == 0:
                yield from cluster.send(
                    request, *ends, size_bytes + request.token_bytes, carries=("cache", "ids")
                )
            else:
                yield from cluster.send(request, *ends, size_bytes, carries="cache")
            return False
        recomputed = Token(token.index, n_positions, 0, self.model.activation_bytes(n_positions), False)
        if new:
            yield from cluster.compute(request, device, Slice(0, new, embedding=True), recomputed)
        if new < old:
            size_bytes = self.state_bytes(new, n_positions, request.token_bytes)
            if new:
                yield from cluster.send(request, device, edge, size_bytes, carries="state")
            else:
                yield from cluster.send(
                    request, device, edge, size_bytes + request.token_bytes, carries=("prompt", "ids")
                )
            yield from cluster.compute(request, edge, Slice(new, old, embedding=new == 0), recomputed)
        return max(old, new) == self.model.n_blocks
