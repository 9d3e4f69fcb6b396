r"""How long a pass takes on a device of known peaks under an engine of known shares.

.. math:: t = \frac{\text{bytes}}{s\,B} + \frac{\text{FLOP}_1}{c\,V}
          + \frac{\text{FLOP} - \text{FLOP}_1}{m\,M} + n\,o

Weights and cache stream at a share :math:`s` of the memory's peak :math:`B`. Every weight is touched once
in a pass (unpacked, converted, multiplied) by the vector units, at a share :math:`c` of their float32 peak
:math:`V`: :math:`\text{FLOP}_1` is the work of one token without a context. What further tokens and the
context add runs as matrix products at a share :math:`m` of :math:`M`. Each of the :math:`n` calls costs
:math:`o`.

Streaming and touching add up, as in the ECM model of x86 cores (Stengel et al. 2015,
doi:10.1145/2751205.2751240). An engine that only enqueues its calls (eager PyTorch on a GPU) pays for them
where they take longer than the work that runs meanwhile: :math:`t = \max(\ldots, n\,o)`.

Not modelled: caches, throttling, kernels chosen by size.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from edgesim.errors import InputError
from edgesim.model.architecture import Architecture
from edgesim.model.parts import Component, FloatArray

__all__ = ["PARTS", "Peaks", "Shares", "Terms", "seconds"]

PARTS = (Component.BLOCK, Component.EMBEDDING, Component.HEAD, Component.STEP)


@dataclass(frozen=True, slots=True, kw_only=True)
class Peaks:
    """What a device's datasheet promises, and what its host is.

    Attributes
    ----------
    board
        The name by which published rows know it.
    is_cpu
        Whether the model computes on processor cores, and not on a GPU.
    bytes_per_s
        Peak of the memory.
    vector_flop_per_s
        Peak of float32 multiply-adds on vector units (a GPU's ordinary cores).
    matrix_flop_per_s
        Dense peak in half precision of what computes matrix products.
    eager_call_s
        What one block costs eager PyTorch's host to dispatch and launch, as far as is known beforehand.
    """

    board: str
    is_cpu: bool
    bytes_per_s: float
    vector_flop_per_s: float
    matrix_flop_per_s: float
    eager_call_s: float

    def __post_init__(self) -> None:
        rates = (self.bytes_per_s, self.vector_flop_per_s, self.matrix_flop_per_s, self.eager_call_s)
        if not all(rate > 0 for rate in rates):
            raise InputError(f"peaks of {self.board}: {rates}; expected rates and times above zero")


@dataclass(frozen=True, slots=True)
class Shares:
    """What an engine reaches of a device's peaks; arrays of one shape, or numbers.

    Attributes
    ----------
    memory_share, vector_share, matrix_share
        Of the three peaks.
    overhead_s
        Of one call.
    is_enqueued
        Whether calls are only enqueued, so that their cost hides behind the work.
    """

    memory_share: FloatArray
    vector_share: FloatArray
    matrix_share: FloatArray
    overhead_s: FloatArray
    is_enqueued: bool | FloatArray = False


@dataclass(frozen=True, slots=True)
class Terms:
    """The four terms of the law at shares of one: seconds of three, and the number of calls."""

    stream_s: float
    touch_s: float
    matrix_s: float
    n_calls: float

    @classmethod
    def of(
        cls, model: Architecture, peaks: Peaks, *, n_prompt: int, n_context: float, n_decoded: int
    ) -> Self:
        """Add up a prefill of `n_prompt` tokens (0: none) and `n_decoded` steps at a mean context."""
        whole = cls(0.0, 0.0, 0.0, 0.0)
        if n_prompt:
            whole += _pass(model, peaks, n_new=n_prompt, n_context=0, times=1)
        if n_decoded:
            whole += _pass(model, peaks, n_new=1, n_context=int(n_context), times=n_decoded)
        return whole

    def __add__(self, other: Terms) -> Self:
        """Put one pass behind another."""
        return type(self)(
            self.stream_s + other.stream_s,
            self.touch_s + other.touch_s,
            self.matrix_s + other.matrix_s,
            self.n_calls + other.n_calls,
        )


def _pass(model: Architecture, peaks: Peaks, *, n_new: int, n_context: int, times: int) -> Terms:
    moved_bytes = touched_flop = flop = n_calls = 0.0
    for part in PARTS:
        n = model.n_blocks if part is Component.BLOCK else 1
        work = model.work(part, batch=1, n_new=n_new, n_context=n_context)
        moved_bytes += n * work.moved_bytes
        flop += n * work.flop
        touched_flop += n * model.work(part, batch=1, n_new=1, n_context=0).flop
        n_calls += n
    return Terms(
        times * moved_bytes / peaks.bytes_per_s,
        times * touched_flop / peaks.vector_flop_per_s,
        times * (flop - touched_flop) / peaks.matrix_flop_per_s,
        times * n_calls,
    )


def seconds(terms: Terms, shares: Shares) -> FloatArray:
    """Apply the law; the shape is that of the shares."""
    work_s = (
        terms.stream_s / shares.memory_share
        + terms.touch_s / shares.vector_share
        + terms.matrix_s / shares.matrix_share
    )
    calls_s = terms.n_calls * shares.overhead_s
    return np.where(shares.is_enqueued, np.maximum(work_s, calls_s), work_s + calls_s)
