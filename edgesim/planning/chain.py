"""The problem of placing a model's blocks along a chain of devices, and its solution.

A token traverses the chain: the starter embeds it, every device on the chain runs one contiguous range of
blocks and sends the activation on, and the result returns to the starter.

Each device holds exactly one range. A second range on the same device would be a second process with its own
cache, and a second message per token through the same endpoint, which neither EdgeShard nor MDI-LLM deploys.
With one range per device, "memory respected" is a statement about a range, and so can be checked exactly.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from edgesim.errors import PlacementError

__all__ = ["Chain", "ChainStage", "LatencyProblem"]

FloatArray: TypeAlias = npt.NDArray[np.float64]
IntArray: TypeAlias = npt.NDArray[np.int64]


def _nothing() -> FloatArray:
    return np.zeros(1)


class ChainStage(NamedTuple):
    """A device and the blocks ``[first, last)`` that it holds; ``first == last`` means none."""

    device: int
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Chain:
    """A placement of the blocks, in the order in which an activation traverses it.

    The first stage is the starter's. It is empty if the starter holds only the embedding (and head).
    """

    stages: tuple[ChainStage, ...]
    cost_s: float

    @property
    def starter(self) -> int:
        """Device that embeds the tokens and receives the result."""
        return self.stages[0].device


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LatencyProblem:
    """Everything that determines the latency of a chain. Devices and blocks are indices.

    All times are expected seconds per request (or per token at the workload's mix of prefill and decode; any
    one unit is valid). If memory must also hold KV caches, ``block_bytes`` includes them. The memory of a
    device's process is subtracted from ``memory_bytes`` in advance.

    Attributes
    ----------
    block_s : [n_devices, n_blocks]
        Time of each block on each device.
    hop_s : [n_devices, n_devices]
        Time to send the activation from row to column, endpoints included; ``inf`` without a route. The
        diagonal is set to 0: no message is sent within a device.
    memory_bytes : [n_devices]
        Room for weights and caches.
    block_bytes : [n_blocks]
        Memory that each block takes.
    weight_room_bytes : [n_devices], optional
        Room for weights alone, where loading them takes more memory than keeping them: a second limit in
        addition to ``memory_bytes``. None: no such limit.
    block_weight_bytes : [n_blocks], optional
        Bytes of each block that count against that limit; None: all of ``block_bytes``. Embedding and head
        count in full.
    starter
        Device at which requests start. None: the planner chooses it.
    first_block_at_starter
        Whether the starter must hold the first block (EdgeShard: raw prompts never leave the source; MDI-LLM:
        the starter takes part). If not, it may hold the embedding alone.
    embedding_s, head_s : [n_devices]
        Time before the first block (embedding), and after the last (final norm, head, sampling).
    embedding_bytes, head_bytes
        Memory that embedding and head take.
    head_at
        ``"starter"``: the last activation returns to the starter, which runs the head (MDI-LLM: no hop ever
        carries a vocabulary vector). ``"last"``: the device of the last block runs it, and the token returns.
    return_s : [n_devices, n_devices]
        Time of that return from row (last device) to column (starter). None: ``hop_s``, which is exact for
        ``head_at="starter"`` and an upper bound for a token.
    """

    block_s: FloatArray
    hop_s: FloatArray
    memory_bytes: IntArray
    block_bytes: IntArray
    weight_room_bytes: IntArray | None = None
    block_weight_bytes: IntArray | None = None
    starter: int | None = None
    first_block_at_starter: bool = True
    embedding_s: FloatArray = field(default_factory=_nothing)
    head_s: FloatArray = field(default_factory=_nothing)
    embedding_bytes: int = 0
    head_bytes: int = 0
    head_at: Literal["starter", "last"] = "starter"
    return_s: FloatArray | None = None

    def __post_init__(self) -> None:
        n_devices, n_blocks = np.shape(self.block_s)
        if n_devices < 1 or n_blocks < 1:
            raise PlacementError(
                f"latency partition: {n_blocks} blocks, {n_devices} devices; expected at least one of each"
            )
        if self.starter is not None and not 0 <= self.starter < n_devices:
            raise PlacementError(
                f"latency partition: starter is {self.starter}; expected 0 to {n_devices - 1}: name a device"
            )
        self._freeze("block_s", np.float64, n_devices, n_blocks)
        self._freeze("hop_s", np.float64, n_devices, n_devices)
        self._freeze("memory_bytes", np.int64, n_devices)
        self._freeze("block_bytes", np.int64, n_blocks)
        self._freeze("embedding_s", np.float64, n_devices)
        self._freeze("head_s", np.float64, n_devices)
        if self.weight_room_bytes is not None:
            self._freeze("weight_room_bytes", np.int64, n_devices)
            if self.block_weight_bytes is None:
                object.__setattr__(self, "block_weight_bytes", self.block_bytes)
            self._freeze("block_weight_bytes", np.int64, n_blocks)
        if self.return_s is not None:
            self._freeze("return_s", np.float64, n_devices, n_devices)

    def _freeze(self, name: str, dtype: type[np.generic], *shape: int) -> None:
        """Replace a field by a read-only array of the given type and shape; a scalar fills all entries."""
        given = np.asarray(getattr(self, name), dtype=dtype)
        if given.size != 1 and given.shape != shape:
            raise PlacementError(
                f"latency partition: {name} has shape {given.shape}; expected {shape}: correct it"
            )
        array = np.array(np.broadcast_to(given.reshape(()) if given.size == 1 else given, shape))
        may_be_endless = name in ("hop_s", "return_s")  # no route
        if not ((array >= 0) & (may_be_endless | np.isfinite(array))).all():
            raise PlacementError(
                f"latency partition: {name} ranges from {array.min()} to {array.max()}; expected "
                f"{'numbers' if may_be_endless else 'finite numbers'} of 0 or more: correct it"
            )
        if may_be_endless:
            np.fill_diagonal(array, 0.0)
        array.setflags(write=False)
        object.__setattr__(self, name, array)

    @property
    def n_devices(self) -> int:
        """Number of devices to choose from."""
        return int(self.block_s.shape[0])

    @property
    def n_blocks(self) -> int:
        """Number of blocks to place."""
        return int(self.block_s.shape[1])

    @property
    def needed_bytes(self) -> int:
        """Memory that the whole model takes, embedding and head included."""
        return int(self.block_bytes.sum()) + self.embedding_bytes + self.head_bytes

    @property
    def back_s(self) -> FloatArray:
        """Time of the return from row (last device) to column (starter)."""
        return self.hop_s if self.return_s is None else self.return_s

    def hand_over_s(self, giver: int, taker: int) -> float:
        """Return the time to send the activation from one device to another; 0 within a device."""
        return float(self.hop_s[giver, taker])

    def hand_back_s(self, last: int, starter: int) -> float:
        """Return the time to send the result from the last device to the starter; 0 if they are the same."""
        return float(self.back_s[last, starter])

    @property
    def limits(self) -> tuple[tuple[IntArray, IntArray], ...]:
        """Limits on what a device may hold: pairs of room by device and bytes by block."""
        memory = (self.memory_bytes, self.block_bytes)
        if self.weight_room_bytes is None or self.block_weight_bytes is None:
            return (memory,)
        return (memory, (self.weight_room_bytes, self.block_weight_bytes))

    def taken_bytes(self, stages: tuple[ChainStage, ...]) -> dict[int, int]:
        """Return the memory that a chain takes on each of its devices."""
        return self._taken_bytes(stages, self.block_bytes)

    def _taken_bytes(self, stages: tuple[ChainStage, ...], block_bytes: IntArray) -> dict[int, int]:
        taken: Counter[int] = Counter()
        for stage in stages:
            taken[stage.device] += int(block_bytes[stage.first : stage.last].sum())
        taken[stages[0].device] += self.embedding_bytes
        taken[stages[0 if self.head_at == "starter" else -1].device] += self.head_bytes
        return dict(taken)

    def fits(self, stages: tuple[ChainStage, ...]) -> bool:
        """Return whether every device on the chain has room for its stages, embedding and head."""
        return all(
            n_bytes <= room_bytes[device]
            for room_bytes, block_bytes in self.limits
            for device, n_bytes in self._taken_bytes(stages, block_bytes).items()
        )

    def cost_s(self, stages: tuple[ChainStage, ...]) -> float:
        """Return the time of one pass along a chain and back to its starter."""
        starter, last = stages[0].device, stages[-1].device
        blocks_s = [
            float(time_s) for device, first, end in stages for time_s in self.block_s[device, first:end]
        ]
        hops_s = [self.hand_over_s(a.device, b.device) for a, b in pairwise(stages)]
        head = starter if self.head_at == "starter" else last
        ends_s = [float(self.embedding_s[starter]), float(self.head_s[head]), self.hand_back_s(last, starter)]
        return math.fsum([*blocks_s, *hops_s, *ends_s])

    def chain(self, stages: tuple[ChainStage, ...]) -> Chain:
        """Return the chain of these stages, with its cost."""
        return Chain(stages, self.cost_s(stages))
