"""Typical time of repeated measurements on a shared machine."""

from __future__ import annotations

from math import ceil
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["typical"]

_TRIMMED = 0.05  # share of the repeats removed at either end, as outliers


def typical(seconds: ArrayLike, fastest: int = 1) -> NDArray[np.float64]:
    """Return the typical time of repeats along the first axis.

    The median of the fastest part is robust beside busy programs, but not additive: where parts are disturbed
    independently, the fastest quarter of their sum is slower than the sum of their fastest quarters. On a
    shared host with varying speed, medians are not additive either. Means are: for comparing a sum of parts
    with the whole, use the mean, here trimmed of outliers.

    Parameters
    ----------
    seconds
        Shape ``[repeat, ...]``.
    fastest
        The median is taken over the fastest 1 / `fastest` of the repeats; 1: the trimmed mean of all.

    Returns
    -------
    array of float64
        Shape ``[...]``.
    """
    ordered: NDArray[np.float64] = np.sort(np.asarray(seconds, dtype=np.float64), axis=0)
    n_repeats = len(ordered)
    if fastest > 1:
        believed: Any = np.median(ordered[: ceil(n_repeats / fastest)], axis=0)
    else:
        # Fractional weights trim the same share of any number of repeats, so that results are comparable.
        edge = np.arange(n_repeats + 1) / n_repeats
        weights = np.diff(np.clip(edge, _TRIMMED, 1.0 - _TRIMMED))
        believed = np.tensordot(weights, ordered, axes=1) / weights.sum()
    return np.asarray(believed)
