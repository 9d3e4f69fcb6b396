"""Moving the cut within a request: blocks that change hands need their KV caches at the other end."""

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
    """Moves the cut of a request between two passes.

    Transfer: the keys and values of the blocks that change hands, for all positions so far, in one
    acknowledged message. Recompute: hidden states are not kept, so all positions so far go anew through the
    device's blocks before the new cut; where the edge takes blocks on, their states after the cut follow in
    one acknowledged message (token ids where the edge takes all), and pass the blocks that it takes on.

    Not modelled: caches that stay behind and need an update only when the cut comes back; moving while the
    device computes.
    """

    model: Architecture
    fleet: Fleet
    how: Moving

    def cache_bytes(self, old: int, new: int, n_positions: int) -> int:
        """Keys and values of the blocks between two cuts [byte]."""
        return n_positions * self.model.kv_bytes_per_token(abs(new - old))

    def state_bytes(self, new: int, n_positions: int, token_bytes: int) -> int:
        """What recomputation sends to the edge that takes blocks on [byte]: states, or ids for cut 0."""
        return n_positions * (self.model.activation_bytes(1) if new else token_bytes)

    def transfer_s(
        self, cluster: Cluster, device: str, edge: str, old: int, new: int, n_positions: int
    ) -> float:
        """Time that the caches would take, as links stand now [s]."""
        ends = (edge, device) if new > old else (device, edge)
        return cluster.observe().route(*ends).seconds(self.cache_bytes(old, new, n_positions))

    def recompute_s(
        self, cluster: Cluster, request: LiveRequest, edge: str, old: int, new: int, n_positions: int
    ) -> float:
        """Time that computing all positions anew would take, as devices and links stand now [s]."""
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
        """What a move would take now, the way in which it would be made [s]."""
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
        """Move the cut before a pass.

        Parameters
        ----------
        token
            The pass that comes next.

        Returns
        -------
        bool
            Whether every block has computed all positions anew, so that nothing is left of earlier losses:
            after recomputation from or to the cut behind which no block is. Any other move leaves caches
            as they were, at least those of the blocks behind both cuts.
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
        anew = Token(token.index, n_positions, 0, self.model.activation_bytes(n_positions), False)
        if new:
            yield from cluster.compute(request, device, Slice(0, new, embedding=True), anew)
        if new < old:
            size_bytes = self.state_bytes(new, n_positions, request.token_bytes)
            if new:
                yield from cluster.send(request, device, edge, size_bytes, carries="state")
            else:
                yield from cluster.send(
                    request, device, edge, size_bytes + request.token_bytes, carries=("prompt", "ids")
                )
            yield from cluster.compute(request, edge, Slice(new, old, embedding=new == 0), anew)
        return max(old, new) == self.model.n_blocks
