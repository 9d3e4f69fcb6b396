"""One pass of a request with a split model: device, uplink, edge."""

from __future__ import annotations

from typing import Any

from edgesim.strategies.rl_split.losses import Losses
from edgesim.strategy import Cluster, LiveRequest, Serving, Slice, Token

__all__ = ["serve_token"]


def serve_token(
    request: LiveRequest,
    cluster: Cluster,
    edge: str,
    split: int,
    token: Token,
    losses: Losses,
    n_blocks: int,
) -> Serving:
    """Compute a token before and after the split, and send the hidden states between.

    Parameters
    ----------
    losses
        Records lost hidden states, and reports the token's impairment.
    n_blocks
        Number of blocks of the model.
    """
    device = request.source
    if split == n_blocks:
        yield from cluster.compute(request, device, Slice(0, n_blocks, embedding=True, head=True), token)
        losses.kept(token.n_new)
        losses.impair(cluster, request, token)
        yield from cluster.emit(request, device, token)
        return
    if split == 0:
        if token.index == 0:
            yield from cluster.send(request, device, edge, request.prompt_bytes)
        losses.kept(token.n_new)
    else:
        yield from cluster.compute(request, device, Slice(0, split, embedding=True), token)
        sending: Any = cluster.send(
            request, device, edge, token.activation_bytes, carries="state", unacknowledged=True
        )
        share: float | None = yield from sending
        losses.crossed(split, token.n_new, share or 0.0)
    part = Slice(split, n_blocks, embedding=split == 0, head=True)
    yield from cluster.compute(request, edge, part, token)
    losses.impair(cluster, request, token)
    if split and not token.is_last:  # the device embeds the next token
        yield from cluster.send(request, edge, device, request.token_bytes)
        yield from cluster.emit(request, device, token)
    else:
        yield from cluster.emit(request, edge, token)
