"""Compute timing of a device: the interface, and base classes that sum component times."""

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
    """Phase of a call: prefill processes a prompt of any length; decode adds one token to a context."""

    PREFILL = "prefill"
    DECODE = "decode"


def phase_of(n_new: int, n_context: int) -> Phase:
    """Return the phase of a call: decode is one new token after a context of at least one token."""
    return Phase.DECODE if n_new == 1 and n_context > 0 else Phase.PREFILL


class Timing(Protocol):
    """Interface by which the engine obtains the compute times of a simulated device."""

    @property
    def origin(self) -> Origin:
        """Origin of the times: measured on this host, scaled from another host, or analytic."""
        ...

    def seconds(
        self, part: Slice, *, batch: int, n_new: Tokens, n_context: Tokens, n_shards: int = 1
    ) -> FloatArray:
        """Time of one pass through a slice, for every pair of the broadcast token counts [s].

        Parameters
        ----------
        part
            The slice: its blocks, and its embedding or head if included; the head includes one generation
            step (token choice and the host work of each token).
        batch
            Sequences in the pass.
        n_new
            New tokens of each sequence: the prompt's in prefill, 1 in decode.
        n_context
            Tokens of each sequence already in the KV cache before the pass.
        n_shards
            Number of tensor shards of the blocks, of which one is computed
            (:meth:`edgesim.model.architecture.Architecture.shard`); embedding, head and generation step are
            never divided. Summing the shards' partial results is communication, and not included.

        Raises
        ------
        ProfileError
            Outside the measured range and a stated margin.
        """
        ...

    def check(self, *, max_new: int, max_context: int, batch: int = 1, n_shards: int = 1) -> None:
        """Raise ProfileError unless there are times for prompts and contexts up to these lengths.

        Singly and in batches of up to `batch`; for the whole model or one of `n_shards` shards. If `max_new`
        is 0, only contexts are checked. An encoder has no contexts, and `max_context` is ignored.
        """
        ...


class ComponentTiming(ABC):
    """Base of timings with a time per component: the time of a slice is the sum over its components."""

    __slots__ = ()

    @property
    @abstractmethod
    def shards(self) -> tuple[int, ...]:
        """Numbers of equal shards for which times are available; 1 is a whole block."""

    @abstractmethod
    def component_seconds(
        self, component: Component, *, batch: int, n_new: Tokens, n_context: Tokens, n_shards: int = 1
    ) -> FloatArray:
        """Time of one call of a component, or of one shard of it [s]."""

    def unsharded_seconds(
        self, component: Component, *, batch: int, n_new: Tokens, n_context: Tokens
    ) -> FloatArray:
        """Time in the limit of a vanishing tensor shard [s]: overhead, and work that is not divided.

        Extrapolated by the line through the times of the two smallest shards, and limited to between zero and
        the smallest one's time. Requires a timing with at least two shards.
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
        """Sum the times of a slice's blocks and ends; see :meth:`Timing.seconds`."""
        total = np.zeros(np.broadcast_shapes(np.shape(n_new), np.shape(n_context)))
        for n_times, component, shards in charged(part, n_shards):
            total = total + n_times * self.component_seconds(
                component, batch=batch, n_new=n_new, n_context=n_context, n_shards=shards
            )
        return total


class FormulaTiming(ComponentTiming):
    """Base of component timings by formulas, which are valid for any length."""

    __slots__ = ()

    architecture: Architecture

    @property
    def shards(self) -> tuple[int, ...]:
        """All numbers of equal shards into which the model can be divided, up to one head each."""
        return self.architecture.possible_shards()

    def check(self, *, max_new: int, max_context: int, batch: int = 1, n_shards: int = 1) -> None:
        """Refuse numbers of shards into which the model cannot be divided; any length is valid."""
        self.architecture.shard(n_shards)


def charged(part: Slice, n_shards: int) -> list[tuple[int, Component, int]]:
    """List the calls of a pass through a slice: number of calls, component, and number of shards."""
    calls = [(part.n_blocks, Component.BLOCK, n_shards)] if part.n_blocks else []
    calls += [(1, Component.EMBEDDING, 1)] if part.embedding else []
    calls += [(1, Component.HEAD, 1), (1, Component.STEP, 1)] if part.head else []
    return calls
