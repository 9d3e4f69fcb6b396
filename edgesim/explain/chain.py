"""Critical paths backwards from where requests ended, for many requests at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["NONE", "Chains", "chains"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

NONE = -1
"""In the place of a predecessor: there is none."""


@dataclass(frozen=True, slots=True)
class Chains:
    """The spans that determined when requests ended, each request's in order of time.

    Attributes
    ----------
    spans
        Which of the spans given are on a critical path, [n_on_path].
    after
        The span before each of them on its path, as a number among those given; :data:`NONE` where it is
        the first.
    lasts
        The last span on the path of each request, :data:`NONE` of one without spans, [n_requests].
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
    """Follow every request back from the last of its spans.

    A verb is called when what it needs is there, so before a span on the path stands the one that ended last
    by the instant at which it was asked for (of several, that of the highest precedence, then the one booked
    last). Spans beside the path, as of a branch that was faster or a delivery of an earlier token, are left
    out; no instant is covered twice.

    Parameters
    ----------
    owner
        Number of each span's request, from 0 to `n_requests` - 1, [n_spans]. Spans are in the order in
        which they were booked; none may end after its request has.
    """
    n = len(owner)
    order = np.lexsort((precedence, ended_at_s, owner))
    place = np.empty(n, dtype=np.int64)
    place[order] = np.arange(n)
    before = _latest_by(owner[order], ended_at_s[order], owner, asked_at_s)
    # One that takes no time ends when it is asked for; what ended then and stands before it came first.
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


def _latest_by(owner: IntArray, ended_at_s: FloatArray, asker: IntArray, at_s: FloatArray) -> IntArray:
    """For each asker and instant, the place of the last end by then among all ends up to that owner's.

    Ends are in order of owner and instant. What belongs to an owner before comes out as a place before the
    asker's own.
    """
    n = len(owner)
    is_asked = np.repeat(np.array([0, 1], dtype=np.int8), [n, len(asker)])
    order = np.lexsort((is_asked, np.concatenate([ended_at_s, at_s]), np.concatenate([owner, asker])))
    n_before = np.cumsum(order < n)
    found = np.empty(len(asker), dtype=np.int64)
    is_answer = order >= n
    found[order[is_answer] - n] = n_before[is_answer] - 1
    return found


def _reached(before: IntArray, roots: IntArray) -> npt.NDArray[np.bool_]:
    """Which places are reached from the roots, by jumps of 1, 2, 4, ... steps back."""
    n = len(before)
    jump = np.append(np.where(before == NONE, n, before), n)  # the last place stands for the end of a path
    is_on = np.zeros(n + 1, dtype=bool)
    is_on[roots] = True
    while (jump[:-1] != n).any():
        is_on[jump[np.flatnonzero(is_on)]] = True
        jump = jump[jump]
    found: npt.NDArray[np.bool_] = is_on[:-1]
    return found
