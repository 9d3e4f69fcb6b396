"""Compute times of unequal tensor shards, derived from measured equal shards."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from edgesim.model.parts import Component, FloatArray, Slice, Tokens
from edgesim.model.sharding import TensorShard, interpolate_share
from edgesim.model.timing import Origin, Timing, charged

__all__ = ["EqualShards", "ShardTiming"]

_HALVES = (Component.ATTENTION, Component.MLP)


class EqualShards(Timing, Protocol):
    """Timing of equal shards and of a block's components; every timing of this package provides it."""

    @property
    def shards(self) -> tuple[int, ...]:
        """Numbers of equal shards for which times are available; 1 is a whole block."""
        ...

    def component_seconds(
        self, component: Component, *, batch: int, n_new: Tokens, n_context: Tokens, n_shards: int = 1
    ) -> FloatArray:
        """Time of one call of a component, or of one shard of it [s]."""
        ...

    def unsharded_seconds(
        self, component: Component, *, batch: int, n_new: Tokens, n_context: Tokens
    ) -> FloatArray:
        """Time in the limit of a vanishing tensor shard [s]."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class ShardTiming:
    """A :class:`~edgesim.model.timing.Timing` of a device with one tensor shard of every block.

    The time of attention is evaluated at the shard's share of the heads, that of the MLP at its share of the
    width, each interpolated linearly between the measured equal shards on either side
    (:func:`~edgesim.model.sharding.interpolate_share`), never divided. The halves are in the proportion in
    which they were measured separately, and their sum is the time of the block, interpolated in the same way:
    the time of a measured equal shard is reproduced exactly.

    Below the smallest measured shard the last piece is extrapolated towards the remainder at a share of zero,
    but falls no faster than in proportion to the share, and never rises.

    If a share `undivided` of the computing cannot be divided, only the rest is divided; the device that
    computes the undivided part takes that share of the whole block's time in addition.

    Not modelled: that widths which are not a multiple of a kernel's tile are slower than their neighbours,
    and that each device with a copy of a shared KV head computes its products.

    Attributes
    ----------
    timing
        Timing of equal shards on the device.
    shard
        The device's shard.
    """

    timing: EqualShards
    shard: TensorShard

    @property
    def origin(self) -> Origin:
        """Origin of the times of equal shards."""
        return self.timing.origin

    def half_seconds(self, half: Component, *, batch: int, n_new: Tokens, n_context: Tokens) -> FloatArray:
        """Time of the shard of one block's attention or MLP, between two sums over the group [s]."""
        return self.halves_seconds(batch=batch, n_new=n_new, n_context=n_context)[_HALVES.index(half)]

    def costs_as(self, other: ShardTiming) -> bool:
        """Whether another device has equal times: the same timing object and equal shares."""
        return self.timing is other.timing and self._costs == other._costs

    def seconds(
        self, part: Slice, *, batch: int, n_new: Tokens, n_context: Tokens, n_shards: int = 1
    ) -> FloatArray:
        """Time of a pass through a slice: the shards of its blocks, and its undivided ends [s]."""
        _refuse_shards(n_shards)
        total = np.zeros(np.broadcast_shapes(np.shape(n_new), np.shape(n_context)))
        for n_times, component, _ in charged(part, 1):
            if component is Component.BLOCK:
                attention_s, mlp_s = self.halves_seconds(batch=batch, n_new=n_new, n_context=n_context)
                total = total + n_times * (attention_s + mlp_s)
            else:
                total = total + n_times * self.timing.component_seconds(
                    component, batch=batch, n_new=n_new, n_context=n_context
                )
        return total

    def check(self, *, max_new: int, max_context: int, batch: int = 1, n_shards: int = 1) -> None:
        """Refuse lengths that the measured shards used do not cover; see :meth:`Timing.check`."""
        _refuse_shards(n_shards)
        read = {
            n
            for share in {self.shard.block_share, *map(self._share, _HALVES)} - {0.0}
            for n, _ in interpolate_share(share, self.timing.shards)
        }
        if self.shard.computes_undivided:
            read.add(1)
        for n in sorted(read):
            self.timing.check(max_new=max_new, max_context=max_context, batch=batch, n_shards=n)

    def halves_seconds(
        self, *, batch: int, n_new: Tokens, n_context: Tokens
    ) -> tuple[FloatArray, FloatArray]:
        """Times of the shard of one block's attention and MLP [s]."""
        call: dict[str, Any] = {"batch": batch, "n_new": n_new, "n_context": n_context}
        own = self._divided_seconds(self.shard.block_share, *self._shares, **call)
        undivided = self.shard.undivided
        if not undivided:
            return own
        attention_s, mlp_s = ((1.0 - undivided) * half_s for half_s in own)
        if self.shard.computes_undivided:
            whole = self._divided_seconds(1.0, 1.0, 1.0, **call)
            attention_s, mlp_s = attention_s + undivided * whole[0], mlp_s + undivided * whole[1]
        return attention_s, mlp_s

    def _divided_seconds(
        self,
        share: float,
        attention_share: float,
        mlp_share: float,
        *,
        batch: int,
        n_new: Tokens,
        n_context: Tokens,
    ) -> tuple[FloatArray, FloatArray]:
        """Times of any shares of attention and MLP [s]; `share` is that of the block as a whole."""

        def read(component: Component, share: float) -> FloatArray:
            if share == 0:
                return np.zeros(np.broadcast_shapes(np.shape(n_new), np.shape(n_context)))
            return self._read(component, share, batch=batch, n_new=n_new, n_context=n_context)

        if share == 0:
            return read(Component.ATTENTION, 0.0), read(Component.MLP, 0.0)
        apart = [read(half, share) for half in _HALVES]
        together = read(Component.BLOCK, share) / (apart[0] + apart[1])
        own = [
            known if half_share == share else read(half, half_share)
            for half, half_share, known in zip(_HALVES, (attention_share, mlp_share), apart, strict=True)
        ]
        return own[0] * together, own[1] * together

    @property
    def _costs(self) -> tuple[float, ...]:
        return *self._shares, self.shard.undivided, self.shard.computes_undivided

    @property
    def _shares(self) -> tuple[float, float]:
        return self.shard.attention_share, self.shard.mlp_share

    def _share(self, half: Component) -> float:
        return self.shard.attention_share if half is Component.ATTENTION else self.shard.mlp_share

    def _read(
        self, component: Component, share: float, *, batch: int, n_new: Tokens, n_context: Tokens
    ) -> FloatArray:
        """Time of one component at any share [s]."""
        weights = interpolate_share(share, self.timing.shards)
        smallest = max(n for n, _ in weights)
        seconds = np.zeros(np.broadcast_shapes(np.shape(n_new), np.shape(n_context)))
        if share * smallest < 1 and len(weights) > 1:
            of_smallest = share * smallest
            weights = ((smallest, of_smallest),)
            seconds = (1.0 - of_smallest) * self.timing.unsharded_seconds(
                component, batch=batch, n_new=n_new, n_context=n_context
            )
        for n_shards, weight in weights:
            seconds = seconds + weight * self.timing.component_seconds(
                component, batch=batch, n_new=n_new, n_context=n_context, n_shards=n_shards
            )
        return seconds


def _refuse_shards(n_shards: int) -> None:
    if n_shards != 1:
        raise ValueError(f"a device's own shard, in {n_shards} shards: it cannot be divided again")
