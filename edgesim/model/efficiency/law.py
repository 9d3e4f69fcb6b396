r"""Time of a forward pass on a device with given peaks under an engine with given shares of these.

.. math:: t = \frac{\text{bytes}}{s\,B} + \frac{\text{FLOP}_1}{c\,V}
          + \frac{\text{FLOP} - \text{FLOP}_1}{m\,M} + n\,o

Weights and cache stream at a share :math:`s` of the memory's peak :math:`B`. Every weight is touched once
in a pass (unpacked, converted, multiplied) by the vector units, at a share :math:`c` of their float32 peak
:math:`V`: :math:`\text{FLOP}_1` is the work of one token without a context. The work added by further tokens
and by the context runs as matrix products at a share :math:`m` of the matrix peak :math:`M`. Each of the
:math:`n` calls costs :math:`o`. On processor cores a weight of the head takes :math:`h` times as long as one
of a block: bytes and :math:`\text{FLOP}_1` of the head count :math:`h` times.

Streaming and touching add up, as in the ECM model of x86 cores (Stengel et al. 2015,
doi:10.1145/2751205.2751240). If calls are only enqueued (eager PyTorch on a GPU), their cost overlaps with
the work and counts only where it is larger: :math:`t = \max(\ldots, n\,o)`.

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
    """Datasheet peaks of a device, and the overhead of its host.

    Attributes
    ----------
    board
        Name of the device in published rows.
    is_cpu
        Whether the model runs on processor cores rather than on a GPU.
    bytes_per_s
        Peak memory bandwidth.
    vector_flop_per_s
        Peak of float32 multiply-adds on vector units (a GPU's ordinary cores).
    matrix_flop_per_s
        Dense half-precision peak of the units that compute matrix products.
    eager_call_s
        Prior estimate of the time in which the host dispatches and launches one block with eager PyTorch.
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
    """Shares of a device's peaks that an engine reaches; arrays of one shape, or numbers.

    Attributes
    ----------
    memory_share, vector_share, matrix_share
        Shares of the three peaks.
    overhead_s
        Overhead of one call.
    head_cost
        Time of streaming and touching a weight of the head, over that of a block's weight.
    is_enqueued
        Whether calls are only enqueued, so that their overhead overlaps with the work.
    """

    memory_share: FloatArray
    vector_share: FloatArray
    matrix_share: FloatArray
    overhead_s: FloatArray
    head_cost: FloatArray | float = 1.0
    is_enqueued: bool | FloatArray = False


@dataclass(frozen=True, slots=True)
class Terms:
    """The terms of the law: times [s] at shares of one, the head's parts of two of them, and the calls.

    Attributes
    ----------
    stream_s, touch_s
        Of everything, with the head counted once.
    matrix_s, n_calls
        Time of matrix products, and number of calls.
    head_stream_s, head_touch_s
        What the head has of the first two.
    """

    stream_s: float
    touch_s: float
    matrix_s: float
    n_calls: float
    head_stream_s: float = 0.0
    head_touch_s: float = 0.0

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
        """Add up the terms of two passes run one after the other."""
        return type(self)(
            self.stream_s + other.stream_s,
            self.touch_s + other.touch_s,
            self.matrix_s + other.matrix_s,
            self.n_calls + other.n_calls,
            self.head_stream_s + other.head_stream_s,
            self.head_touch_s + other.head_touch_s,
        )


def _pass(model: Architecture, peaks: Peaks, *, n_new: int, n_context: int, times: int) -> Terms:
    moved_bytes = touched_flop = flop = n_calls = head_bytes = head_flop = 0.0
    for part in PARTS:
        n = model.n_blocks if part is Component.BLOCK else 1
        work = model.work(part, batch=1, n_new=n_new, n_context=n_context)
        moved_bytes += n * work.moved_bytes
        flop += n * work.flop
        touched = model.work(part, batch=1, n_new=1, n_context=0).flop
        touched_flop += n * touched
        n_calls += n
        if part is Component.HEAD:
            head_bytes, head_flop = work.moved_bytes, touched
    return Terms(
        times * moved_bytes / peaks.bytes_per_s,
        times * touched_flop / peaks.vector_flop_per_s,
        times * (flop - touched_flop) / peaks.matrix_flop_per_s,
        times * n_calls,
        times * head_bytes / peaks.bytes_per_s,
        times * head_flop / peaks.vector_flop_per_s,
    )


def seconds(terms: Terms, shares: Shares) -> FloatArray:
    """Evaluate the law [s]; the result has the shape of the shares."""
    further = shares.head_cost - 1.0
    work_s = (
        (terms.stream_s + further * terms.head_stream_s) / shares.memory_share
        + (terms.touch_s + further * terms.head_touch_s) / shares.vector_share
        + terms.matrix_s / shares.matrix_share
    )
    calls_s = terms.n_calls * shares.overhead_s
    return np.where(shares.is_enqueued, np.maximum(work_s, calls_s), work_s + calls_s)
