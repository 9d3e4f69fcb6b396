"""Unequal tensor shards: attention heads and MLP columns of each device of a group.

An equal shard is defined by one number (:meth:`edgesim.model.architecture.Architecture.shard`). For unequal
shards on different devices, this module rounds requested shares to whole groups of heads and whole columns;
a device's stored bytes follow from its counts. :mod:`edgesim.model.shard_timing` gives the times of such
shards.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from edgesim.errors import InputError, PlacementError
from edgesim.model.architecture import Architecture
from edgesim.model.parts import Component, Slice

__all__ = ["TensorShard", "interpolate_share", "to_heads"]

ROUNDING = 1e-9
"""Relative tolerance within which shares are equal; covers rounding such as that of three added thirds."""


@dataclass(frozen=True)
class TensorShard:
    """One device's part of every block in a tensor-parallel group, at the full hidden size.

    Query heads are assigned in whole groups with the KV head that they share. If a group is spread over
    several devices, because there are more devices than groups, each of them has a copy of its KV head, as
    with equal shards. A device with any part of a block has its normalisations, and the biases of its summed
    projections, in full.

    Attributes
    ----------
    model
        The whole model.
    n_heads, n_kv_heads
        Number of query heads and of KV heads on the device.
    n_columns
        Number of columns of the MLP's first matrices on the device, and of rows of its last.
    undivided
        Share of a block's computing that cannot be divided (Amdahl 1967, doi:10.1145/1465482.1465560); the
        device computes its share of the rest.
    computes_undivided
        Whether this device computes the undivided part.
    """

    model: Architecture
    n_heads: int
    n_kv_heads: int
    n_columns: int
    undivided: float = 0.0
    computes_undivided: bool = False

    @property
    def attention_share(self) -> float:
        """The device's share of the query heads."""
        return self.n_heads / self.model.n_heads

    @property
    def mlp_share(self) -> float:
        """The device's share of the MLP's width."""
        return self.n_columns / self.model.mlp_size

    @cached_property
    def block_share(self) -> float:
        """The device's share of a block: mean of the shares of its halves, weighted by their parameters.

        Used as m_n in power budgets. Copies of a KV head on several devices are not counted.
        """
        attention, mlp = (
            self.model.component_parameters(half) for half in (Component.ATTENTION, Component.MLP)
        )
        return (attention * self.attention_share + mlp * self.mlp_share) / (attention + mlp)

    @property
    def is_empty(self) -> bool:
        """Whether the device has no part of any block."""
        return self.n_heads == 0 and self.n_columns == 0

    @cached_property
    def block_parameters(self) -> int:
        """Number of parameters of one block on the device."""
        shard = self._architecture
        attention = shard.component_parameters(Component.ATTENTION) if self.n_heads else 0
        return attention + (shard.component_parameters(Component.MLP) if self.n_columns else 0)

    def weight_bytes(self, part: Slice) -> int:
        """Bytes of the weights of a slice on the device: its shard of the blocks, and undivided ends."""
        shard = self._architecture
        block_bytes = shard.component_bytes(Component.ATTENTION) if self.n_heads else 0.0
        block_bytes += shard.component_bytes(Component.MLP) if self.n_columns else 0.0
        return math.ceil(part.n_blocks * block_bytes) + self.model.weight_bytes(
            Slice(0, 0, part.embedding, part.head)
        )

    def kv_bytes_per_token(self, n_blocks: int = 1) -> int:
        """Bytes of one token in the device's shard of the KV cache of `n_blocks` blocks."""
        return self._architecture.kv_bytes_per_token(n_blocks)

    @property
    def _architecture(self) -> Architecture:
        """Model whose blocks are this shard; for counting only, because its digest is the whole model's."""
        return replace(self.model, n_heads=self.n_heads, n_kv_heads=self.n_kv_heads, mlp_size=self.n_columns)


