"""How far computing is divided: shares that are not, from one and two nodes, and how far that law carries.

Two nodes give one number, the share that is not divided; that it stays the same for four and eight is a law
(Amdahl's), which measured shards test: the shipped profiles have halves, quarters and eighths of real blocks.
"""

from __future__ import annotations

import math
from functools import cache

from edgesim.model.architecture import Architecture, Component
from edgesim.model.shipped import load_shipped, shipped_profiles

__all__ = ["form_spread", "head_share", "undivided_share"]

_N_CONTEXTS = (16, 64)


def undivided_share(one: float, two: float) -> float:
    """The share of what one node takes that two do not divide: two = one (u + (1 - u) / 2)."""
    return 2.0 * two / one - 1.0


def head_share(model: Architecture) -> float:
    """The share of a token's computing that is the head's, where reading weights is what takes the time."""
    head_bytes = model.component_bytes(Component.HEAD)
    return head_bytes / (head_bytes + model.n_blocks * model.component_bytes(Component.BLOCK))


@cache
def form_spread(n_nodes: int) -> float:
    """How far measured shards are off that law, fitted to a half: root mean square of the logarithms.

    Over all shipped profiles that have shards of a half and of 1 / `n_nodes`, decoding at two contexts.
    """
    squares = []
    for name in shipped_profiles():
        timing = load_shipped(name).timing()
        if not {1, 2, n_nodes} <= set(timing.shards):
            continue
        for n_context in _N_CONTEXTS:
            whole_s, half_s, shard_s = (
                float(
                    timing.component_seconds(
                        Component.BLOCK, batch=1, n_new=1, n_context=n_context, n_shards=n
                    )
                )
                for n in (1, 2, n_nodes)
            )
            share = max(0.0, undivided_share(whole_s, half_s))
            squares.append(math.log(shard_s / (whole_s * (share + (1.0 - share) / n_nodes))) ** 2)
    return math.sqrt(sum(squares) / len(squares))
