"""Critical paths of many requests at once, followed backwards from the end of each request."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["NONE", "Chains", "chains"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

NONE = -1
"""Stands for a missing predecessor."""


@dataclass(frozen=True, slots=True)
class Chains:
    """The critical paths of requests, the spans of each request in order of time.

    Attributes
    ----------
    spans
        Indices of the spans on a critical path, [n_on_path].
    after
        Index of the predecessor of each of them on its path, :data:`NONE` for the first, [n_on_path].
    lasts
        Index of the last span on the path of each request, :data:`NONE` for a request without spans,
        [n_requests].
    """

    spans: IntArray
    after: IntArray
    lasts: IntArray


def chains(
    owner: IntArray,
    asked_at_s: FloatArray,
    ended_at_s: FloatArray,
    precedence: IntArray,
    n_requests: int,
) -> Chains:
    """Follow the critical path of every request backwards from its last span.

    A verb is called once its inputs are available, so the predecessor of a span on the path is the span of
    the same request that ended last by the instant at which the verb was called (among several, the one
    with the highest precedence, then the one booked last). Spans off the path, such as those of a faster
    parallel branch or the delivery of an earlier token, are left out; no instant is covered twice.

    Parameters
    ----------
    owner
        Number of each span's request, from 0 to `n_requests` - 1, [n_spans]. Spans are in the order in
        which they were booked; no span may end after its request.
    """
    n = len(owner)
    order = np.lexsort((precedence, ended_at_s, owner))
    place = np.empty(n, dtype=np.int64)
    place[order] = np.arange(n)
    before = _latest_by(owner[order], ended_at_s[order], owner, asked_at_s)
    # A span of zero length ends when it is requested: of the spans that end then, only those sorted before it
    # can precede it.
    before = np.minimum(before, place - 1)
    firsts = np.searchsorted(owner[order], np.arange(n_requests + 1))
    before = np.where(before >= firsts[owner], before, NONE)[order]  # by place, as places
    lasts = np.where(firsts[1:] > firsts[:-1], firsts[1:] - 1, NONE)
    marked = np.flatnonzero(_reached(before, lasts[lasts != NONE]))
    after = before[marked]
    return Chains(
        spans=order[marked],
        after=np.where(after == NONE, NONE, order[after] if n else NONE),
        lasts=np.where(lasts == NONE, NONE, order[lasts] if n else NONE),
    )


def _latest_by(owner: IntArray, ended_at_s: FloatArray, query_owner: IntArray, at_s: FloatArray) -> IntArray:
    """Find, for each pair of an owner and an instant, the place of the owner's last end by that instant.

    The ends are sorted by owner and instant. If the owner has no end by then, the place lies before its
    first one: it belongs to an earlier owner, or is -1.
    """
    n = len(owner)
    is_query = np.repeat(np.array([0, 1], dtype=np.int8), [n, len(query_owner)])
    order = np.lexsort((is_query, np.concatenate([ended_at_s, at_s]), np.concatenate([owner, query_owner])))
    n_before = np.cumsum(order < n)
    found = np.empty(len(query_owner), dtype=np.int64)
    is_answer = order >= n
    found[order[is_answer] - n] = n_before[is_answer] - 1
    return found


def _reached(before: IntArray, roots: IntArray) -> npt.NDArray[np.bool_]:
    """Mark the places reached from the roots by pointer jumping: 1, 2, 4, ... steps back."""
    n = len(before)
    jump = np.append(np.where(before == NONE, n, before), n)  # the last place stands for the end of a path
    is_on = np.zeros(n + 1, dtype=bool)
    is_on[roots] = True
    while (jump[:-1] != n).any():
        is_on[jump[np.flatnonzero(is_on)]] = True
        jump = jump[jump]
    found: npt.NDArray[np.bool_] = is_on[:-1]
    return found
