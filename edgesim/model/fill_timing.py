"""Time to fill KV caches after an early exit: key and value projections only, without attention or MLP.

Tokens that leave early have no keys and values in later blocks. If their states are propagated (Elbayad et
al. 2020, arXiv 1910.10073; Schuster et al. 2022, arXiv 2207.07061), each later block only normalises the
state at the exit and projects it to a key and a value.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from edgesim.model.architecture import Architecture
from edgesim.model.parts import Component, FloatArray, Slice, Tokens
from edgesim.model.timing import Origin, Timing

__all__ = ["FillTiming", "fill_share"]


@dataclass(frozen=True, slots=True, eq=False)
class FillTiming:
    """A :class:`~edgesim.model.timing.Timing` of passes that only compute keys and values.

    Each block takes the share :func:`fill_share` of the attention half of a pass (measured, scaled or
    analytic) of the same number of tokens. The part of that half's time that does not shrink with its work,
    such as kernel launches, is charged in full if the timing can separate it, by the line through the times
    of two tensor shards. For a timing of whole blocks only, time is taken in proportion to work.

    Not modelled: the constant part of a timing without tensor shards, which is scaled with the rest; that a
    fused projection of queries, keys and values computes the queries as well.

    Attributes
    ----------
    timing
        Timing of whole passes on the device.
    model
        Architecture of the blocks.
    """

    timing: Timing
    model: Architecture

    @property
    def origin(self) -> Origin:
        """Origin of the times of whole passes."""
        return self.timing.origin

    def seconds(
        self, part: Slice, *, batch: int, n_new: Tokens, n_context: Tokens, n_shards: int = 1
    ) -> FloatArray:
        """Time to compute keys and values of tokens in the blocks of a slice [s].

        Parameters
        ----------
        n_new
            Tokens of each of `batch` sequences.
        n_context
            Without effect, as there is no attention to earlier tokens; broadcast against `n_new`.
        """
        _refuse(part, n_shards)
        news, _ = np.broadcast_arrays(np.asarray(n_new, np.int64), np.asarray(n_context, np.int64))
        found = {n: part.n_blocks * self._block_s(batch, n) for n in np.unique(news).tolist()}
        return np.array([found[n] for n in news.ravel().tolist()]).reshape(news.shape)

    def check(self, *, max_new: int, max_context: int, batch: int = 1, n_shards: int = 1) -> None:
        """Refuse lengths that the device's timing does not cover; see :meth:`Timing.check`."""
        self.timing.check(max_new=max_new, max_context=max_context, batch=batch, n_shards=n_shards)

    def _block_s(self, batch: int, n_tokens: int) -> float:
        # A single token counts as a decode step at the shortest context: prefills of one are not measured.
        n_context = 1 if n_tokens == 1 else 0
        call: dict[str, Any] = {"batch": batch, "n_new": n_tokens, "n_context": n_context}
        timing: Any = self.timing
        if not hasattr(timing, "component_seconds"):
            share = fill_share(self.model, Component.BLOCK, **call)
            return share * float(timing.seconds(Slice(0, 1), **call))
        half_s = float(timing.component_seconds(Component.ATTENTION, **call))
        rest_s = 0.0
        if len(timing.shards) > 1:
            rest_s = min(half_s, float(timing.unsharded_seconds(Component.ATTENTION, **call)))
        return rest_s + fill_share(self.model, Component.ATTENTION, **call) * (half_s - rest_s)


def fill_share(model: Architecture, of: Component, *, batch: int, n_new: int, n_context: int) -> float:
    """Share of a component's work spent on keys and values: the larger of the shares of FLOP and of bytes.

    If a device takes ``max(FLOP / a, bytes / b)`` (a roofline) or the sum of the two, the true share of time
    is no larger, for any a and b.

    Parameters
    ----------
    of
        ``ATTENTION`` or ``BLOCK``.
    """
    work = model.work(of, batch=batch, n_new=n_new, n_context=n_context)
    h, s, n_tokens = model.hidden_size, model.dtype_bytes, batch * n_new
    queries, keys = model.n_heads * model.head_dim, model.n_kv_heads * model.head_dim
    weight_bytes = model.component_bytes(Component.ATTENTION) * keys / (queries + keys)
    flop = 2 * n_tokens * h * 2 * keys
    moved_bytes = weight_bytes + n_tokens * (h + 2 * keys) * s
    return min(1.0, max(flop / work.flop, moved_bytes / work.moved_bytes))


def _refuse(part: Slice, n_shards: int) -> None:
    if n_shards != 1 or part.embedding or part.head or not part.n_blocks:
        raise ValueError(f"keys and values of {part} as one of {n_shards} shards; expected whole blocks")
