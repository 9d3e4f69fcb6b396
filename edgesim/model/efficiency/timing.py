"""Compute times of a device under an engine, by the law of shares, per call."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from edgesim.model.architecture import Architecture
from edgesim.model.efficiency.law import Peaks
from edgesim.model.parts import Component, FloatArray, Tokens
from edgesim.model.timing import FormulaTiming, Origin

__all__ = ["RuntimeTiming"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeTiming(FormulaTiming):
    """Times by :mod:`edgesim.model.efficiency.law`, applied to each call separately.

    The first token of a call touches all weights once; further tokens, of the same or of other sequences, run
    as matrix products. If calls are enqueued, each takes the larger of its work and its overhead.

    Attributes
    ----------
    memory_share, vector_share, matrix_share
        Shares of the peaks.
    overhead_s
        Overhead of one call.
    is_enqueued
        Whether call overheads overlap with the work.
    head_cost
        Time of streaming and touching a weight of the head, over that of a block's weight.
    slowdown
        Factor on all times: the law's error on this device, where parameters are drawn.
    """

    architecture: Architecture
    peaks: Peaks
    memory_share: float
    vector_share: float
    matrix_share: float
    overhead_s: float
    is_enqueued: bool = False
    head_cost: float = 1.0
    slowdown: float = 1.0
    origin: ClassVar[Origin] = "analytic"

    def component_seconds(
        self, component: Component, *, batch: int, n_new: Tokens, n_context: Tokens, n_shards: int = 1
    ) -> FloatArray:
        """Time of one call of a component, or of one tensor shard of it [s]."""
        model = self.architecture.shard(n_shards)
        flop, moved_bytes = model.work_arrays(component, batch=batch, n_new=n_new, n_context=n_context)
        touched_flop = model.work(component, batch=1, n_new=1, n_context=0).flop
        cost = self.head_cost if component is Component.HEAD else 1.0
        work_s = (
            cost * moved_bytes / (self.memory_share * self.peaks.bytes_per_s)
            + cost * touched_flop / (self.vector_share * self.peaks.vector_flop_per_s)
            + np.maximum(flop - touched_flop, 0.0) / (self.matrix_share * self.peaks.matrix_flop_per_s)
        )
        if self.is_enqueued:
            return np.asarray(self.slowdown * np.maximum(work_s, self.overhead_s))
        return np.asarray(self.slowdown * (work_s + self.overhead_s))
