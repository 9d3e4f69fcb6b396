"""What this machine can do at best, measured: the near end of scaling to another device."""

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

_N_CALLS = 10  # of a miniature's pass, per visit
_ONE_TOKEN = PassShape(batch=1, n_new=1, n_context=16)  # an encoder takes it without the context
_GEMM_SIZE = {"cpu": 2048, "cuda": 8192}
_GEMM_TRIED, _N_TRIED = 256, 4  # the size of a product that is tried first, and how often
_GEMM_MOST_S = 1.0  # that a product may take
_STREAM_SIZE = 4096  # a square of weights: large enough that a row's sum hides behind its reading
_STREAM_CACHES = 4  # weights streamed, in multiples of the last-level cache

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
    """Measures compute, memory and overhead now and then, and keeps the best that was seen.

    In the model's own number format and under the caller's threads. Compute is a large square matrix
    product. Memory is a matrix-vector product over matrices that exceed the last-level cache several
    times, and counts each weight once, as it is read: this is what decoding does to a model's weights, and
    unlike a copy or a sum it includes what the vendor's kernel loses in this number format. Overhead is one
    block of a miniature of the same family, whose arithmetic is nothing.

    A ceiling is what can be reached, and other programs only ever take from it. Seen once, at a moment
    when one is busy, it can come out several times too low, and every scaled time with it; so the probe is
    put in between the rounds of a whole measurement.
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
        """Choose the size of the product whose rate is measured, so that a visit is short.

        A processor without bfloat16 arithmetic takes a minute for a product that others do in 0.2 s.
        """
        tried_s = min(self._timed(lambda: torch.mm(*self._factors)) for _ in range(_N_TRIED))
        n = largest
        while n > _GEMM_TRIED and tried_s * (n / _GEMM_TRIED) ** 3 > _GEMM_MOST_S:
            n //= 2
        return n

    def visit(self) -> None:
        """Measure each once more."""
        self._product_s.append(self._timed(lambda: torch.mm(*self._factors)))
        self._stream_s.append(self._timed(self._read_all))
        times = [self._excerpt.time_pass(_ONE_TOKEN)[Component.BLOCK] for _ in range(_N_CALLS)]
        self._call_s.extend(times)

    def ceilings(self) -> Ceilings:
        """The best rates, and the first quartile of the calls: a floor that is usually met."""
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
