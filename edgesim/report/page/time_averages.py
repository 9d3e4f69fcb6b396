"""Exact time averages of the number of intervals under way, over stretches of time."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["mean_under_way", "merged"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


def mean_under_way(
    starts_s: FloatArray, ends_s: FloatArray, edges_s: FloatArray, weights: FloatArray | None = None
) -> FloatArray:
    """Compute the weighted mean number of intervals under way between successive edges; [n_edges - 1].

    The integral up to t of the number under way is the sum over intervals of ``(t - start)+ - (t - end)+``.
    """
    weight = np.ones(len(starts_s)) if weights is None else weights
    integral_s = _ramps(starts_s, weight, edges_s) - _ramps(ends_s, weight, edges_s)
    mean: FloatArray = np.diff(integral_s) / np.diff(edges_s)
    return np.maximum(mean, 0.0)  # rounding can make it slightly negative


def _ramps(since_s: FloatArray, weights: FloatArray, at_s: FloatArray) -> FloatArray:
    """Sum over instants of ``weight (t - since)+`` at each t."""
    order = np.argsort(since_s, kind="stable")
    since_s, weights = since_s[order], weights[order]
    before = np.searchsorted(since_s, at_s)
    total = np.concatenate([[0.0], np.cumsum(weights)])[before]
    moment = np.concatenate([[0.0], np.cumsum(weights * since_s)])[before]
    ramps: FloatArray = total * at_s - moment
    return ramps


def merged(
    owners: IntArray, starts_s: FloatArray, ends_s: FloatArray
) -> tuple[IntArray, FloatArray, FloatArray]:
    """Merge overlapping or touching intervals of each owner; the result is sorted by owner and start."""
    if not len(owners):
        return owners, starts_s, ends_s
    order = np.lexsort((starts_s, owners))
    owners, starts_s, ends_s = owners[order], starts_s[order], ends_s[order]
    # Latest end so far of the same owner; an offset longer than the whole time span separates the owners.
    apart_s = float(ends_s.max() - starts_s.min()) + 1.0
    shift_s = np.unique(owners, return_inverse=True)[1] * apart_s
    latest_s = np.maximum.accumulate(ends_s + shift_s)
    opens = np.ones(len(owners), dtype=np.bool_)
    opens[1:] = starts_s[1:] + shift_s[1:] > latest_s[:-1]
    first = np.flatnonzero(opens)
    last = np.concatenate([first[1:], [len(owners)]]) - 1
    return owners[first], starts_s[first], latest_s[last] - shift_s[last]