def to_heads(
    shares: Sequence[float],
    model: Architecture,
    *,
    at_most: Sequence[float] | None = None,
    may_be_empty: bool = False,
    column_multiple: int = 1,
) -> tuple[TensorShard, ...]:
    """Round shares of a model to whole groups of heads and whole columns, by the largest remainder.

    The counts are those nearest to the shares (least sum of squares) that add up to the whole model; ties go
    to the first device. Heads and columns are rounded separately. If there are more devices than KV heads,
    groups are divided into the fewest equal parts that leave one for each device.

    Parameters
    ----------
    shares : [n_devices]
        Requested shares, in any unit: they are divided by their sum. A device with share 0 gets no part.
    model
        The whole model.
    at_most : [n_devices]
        Largest share of heads, and of columns, of each device, such as its memory or power allows; None: no
        limit.
    may_be_empty
        Whether a share above 0 may be rounded to 0. Otherwise the device gets at least one group of heads and
        one column.
    column_multiple
        Columns are assigned in multiples of this number, such as 32 for blocks of quantised weights.

    Raises
    ------
    InputError
        If the shares are invalid, or the model cannot be divided among this number of devices.
    PlacementError
        If the limits leave too little room.
    """
    _check(shares, model, column_multiple)
    n_holding = sum(share > 0 for share in shares)
    n_parts = 1 if may_be_empty else _parts_per_group(model, n_holding)
    least = [int(share > 0 and not may_be_empty) for share in shares]
    limits = [1.0] * len(shares) if at_most is None else at_most
    pieces = {"groups of heads": model.n_kv_heads * n_parts, "columns": model.mlp_size // column_multiple}
    counts = [
        _nearest(shares, n_pieces, least, limits, f"model {model.name}: {what}")
        for what, n_pieces in pieces.items()
    ]
    heads_each = model.n_heads // (model.n_kv_heads * n_parts)
    shards, first = [], 0
    for n_units, n_columns in zip(*counts, strict=True):
        last = first + n_units
        n_kv_heads = -(-last // n_parts) - first // n_parts if n_units else 0
        shards.append(TensorShard(model, n_units * heads_each, n_kv_heads, n_columns * column_multiple))
        first = last
    return tuple(shards)


def interpolate_share(share: float, measured: Sequence[int]) -> tuple[tuple[int, float], ...]:
    """Return interpolation weights of the measured equal shards on either side of a share.

    A time is the sum of the measured times with these weights, linear in the share; at a measured shard, its
    time alone. Below the smallest shard the last piece is extrapolated, so that constant parts are kept: an
    overhead o and work w give ``o + w share`` exactly at any share. (Noise can make the line negative;
    :class:`edgesim.model.shard_timing.ShardTiming` bounds it.)

    Parameters
    ----------
    share
        Above 0, at most 1.
    measured
        Numbers of equal shards for which one was measured, 1 for the whole: {1, 2, 4, 8}, in any order.

    Returns
    -------
    One or two pairs (number of shards, weight); the weights sum to 1, and one is negative below the smallest.

    Raises
    ------
    InputError
        If the share is out of range, or too few shards were measured to interpolate it.
    """
    if not 0 < share <= 1 + ROUNDING:
        raise InputError(f"a shard of {share:g} of a model; expected a share above 0 and at most 1")
    known = sorted(set(measured))
    for n_shards in known:
        if abs(share * n_shards - 1) <= ROUNDING:
            return ((n_shards, 1.0),)
    if len(known) < 2 or share > 1 / known[0]:
        raise InputError(
            f"a shard of {share:.4g} of a model; measured were {', '.join(f'1/{n}' for n in known) or 'none'}"
            ": expected the whole and at least one shard; measure again with --shard"
        )
    at = next((i for i, n_shards in enumerate(known) if share * n_shards > 1), len(known) - 1)
    larger, smaller = known[at - 1], known[at]
    weight = (share - 1 / smaller) / (1 / larger - 1 / smaller)
    return ((larger, weight), (smaller, 1.0 - weight))


def _check(shares: Sequence[float], model: Architecture, column_multiple: int) -> None:
    if model.n_shards != 1:
        raise ValueError(f"unequal shards of a model of {model.n_shards} shards")
    if not all(share >= 0 for share in shares) or not 0 < sum(shares) < math.inf:
        raise InputError(
            f"model {model.name}: shares {', '.join(f'{share:g}' for share in shares) or 'of no device'}; "
            "expected numbers of at least 0, and one above 0"
        )
    if column_multiple < 1 or model.mlp_size % column_multiple:
        raise InputError(
            f"model {model.name}: an MLP {model.mlp_size} wide in multiples of {column_multiple}; expected a "
            "divisor of its width"
        )


def _parts_per_group(model: Architecture, n_devices: int) -> int:
    """Smallest number of parts per KV head's group of query heads such that every device can have one."""
    group = model.n_heads // model.n_kv_heads
    for n_parts in range(1, group + 1):
        if group % n_parts == 0 and model.n_kv_heads * n_parts >= n_devices:
            return n_parts
    raise InputError(
        f"model {model.name} has {model.n_heads} heads for {n_devices} devices; expected at least one each: "
        "use fewer devices, or allow empty shards"
    )


def _nearest(
    shares: Sequence[float], n_pieces: int, least: Sequence[int], limits: Sequence[float], what: str
) -> list[int]:
    """Return the whole numbers nearest to shares of `n_pieces`, within bounds and adding up to `n_pieces`.

    A separable convex problem: the greedy method, one piece at a time to the device furthest below its share,
    is exact (Fox 1966, doi:10.1287/mnsc.13.3.210).
    """
    total = sum(shares)
    wanted = [share / total * n_pieces for share in shares]
    most = [
        min(n_pieces, math.floor(limit * n_pieces * (1 + ROUNDING))) if share > 0 else 0
        for limit, share in zip(limits, shares, strict=True)
    ]
    if sum(most) < n_pieces or sum(least) > n_pieces or any(a > b for a, b in zip(least, most, strict=True)):
        raise PlacementError(
            f"{what}: {n_pieces} of them on devices that can take at most {', '.join(map(str, most))} and at "
            f"least {', '.join(map(str, least))}; expected room for all: add devices, memory or "
            "power, or allow empty shards"
        )
    counts = [
        min(high, max(low, math.floor(exact + ROUNDING)))
        for low, exact, high in zip(least, wanted, most, strict=True)
    ]
    devices = range(len(shares))
    while (missing := n_pieces - sum(counts)) != 0:
        step = 1 if missing > 0 else -1
        open_ = [d for d in devices if (counts[d] < most[d] if step > 0 else counts[d] > least[d])]
        counts[max(open_, key=lambda d: step * (wanted[d] - counts[d]))] += step
    return counts
