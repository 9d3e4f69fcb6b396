"""What is believed of a time that was measured many times on a machine that others share."""

from __future__ import annotations

from math import ceil
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["typical"]

_TRIMMED = 0.05  # of the repeats, at either end: what was held up by something else altogether


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
        # Just as much of few repeats as of many, by parts of a repeat: else the two would not compare.
        edge = np.arange(n_repeats + 1) / n_repeats
        weights = np.diff(np.clip(edge, _TRIMMED, 1.0 - _TRIMMED))
        believed = np.tensordot(weights, ordered, axes=1) / weights.sum()
    return np.asarray(believed)
