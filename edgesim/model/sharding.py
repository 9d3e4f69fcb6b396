"""Unequal tensor shards: which heads and which columns of the MLP each device of a group holds.

An equal shard is one number (:meth:`edgesim.model.architecture.Architecture.shard`). Devices that differ
hold unequal ones: wanted shares are rounded to whole groups of heads and whole columns here, and what each
device then stores follows from its own counts. What such a shard costs in time is given by
:mod:`edgesim.model.shard_timing`.
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
"""Shares closer than this, relative, are one: what is left of a third after three additions."""


@dataclass(frozen=True)
class TensorShard:
    """What one device of a group holds of every block, at the full hidden size.

    Query heads come in whole groups with the KV head that they share. Where a group is spread over several
    devices, because there are more devices than groups, each of them holds its KV head, as equal shards do.
    A device that holds any part of a block holds its normalisations, and the biases of what is summed,
    entire.

    Attributes
    ----------
    model
        The whole model.
    n_heads, n_kv_heads
        Query heads held, and KV heads.
    n_columns
        Columns of the MLP's first matrices held, and as many rows of the last.
    undivided
        Share of a block's computing that no cutting divides (Amdahl 1967, doi:10.1145/1465482.1465560): of
        the rest the device computes its share.
    computes_undivided
        Whether this device computes what is not divided.
    """

    model: Architecture
    n_heads: int
    n_kv_heads: int
    n_columns: int
    undivided: float = 0.0
    computes_undivided: bool = False

    @property
    def attention_share(self) -> float:
        """Share of the query heads."""
        return self.n_heads / self.model.n_heads

    @property
    def mlp_share(self) -> float:
        """Share of the MLP's width."""
        return self.n_columns / self.model.mlp_size

    @cached_property
    def block_share(self) -> float:
        """Share of a block: of its two halves' shares the mean, weighted with the halves' parameters.

        The m_n of a power budget. A KV head that several devices hold is not counted again.
        """
        attention, mlp = (
            self.model.component_parameters(half) for half in (Component.ATTENTION, Component.MLP)
        )
        return (attention * self.attention_share + mlp * self.mlp_share) / (attention + mlp)

    @property
    def is_empty(self) -> bool:
        """Whether the device holds nothing of any block."""
        return self.n_heads == 0 and self.n_columns == 0

    @cached_property
    def block_parameters(self) -> int:
        """Parameters that the device holds of one block."""
        held = self._architecture
        attention = held.component_parameters(Component.ATTENTION) if self.n_heads else 0
        return attention + (held.component_parameters(Component.MLP) if self.n_columns else 0)

    def weight_bytes(self, part: Slice) -> int:
        """Bytes of the weights of its shard of so many blocks; of the ends, where held, all."""
        held = self._architecture
        block_bytes = held.component_bytes(Component.ATTENTION) if self.n_heads else 0.0
        block_bytes += held.component_bytes(Component.MLP) if self.n_columns else 0.0
        return math.ceil(part.n_blocks * block_bytes) + self.model.weight_bytes(
            Slice(0, 0, part.embedding, part.head)
        )

    def kv_bytes_per_token(self, n_blocks: int = 1) -> int:
        """Bytes that one token leaves in its shard of the KV cache of so many blocks."""
        return self._architecture.kv_bytes_per_token(n_blocks)

    @property
    def _architecture(self) -> Architecture:
        """A model whose blocks are this shard: only for counting, since its digest is the whole model's."""
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
    to the device named first. Heads and columns are rounded each by itself. Where there are more devices
    than KV heads, groups are cut into the fewest equal parts that leave one for each device.

    Parameters
    ----------
    shares : [n_devices]
        Wanted shares, in any unit: they are divided by their sum. A share of 0 gets nothing.
    model
        The whole model.
    at_most : [n_devices]
        The largest share of heads, and of columns, that each device may be given, such as what its memory
        or its power allows; None: no limit.
    may_be_empty
        Whether a share above 0 may be rounded to nothing. Otherwise it is given at least one group of heads
        and one column.
    column_multiple
        Columns come in multiples of so many, such as the 32 of a quantised block of weights.

    Raises
    ------
    InputError
        If the shares are none, or the model cannot be cut so often.
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
    """Find between which measured equal shards a share lies, and how much each counts.

    Linear in the share: a time is the sum of the measured ones times these weights. At a measured shard it
    is that one alone. Below the smallest the last piece goes on, so that what does not shrink with the
    share stays: with an overhead o and work w, ``o + w share`` is met exactly at any share. (Noise can let a
    line fall below zero; :class:`edgesim.model.shard_timing.ShardTiming` says how that is bounded.)

    Parameters
    ----------
    share
        Above 0, at most 1.
    measured
        Of how many equal shards one was measured, 1 for the whole: {1, 2, 4, 8}, in any order.

    Returns
    -------
    One or two pairs (how many shards, weight); the weights sum to 1, and one is negative below the smallest.

    Raises
    ------
    InputError
        If the share is none, or was not measured while too few others were.
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
            ": expected the whole and at least one shard: measure again with --shard"
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
    """Into how many parts a KV head's group of query heads is cut, so that every device can have one."""
    group = model.n_heads // model.n_kv_heads
    for n_parts in range(1, group + 1):
        if group % n_parts == 0 and model.n_kv_heads * n_parts >= n_devices:
            return n_parts
    raise InputError(
        f"model {model.name} has {model.n_heads} heads for {n_devices} devices; expected at least one each: "
        "use fewer devices, or let some hold nothing"
    )


def _nearest(
    shares: Sequence[float], n_pieces: int, least: Sequence[int], limits: Sequence[float], what: str
) -> list[int]:
    """Whole numbers nearest to shares of `n_pieces`, between their bounds and summing up to all.

    A separable convex problem: one piece at a time, to the device furthest below its share, is exact
    (Fox 1966, doi:10.1287/mnsc.13.3.210).
    """
    total = sum(shares)
    wanted = [share / total * n_pieces for share in shares]
    most = [
        min(n_pieces, math.floor(limit * n_pieces * (1 + ROUNDING))) if share > 0 else 0
        for limit, share in zip(limits, shares, strict=True)
    ]
    if sum(most) < n_pieces or sum(least) > n_pieces or any(a > b for a, b in zip(least, most, strict=True)):
        raise PlacementError(
            f"{what}: {n_pieces} of them on devices that can hold {', '.join(map(str, most))} and are to "
            f"hold at least {', '.join(map(str, least))}; expected room for all: add devices, memory or "
            "power, or let some hold nothing"
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
