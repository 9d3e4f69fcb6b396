"""Where the time of every request of a run went: parts of its latency that add up to it."""

from __future__ import annotations

from typing import cast

import numpy as np
import numpy.typing as npt
import pandas as pd

from edgesim.explain.chain import NONE, Chains, chains
from edgesim.explain.gathered import Gathered, gather
from edgesim.explain.parts import PASS_PARTS, Part
from edgesim.trace.reader import Trace

__all__ = ["breakdown", "covered_s", "pass_means_s"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

_N_PARTS = len(Part)
_FIRST, _AFTER = -1, -2  # in the place of a token: before a request's first work, after its last


def breakdown(trace: Trace, strategy: str, replication: int) -> pd.DataFrame:
    """Cut the time from arrival to the last token of every completed request into parts.

    Its critical path is followed backwards from the delivery of the last token: before each span stands the
    one of the same request that ended last by the instant at which it was asked for. A span counts from
    when it was asked for: what it waited, and what it did. Of parallel work only what was waited for
    counts, and each instant once.

    A group's pass counts by what its members did in it, on average over them. Of a radio hop with n attempts
    the share (n - 1) / n counts as repeating: as if all its blocks had met the fate of the unluckiest, so
    it is the most that repeating can have taken. What no span covers is named by where it lies: before the
    first work; before the prompt is served again, where work was lost and the scenario has retries; while
    control traffic was under way anywhere; else it is not explained.

    Not modelled: what sharing costs. Where passes share a device, or messages a band, a span is longer for
    it, and the trace does not say by how much.

    Returns
    -------
    DataFrame
        Seconds, one row per completed request (column ``request_id``, ascending) and one column per
        :class:`~edgesim.explain.parts.Part`; they add up to ``ended_at_s`` - ``arrived_at_s``.

    Raises
    ------
    TraceError
        If this run has kept no spans.
    """
    requests = trace.requests(strategy, replication)
    requests = requests[(requests["outcome"] == "completed").to_numpy()].sort_values("request_id")
    request_id = requests["request_id"].to_numpy(np.int64)
    arrived_at_s, ended_at_s = (
        requests[name].to_numpy(np.float64) for name in ("arrived_at_s", "ended_at_s")
    )
    spans = gather(trace, strategy, replication, request_id, ended_at_s)
    retries = bool(trace.run.get("retries", False))
    parts_s = np.zeros((len(request_id), _N_PARTS))
    for begun, until, rows in spans.stretches(len(request_id)):
        life_s = arrived_at_s[begun:until], ended_at_s[begun:until]
        parts_s[begun:until] = _parts_s(spans, rows, begun, *life_s, retries=retries)
    table = pd.DataFrame(parts_s, columns=[part.value for part in Part])
    table.insert(0, "request_id", request_id)
    return table


def _parts_s(
    spans: Gathered,
    rows: slice,
    begun: int,
    arrived_at_s: FloatArray,
    ended_at_s: FloatArray,
    *,
    retries: bool,
) -> FloatArray:
    """Parts of consecutive requests, whose spans are `rows`; [n_requests, n_parts]."""
    n_requests = len(arrived_at_s)
    owner, role = spans.owner[rows] - begun, spans.role[rows]
    asked, started, ended = spans.asked_at_s[rows], spans.started_at_s[rows], spans.ended_at_s[rows]
    precedence = np.array([each.precedence for each in spans.roles], dtype=np.int64)[role]
    found = chains(owner, asked, ended, precedence, n_requests)
    on, after = found.spans, found.after
    total_s = np.zeros(n_requests * _N_PARTS)

    def add(of: IntArray, part: IntArray, seconds: FloatArray) -> None:
        total_s[:] += np.bincount(of * _N_PARTS + part, seconds, len(total_s))

    waits, works = (
        np.array([getattr(each, name).rank for each in spans.roles], dtype=np.int64)[role[on]]
        for name in ("waits", "works")
    )
    add(owner[on], waits, started[on] - asked[on])
    work_s = ended[on] - started[on]
    # Radio hops: what their repetitions can have taken at most.
    repeats = 1.0 - 1.0 / spans.attempts[rows][on]
    is_repeated = (works == Part.AIR.rank) & (repeats > 0.0)
    repeated_s = np.where(is_repeated, work_s * repeats, 0.0)
    add(owner[on], np.full(len(on), Part.RETRANSMITTING.rank), repeated_s)
    for part, mean_s in zip(PASS_PARTS.values(), pass_means_s(spans, rows, on), strict=True):
        add(owner[on], np.full(len(on), part.rank), mean_s)
        work_s = work_s - mean_s
    add(owner[on], works, work_s - repeated_s)
    of, from_s, until_s, token = _gaps(spans, rows, found, (arrived_at_s, ended_at_s), owner)
    is_lost = (token == 0) & retries
    gap_s = until_s - from_s
    control_s = np.where(
        token == _FIRST, 0.0, np.where(is_lost, 0.0, covered_s(spans.control_s, from_s, until_s))
    )
    rest = np.where(token == _FIRST, Part.HELD_BACK.rank, Part.UNEXPLAINED.rank)
    add(of, np.where(is_lost, Part.AFTER_LOSS.rank, rest), gap_s - control_s)
    add(of, np.full(len(of), Part.CONTROL.rank), control_s)
    return total_s.reshape(n_requests, _N_PARTS)


def _gaps(
    spans: Gathered, rows: slice, found: Chains, life_s: tuple[FloatArray, FloatArray], owner: IntArray
) -> tuple[IntArray, FloatArray, FloatArray, IntArray]:
    """What no span covers: owners, from and until when, and the token worked for after it.

    Before the first span on a path the token is that of the first work, -1; after the last, -2.
    """
    arrived_at_s, ended_at_s = life_s
    ends = spans.ended_at_s[rows]
    on, after = found.spans, found.after
    is_first = after == NONE
    from_s = np.where(is_first, arrived_at_s[owner[on]], ends[after] if len(ends) else 0.0)
    token = np.where(is_first, _FIRST, spans.token[rows][on])
    # A request without spans, or (of a foreign trace) one that ended after the last of them.
    last_s = np.where(found.lasts == NONE, arrived_at_s, ends[found.lasts] if len(ends) else 0.0)
    everybody = np.arange(len(arrived_at_s))
    return (
        np.concatenate([owner[on], everybody]),
        np.concatenate([from_s, last_s]),
        np.concatenate([spans.asked_at_s[rows][on], ended_at_s]),
        np.concatenate([token, np.full(len(everybody), _AFTER)]),
    )


def pass_means_s(spans: Gathered, rows: slice, on: IntArray) -> list[FloatArray]:
    """What the members of groups did besides computing in the passes of spans on the path, on average.

    A member that computes all the time has no part, and belongs to the pass of those that wait for it: what
    members of a pass have in common is their request, the instant at which they began and that at which
    they ended.

    Returns
    -------
    list
        By column of :data:`~edgesim.explain.parts.PASS_PARTS`, seconds of each span on the path.
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
    sizes = np.bincount(number)
    means = []
    for column in range(len(PASS_PARTS)):
        mean_s = np.bincount(number, parts_s[computed, column]) / sizes
        whole_s = np.zeros(len(parts_s))
        whole_s[computed] = mean_s[number]
        means.append(whole_s[on])
    return means


def covered_s(stretches_s: FloatArray, from_s: FloatArray, until_s: FloatArray) -> FloatArray:
    """How long stretches that do not overlap cover each of some intervals; [n_intervals]."""
    if not stretches_s.shape[1]:
        return np.zeros(len(from_s))
    edges = stretches_s.T.ravel()
    lengths_s = stretches_s[1] - stretches_s[0]
    done_s = np.repeat(np.append(0.0, np.cumsum(lengths_s)), 2)[1:-1]

    def until(at_s: FloatArray) -> FloatArray:
        return cast("FloatArray", np.interp(at_s, edges, done_s))

    return until(until_s) - until(from_s)
