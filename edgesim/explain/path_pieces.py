"""Pieces of requests' lifetimes: the part to which each interval of a critical path belongs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt

from edgesim.explain.chain import NONE, Chains, chains
from edgesim.explain.parts import PASS_PARTS, Part
from edgesim.explain.span_arrays import Gathered

__all__ = ["Pieces", "covered_s", "pieces"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

_FIRST, _AFTER = -1, -2  # in place of a token number: before a request's first work, after its last


@dataclass(frozen=True, slots=True)
class Pieces:
    """Intervals that cover the lifetimes of requests, in no particular order; [n_pieces] each.

    Attributes
    ----------
    owner
        Number of the request, from 0.
    part
        :attr:`~edgesim.explain.parts.Part.rank` of the part it belongs to.
    from_s
        Start. Parts that share the work of one span all have its start.
    seconds
        Duration.
    span
        Row of the span among those given; :data:`~edgesim.explain.chain.NONE` where there is none.
    """

    owner: IntArray
    part: IntArray
    from_s: FloatArray
    seconds: FloatArray
    span: IntArray

    def totals_s(self, n_requests: int) -> FloatArray:
        """Sum the seconds by request and part; [n_requests, n_parts]."""
        n_parts = len(Part)
        flat = np.bincount(self.owner * n_parts + self.part, self.seconds, n_requests * n_parts)
        return cast("FloatArray", flat.reshape(n_requests, n_parts).astype(np.float64))


class _Draft:
    """Collects pieces, without those of zero length."""

    def __init__(self) -> None:
        self._parts: list[tuple[npt.NDArray[np.generic], ...]] = []

    def add(
        self, owner: IntArray, part: Part | IntArray, from_s: FloatArray, seconds: FloatArray, span: IntArray
    ) -> None:
        (there,) = np.nonzero(seconds)
        of = np.full(len(owner), part.rank) if isinstance(part, Part) else part
        self._parts.append(tuple(each[there] for each in (owner, of, from_s, seconds, span)))

    def done(self) -> Pieces:
        return Pieces(*(np.concatenate(column) for column in zip(*self._parts, strict=True)))


def pieces(
    spans: Gathered, rows: slice, begun: int, life_s: tuple[FloatArray, FloatArray], *, retries: bool
) -> Pieces:
    """Divide the lifetimes of consecutive requests into pieces that sum to them.

    Parameters
    ----------
    rows
        Rows of the requests' spans among all spans.
    begun
        Number of the first request.
    life_s
        Start and end of the time to explain for each request; [n_requests] each.
    retries
        Whether lost requests are served again.
    """
    arrived_at_s, ended_at_s = life_s
    owner, role = spans.owner[rows] - begun, spans.role[rows]
    asked, started, ended = spans.asked_at_s[rows], spans.started_at_s[rows], spans.ended_at_s[rows]
    precedence = np.array([each.precedence for each in spans.roles], dtype=np.int64)[role]
    found = chains(owner, asked, ended, precedence, len(arrived_at_s))
    on, draft = found.spans, _Draft()
    waits, works = (
        np.array([getattr(each, name).rank for each in spans.roles], dtype=np.int64)[role[on]]
        for name in ("waits", "works")
    )
    owner_on, started_on = owner[on], started[on]
    draft.add(owner_on, waits, asked[on], started_on - asked[on], on)
    work_s = ended[on] - started_on
    # Radio hops: upper bound on the time of retransmissions.
    share = np.where(works == Part.AIR.rank, 1.0 - 1.0 / np.maximum(spans.attempts[rows][on], 1), 0.0)
    repeated_s = work_s * share
    draft.add(owner_on, Part.RETRANSMITTING, started_on, repeated_s, on)
    for part, mean_s in zip(PASS_PARTS.values(), _pass_means_s(spans, rows, on), strict=True):
        draft.add(owner_on, part, started_on, mean_s, on)
        work_s = work_s - mean_s
    draft.add(owner_on, works, started_on, work_s - repeated_s, on)
    _add_gaps(draft, spans, rows, found, (arrived_at_s, ended_at_s), owner, retries=retries)
    return draft.done()


def _add_gaps(
    draft: _Draft,
    spans: Gathered,
    rows: slice,
    found: Chains,
    life_s: tuple[FloatArray, FloatArray],
    owner: IntArray,
    *,
    retries: bool,
) -> None:
    """Add the time that no span covers: before each span on a path, and after the last."""
    of, from_s, until_s, token = _gaps(spans, rows, found, life_s, owner)
    gap_s = until_s - from_s
    is_first, is_lost = token == _FIRST, (token == 0) & retries
    control_s = np.where(is_first | is_lost, 0.0, covered_s(spans.control_s, from_s, until_s))
    part = np.where(is_first, Part.BEFORE_WORK.rank, Part.UNEXPLAINED.rank)
    part[is_lost] = Part.AFTER_LOSS.rank
    nothing = np.full(len(of), NONE)
    draft.add(of, part, from_s, gap_s - control_s, nothing)
    draft.add(of, Part.CONTROL, from_s, control_s, nothing)


def _gaps(
    spans: Gathered, rows: slice, found: Chains, life_s: tuple[FloatArray, FloatArray], owner: IntArray
) -> tuple[IntArray, FloatArray, FloatArray, IntArray]:
    """Find the gaps that no span covers: their owners, starts and ends, and the token of the next span."""
    arrived_at_s, ended_at_s = life_s
    ends = np.append(spans.ended_at_s[rows], 0.0)  # NONE indexes the last, a placeholder
    on, is_first = found.spans, found.after == NONE
    # The gap at the end: of a request without spans, or one that ended after its last span, as by a failure.
    last_s = np.where(found.lasts == NONE, arrived_at_s, ends[found.lasts])
    everyone = np.arange(len(arrived_at_s))
    return (
        np.concatenate([owner[on], everyone]),
        np.concatenate([np.where(is_first, arrived_at_s[owner[on]], ends[found.after]), last_s]),
        np.concatenate([spans.asked_at_s[rows][on], ended_at_s]),
        np.concatenate([np.where(is_first, _FIRST, spans.token[rows][on]), np.full(len(everyone), _AFTER)]),
    )


def _pass_means_s(spans: Gathered, rows: slice, on: IntArray) -> list[FloatArray]:
    """Average, for passes on the path, the time their members did not compute; one array per column.

    Members of one pass are recognised by their common request, start and end. A member that computes all the
    time has no such time of its own, but counts in the average of the pass.
    """
    first, last = np.searchsorted(spans.passes[0], [rows.start, rows.stop])
    if first == last:
        return [np.zeros(len(on)) for _ in PASS_PARTS]
    parts_s = np.zeros((rows.stop - rows.start, len(PASS_PARTS)))
    parts_s[spans.passes[0][first:last] - rows.start] = spans.passes[1][first:last]
    works = np.array([each.works is Part.COMPUTING for each in spans.roles])[spans.role[rows]]
    (computed,) = np.nonzero(works)
    keys = [each[rows][computed] for each in (spans.ended_at_s, spans.started_at_s, spans.owner)]
    order = np.lexsort(keys)
    opens = np.zeros(len(order), dtype=bool)
    opens[:1] = True
    for key in keys:
        opens[1:] |= key[order][1:] != key[order][:-1]
    number = np.empty(len(order), dtype=np.int64)
    number[order] = np.cumsum(opens) - 1
    sizes, means = np.bincount(number), []
    for column in range(len(PASS_PARTS)):
        mean_s = np.zeros(len(parts_s))
        mean_s[computed] = (np.bincount(number, parts_s[computed, column]) / sizes)[number]
        means.append(mean_s[on])
    return means


def covered_s(stretches_s: FloatArray, from_s: FloatArray, until_s: FloatArray) -> FloatArray:
    """Compute how much of each interval is covered by disjoint stretches, in seconds; [n_intervals].

    Parameters
    ----------
    stretches_s
        Starts and ends of the stretches, ascending, [2, n_stretches].
    from_s, until_s
        Starts and ends of the intervals.
    """
    if not stretches_s.shape[1]:
        return np.zeros(len(from_s))
    edges_s = stretches_s.T.ravel()
    done_s = np.repeat(np.append(0.0, np.cumsum(stretches_s[1] - stretches_s[0])), 2)[1:-1]
    from_done_s, until_done_s = (np.interp(at_s, edges_s, done_s) for at_s in (from_s, until_s))
    return cast("FloatArray", until_done_s - from_done_s)
