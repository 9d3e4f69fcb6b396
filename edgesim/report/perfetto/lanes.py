"""Intervals that overlap, laid out on as few lanes as possible."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["lanes_of"]

IntArray = npt.NDArray[np.int64]


def lanes_of(start: IntArray, end: IntArray) -> IntArray:
    """A lane, from 0, for each of n intervals, so that those of one lane are disjoint.

    Greedy colouring in the order of beginnings: an interval takes the lane that has been free for longest, a
    new one if none is. It needs as many lanes as intervals ever overlap, which is the least (interval graphs
    are perfect; Golumbic, Algorithmic Graph Theory and Perfect Graphs, 1980). Where nothing is left over from
    before, lanes begin anew from 0.

    The r-th interval that takes a lane over, takes that of the r-th which has ended; which these are follows
    from sorting, so that there is no loop over intervals.

    Parameters
    ----------
    start, end
        Integers, ``[n]``, in ascending order of `start`; each interval is half open and counts as 1 long at
        least.
    """
    n = len(start)
    end = np.maximum(end, start + 1)
    by_end = np.argsort(end, kind="stable")
    place = np.arange(n)
    n_ended = np.searchsorted(end[by_end], start, side="right")
    depth = place - n_ended  # intervals that go on when this one begins
    is_first = depth == 0
    first = np.maximum.accumulate(np.where(is_first, place, 0))  # of its cluster
    cluster = np.cumsum(is_first)
    # The depth reached so far in the cluster: clusters are kept apart by steps that no depth reaches.
    reached = np.maximum.accumulate(depth + cluster * (n + 1))
    before = np.append(-1, reached[:-1])
    takes_over = (depth + cluster * (n + 1) <= before) & ~is_first
    n_before = np.cumsum(takes_over) - takes_over  # take-overs before this one
    rank = n_before - n_before[first]
    heir_of = place.copy()
    heir_of[takes_over] = by_end[first[takes_over] + rank[takes_over]]
    while True:  # each round halves the way to the interval that opened the lane
        further = heir_of[heir_of]
        if np.array_equal(further, heir_of):
            break
        heir_of = further
    lanes: IntArray = depth[heir_of]
    return lanes
