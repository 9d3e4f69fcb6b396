"""Layout of overlapping intervals on the minimum number of lanes."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["lanes_of"]

IntArray = npt.NDArray[np.int64]


def lanes_of(start: IntArray, end: IntArray) -> IntArray:
    """Assign a lane, numbered from 0, to each of n intervals, so that intervals on one lane are disjoint.

    Greedy colouring in the order of starts: an interval takes the lane that has been free for longest, or a
    new one if none is free. The number of lanes equals the maximum number of overlapping intervals, which is
    the minimum (interval graphs are perfect; Golumbic, Algorithmic Graph Theory and Perfect Graphs, 1980).
    When no interval is open, numbering restarts from 0.

    The r-th interval that reuses a lane takes the lane of the r-th interval to end. Both are found by
    sorting, without a loop over intervals.

    Parameters
    ----------
    start, end
        Integers, ``[n]``, in ascending order of `start`; intervals are half open, and a length below 1 counts
        as 1.
    """
    n = len(start)
    end = np.maximum(end, start + 1)
    by_end = np.argsort(end, kind="stable")
    place = np.arange(n)
    n_ended = np.searchsorted(end[by_end], start, side="right")
    depth = place - n_ended  # intervals still open when this one starts
    is_first = depth == 0
    first = np.maximum.accumulate(np.where(is_first, place, 0))  # first interval of its cluster
    cluster = np.cumsum(is_first)
    # Largest depth so far in the cluster; an offset above any depth separates the clusters.
    reached = np.maximum.accumulate(depth + cluster * (n + 1))
    before = np.append(-1, reached[:-1])
    takes_over = (depth + cluster * (n + 1) <= before) & ~is_first
    n_before = np.cumsum(takes_over) - takes_over  # take-overs before this one
    rank = n_before - n_before[first]
    heir_of = place.copy()
    heir_of[takes_over] = by_end[first[takes_over] + rank[takes_over]]
    while True:  # pointer jumping: each round halves the distance to the interval that opened the lane
        further = heir_of[heir_of]
        if np.array_equal(further, heir_of):
            break
        heir_of = further
    lanes: IntArray = depth[heir_of]
    return lanes
