"""What a device charges for computing: the contract, and timings that know the time of each component."""

from __future__ import annotations

from abc import ABC, abstractmethod
from enum import StrEnum
from typing import Literal, Protocol

import numpy as np

from edgesim.model.architecture import Architecture
from edgesim.model.parts import Component, FloatArray, Slice, Tokens

__all__ = ["ComponentTiming", "FormulaTiming", "Origin", "Phase", "Timing", "charged", "phase_of"]

Origin = Literal["measured", "scaled", "analytic"]


class Phase(StrEnum):
    """Prefill reads a prompt of any length; decode adds one token to a context."""

    PREFILL = "prefill"
    DECODE = "decode"


def phase_of(n_new: int, n_context: int) -> Phase:
    """Say which phase a call belongs to: decode is one new token behind at least one earlier token."""
    return Phase.DECODE if n_new == 1 and n_context > 0 else Phase.PREFILL


class Timing(Protocol):
    """What a simulated device charges for computing: the one door between compute and the engine."""

    @property
    def origin(self) -> Origin:
        """Where the times come from: this host, another host's scaled to this device, or formulas alone."""
        ...

    def seconds(
        self, part: Slice, *, batch: int, n_new: Tokens, n_context: Tokens, n_shards: int = 1
    ) -> FloatArray:
        """Seconds of one pass through a slice, for every pair of the broadcast token counts.

        Parameters
        ----------
        part
            The slice: its blocks; the embedding, where held; where the head is held, the head and one
            generation step (token choice and the host work of each token).
        batch
            Sequences passing together.
        n_new
            New tokens of each sequence: the prompt's in prefill, 1 in decode.
        n_context
            Tokens of each sequence already in the KV cache before the pass.
        n_shards
            Of the blocks, one of so many tensor shards passes
            (:meth:`edgesim.model.architecture.Architecture.shard`); embedding, head and generation step are
            never divided. Summing up the shards' partial results is communication, and not part of it.

        Raises
        ------
        ProfileError
            Beyond what was measured, and a stated margin.
        """
        ...

    def check(self, *, max_new: int, max_context: int, batch: int = 1, n_shards: int = 1) -> None:
        """Raise a ProfileError unless prompts and contexts up to these can be charged.

        One by one, or in batches of up to `batch`; whole, or as one of `n_shards` shards. `max_new` 0 asks of
        contexts alone. An encoder has no contexts, and `max_context` does not matter to it.
        """
        ...


class ComponentTiming(ABC):
    """A :class:`Timing` that knows the time of each component: a slice takes as long as all it calls."""

    __slots__ = ()

    @property
    @abstractmethod
    def shards(self) -> tuple[int, ...]:
        """Of how many equal shards one can be charged; 1 is a block entire."""

    @abstractmethod
    def component_seconds(
        self, component: Component, *, batch: int, n_new: Tokens, n_context: Tokens, n_shards: int = 1
    ) -> FloatArray:
        """Seconds of one call of one component, or of one shard of it."""

    def unsharded_seconds(
        self, component: Component, *, batch: int, n_new: Tokens, n_context: Tokens
    ) -> FloatArray:
        """Seconds that are left where a device's share goes to zero: overhead, and what is not divided.

        By the line through the times of the two smallest shards, from zero up to the smallest one's. Only a
        timing that has two shards can give it.
        """
        larger, smallest = self.shards[-2:]
        above, below = (
            self.component_seconds(
                component, batch=batch, n_new=n_new, n_context=n_context, n_shards=n_shards
            )
            for n_shards in (larger, smallest)
        )
        return np.clip(below - (above - below) * larger / (smallest - larger), 0.0, below)

    def seconds(
        self, part: Slice, *, batch: int, n_new: Tokens, n_context: Tokens, n_shards: int = 1
    ) -> FloatArray:
        """Sum the blocks and the ends that the slice holds; see :meth:`Timing.seconds`."""
        total = np.zeros(np.broadcast_shapes(np.shape(n_new), np.shape(n_context)))
        for n_times, component, shards in charged(part, n_shards):
            total = total + n_times * self.component_seconds(
                component, batch=batch, n_new=n_new, n_context=n_context, n_shards=shards
            )
        return total


class FormulaTiming(ComponentTiming):
    """A :class:`ComponentTiming` by formulas, which know no measured range: any length can be charged."""

    __slots__ = ()

    architecture: Architecture

    @property
    def shards(self) -> tuple[int, ...]:
        """All that there are, down to one head each."""
        return self.architecture.possible_shards()

    def check(self, *, max_new: int, max_context: int, batch: int = 1, n_shards: int = 1) -> None:
        """Refuse shards that the model cannot be cut into, and nothing else."""
        self.architecture.shard(n_shards)


def charged(part: Slice, n_shards: int) -> list[tuple[int, Component, int]]:
    """List what a pass through a slice calls: how often, which component, and of how many shards one."""
    calls = [(part.n_blocks, Component.BLOCK, n_shards)] if part.n_blocks else []
    calls += [(1, Component.EMBEDDING, 1)] if part.embedding else []
    calls += [(1, Component.HEAD, 1), (1, Component.STEP, 1)] if part.head else []
    return calls
