"""Undivided share of computing, from times of one and two nodes, and how well its law extrapolates.

Times of one and two nodes determine one number, the undivided share. That it is the same for four and eight
nodes is Amdahl's law, tested here with measured shards: the shipped profiles have halves, quarters and
eighths of real blocks.
"""

from __future__ import annotations

import math
from functools import cache
from typing import TypeVar

import numpy as np

from edgesim.model.architecture import Architecture, Component
from edgesim.model.shipped import load_shipped, shipped_profiles
from edgesim.validate.published.group_row import Floats

__all__ = ["ends_cost", "ends_share", "form_spread", "relative_work", "undivided_share"]

Number = TypeVar("Number", float, Floats)

_N_CONTEXTS = (16, 64)


def undivided_share(one: Number, two: Number) -> Number:
    """Return the share u of one node's time that two do not divide: two = one (u + (1 - u) / 2)."""
    return 2.0 * two / one - 1.0


def ends_cost(small: Architecture, small_s: Number, large: Architecture, large_s: Number) -> Number:
    """Return the time per weight of the head over that of a block, from one node's times of two models.

    Reading weights takes most of the time. The head's rows cost more, because choosing a token and other work
    done once for the whole vocabulary are counted with them. At least 1.
    """
    small_blocks, small_head = _weights(small)
    large_blocks, large_head = _weights(large)
    ratio = large_s / small_s
    cost: Number = np.maximum(1.0, (ratio * small_blocks - large_blocks) / (large_head - ratio * small_head))
    return cost


def relative_work(model: Architecture, cost: Number) -> Number:
    """Return a token's computing on one device, in weights of blocks."""
    blocks, head = _weights(model)
    return blocks + cost * head


def ends_share(model: Architecture, cost: Number) -> Number:
    """Return the head's share of a token's computing on one device; only the root computes it."""
    return cost * _weights(model)[1] / relative_work(model, cost)


def _weights(model: Architecture) -> tuple[float, float]:
    """Return the numbers of parameters of all blocks, and of the head."""
    blocks = model.n_blocks * model.component_parameters(Component.BLOCK)
    return float(blocks), float(model.component_parameters(Component.HEAD))


@cache
def form_spread(n_nodes: int) -> float:
    """Return the deviation of measured shards from Amdahl's law fitted to halves, as RMS of logarithms.

    Over all shipped profiles with shards of a half and of 1 / `n_nodes`, decoding at two contexts.
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
