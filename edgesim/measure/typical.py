"""What is believed of a time that was measured many times on a machine that others share."""

from __future__ import annotations

from math import ceil
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["typical"]

_TRIMMED = 0.02  # of the repeats, and one at the least, at either end: held up by something else altogether


def typical(seconds: ArrayLike, fastest: int = 1) -> NDArray[np.float64]:
    """Return the typical time of repeats along the first axis.

    The median of the fastest part of them stands firm beside busy programs, but it does not add up: where
    parts are disturbed one by one, the fastest quarter of their sum is slower than the sum of their fastest
    quarters. On a shared host whose speed goes to and fro, neither do medians. Means do: so, where a sum of
    parts is held against the whole, it is the mean, but for what is far out.

    Parameters
    ----------
    seconds
        Shape ``[repeat, ...]``.
    fastest
        The median is taken of the fastest one of so many parts; 1: the trimmed mean of all.

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
        n_cut = max(1, int(n_repeats * _TRIMMED)) if n_repeats > 2 else 0
        believed = ordered[n_cut : n_repeats - n_cut].mean(axis=0)
    return np.asarray(believed)
