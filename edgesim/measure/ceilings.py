"""Measure this machine's peak rates: the reference for scaling a profile to another device."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil

import torch

from edgesim.measure.blocks import Excerpt
from edgesim.measure.clock import clock_for
from edgesim.measure.grid import PassShape
from edgesim.model.architecture import Architecture
from edgesim.model.ceilings import Ceilings
from edgesim.model.parts import Component

__all__ = ["CeilingProbe"]

_N_CALLS = 10  # passes of the miniature per visit
_ONE_TOKEN = PassShape(batch=1, n_new=1, n_context=16)  # the context is ignored by an encoder
_GEMM_SIZE = {"cpu": 2048, "cuda": 8192}
_GEMM_TRIED, _N_TRIED = 256, 4  # size of the trial product, and number of trials
_GEMM_MOST_S = 1.0  # longest duration of a product
_STREAM_SIZE = 4096  # side of a square weight matrix, large enough that reading dominates summing
_STREAM_CACHES = 4  # size of the streamed weights, in multiples of the last-level cache

_MINIATURE = {
    "n_blocks": 4,
    "hidden_size": 64,
    "n_heads": 4,
    "n_kv_heads": 4,
    "head_dim": 16,
    "mlp_size": 128,
    "vocab_size": 128,
    "max_context": 64,
}
_MINIATURE_TOKENS = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}


class CeilingProbe:
    """Measure peak compute rate, memory bandwidth and call overhead repeatedly, and keep the best values.

    Measurements use the model's number format and the caller's threads. Compute is a large square matrix
    product. Memory is a matrix-vector product over matrices several times larger than the last-level cache,
    counting each weight once: this is what decoding does with a model's weights, and unlike a copy or a sum
    it includes the losses of the vendor's kernel in this number format. Overhead is one block of a miniature
    of the same family, whose arithmetic is negligible.

    A ceiling is the attainable peak; other programs can only lower a measured rate. A single measurement at a
    busy moment can be several times too low, and every scaled time is then wrong by that factor. The probe is
    therefore visited between the rounds of a whole measurement.
    """

    def __init__(self, architecture: Architecture, *, device: str, cache_bytes: int) -> None:
        dtype = getattr(torch, architecture.dtype)
        self._clock = clock_for(device)
        self._factors = tuple(torch.randn((_GEMM_TRIED,) * 2, device=device).to(dtype) for _ in range(2))
        n = self._size_of_product(_GEMM_SIZE[device])
        self._flop = 2 * n**3
        self._factors = tuple(torch.randn((n, n), device=device).to(dtype) for _ in range(2))
        matrix = torch.randn((_STREAM_SIZE, _STREAM_SIZE), device=device).to(dtype)
        n_more = ceil(_STREAM_CACHES * cache_bytes / matrix.nbytes)
        self._matrices = (matrix, *(matrix.clone() for _ in range(n_more)))
        self._vector = torch.randn((1, _STREAM_SIZE), device=device).to(dtype)
        miniature = Architecture.from_config(
            architecture.traits.config(**_MINIATURE) | _MINIATURE_TOKENS,
            name="miniature",
            dtype=architecture.dtype,
        )
        self._excerpt = Excerpt(miniature, n_blocks=miniature.n_blocks, device=device)
        self._product_s: list[float] = []
        self._stream_s: list[float] = []
        self._call_s: list[float] = []

    def _size_of_product(self, largest: int) -> int:
        """Choose the size of the measured product so that a visit is short.

        A processor without bfloat16 arithmetic takes a minute for a product that others do in 0.2 s.
        """
        tried_s = min(self._timed(lambda: torch.mm(*self._factors)) for _ in range(_N_TRIED))
        n = largest
        while n > _GEMM_TRIED and tried_s * (n / _GEMM_TRIED) ** 3 > _GEMM_MOST_S:
            n //= 2
        return n

    def visit(self) -> None:
        """Measure each rate once more."""
        self._product_s.append(self._timed(lambda: torch.mm(*self._factors)))
        self._stream_s.append(self._timed(self._read_all))
        times = [self._excerpt.time_pass(_ONE_TOKEN)[Component.BLOCK] for _ in range(_N_CALLS)]
        self._call_s.extend(times)

    def ceilings(self) -> Ceilings:
        """Return the best rates, and the first quartile of the overheads: a floor that is usually reached."""
        calls_s = sorted(self._call_s)
        return Ceilings(
            flop_per_s=self._flop / min(self._product_s),
            bytes_per_s=sum(matrix.nbytes for matrix in self._matrices) / min(self._stream_s),
            overhead_s=calls_s[len(calls_s) // 4],
        )

    def _read_all(self) -> None:
        for matrix in self._matrices:
            torch.nn.functional.linear(self._vector, matrix)

    def _timed(self, call: Callable[[], object]) -> float:
        began = self._clock.mark()
        call()
        ended = self._clock.mark()
        self._clock.settle()
        return self._clock.seconds(began, ended)
