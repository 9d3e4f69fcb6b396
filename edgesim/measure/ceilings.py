"""What this machine can do at best, measured: the near end of scaling to another device."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil

import torch

from edgesim.measure.blocks import Excerpt
from edgesim.measure.clock import clock_for
from edgesim.measure.grid import Shape
from edgesim.model.architecture import Architecture, Component, Family
from edgesim.model.ceilings import Ceilings

__all__ = ["measure_ceilings"]

_N_REPEATS = 7
_GEMM_SIZE = {"cpu": 2048, "cuda": 8192}
_STREAM_SIZE = 4096  # a square of weights: large enough that a row's sum hides behind its reading
_STREAM_CACHES = 4  # weights streamed, in multiples of the last-level cache

_MINIATURES: dict[Family, dict[str, object]] = {
    "llama": {
        "model_type": "llama",
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 4,
        "num_attention_heads": 4,
        "vocab_size": 128,
        "max_position_embeddings": 64,
        "bos_token_id": 1,
        "eos_token_id": 2,
    },
    "gpt2": {
        "model_type": "gpt2",
        "n_embd": 64,
        "n_layer": 4,
        "n_head": 4,
        "n_positions": 64,
        "vocab_size": 128,
        "bos_token_id": 1,
        "eos_token_id": 2,
    },
}


def measure_ceilings(architecture: Architecture, *, device: str, cache_bytes: int) -> Ceilings:
    """Measure compute, memory and overhead in the model's own number format, under the caller's threads.

    Compute is a large square matrix product. Memory is a matrix-vector product over matrices that exceed
    the last-level cache several times, and counts each weight once, as it is read: this is what decoding
    does to a model's weights, and unlike a copy or a sum it includes what the vendor's kernel loses in this
    number format. Overhead is one block of a miniature of the same family, whose arithmetic is nothing.
    The first two are the best of a few repeats, since a ceiling is what can be reached.
    """
    dtype = getattr(torch, architecture.dtype)
    with torch.inference_mode():
        return Ceilings(
            flop_per_s=_gemm_flop_per_s(dtype, device),
            bytes_per_s=_stream_bytes_per_s(dtype, device, cache_bytes),
            overhead_s=_overhead_s(architecture, device),
        )


def _gemm_flop_per_s(dtype: torch.dtype, device: str) -> float:
    n = _GEMM_SIZE[device]
    a, b = (torch.randn((n, n), device=device).to(dtype) for _ in range(2))
    return 2 * n**3 / _best_s(lambda: torch.mm(a, b), device)


def _stream_bytes_per_s(dtype: torch.dtype, device: str, cache_bytes: int) -> float:
    n = _STREAM_SIZE
    matrix = torch.randn((n, n), device=device).to(dtype)
    matrix_bytes = matrix.nbytes
    matrices = [matrix, *(matrix.clone() for _ in range(ceil(_STREAM_CACHES * cache_bytes / matrix_bytes)))]
    vector = torch.randn((1, n), device=device).to(dtype)

    def read_all() -> None:
        for each in matrices:
            torch.nn.functional.linear(vector, each)

    return matrix_bytes * len(matrices) / _best_s(read_all, device)


def _overhead_s(architecture: Architecture, device: str) -> float:
    miniature = Architecture.from_config(
        _MINIATURES[architecture.family], name="miniature", dtype=architecture.dtype
    )
    excerpt = Excerpt(miniature, n_blocks=miniature.n_blocks, device=device)
    shape = Shape(batch=1, n_new=1, n_context=16)
    times = sorted(excerpt.time_pass(shape)[Component.BLOCK] for _ in range(10 * _N_REPEATS))
    return times[len(times) // 4]


def _best_s(call: Callable[[], object], device: str) -> float:
    clock = clock_for(device)
    call()
    times = []
    for _ in range(_N_REPEATS):
        began = clock.mark()
        call()
        ended = clock.mark()
        clock.settle()
        times.append(clock.seconds(began, ended))
    return min(times)
