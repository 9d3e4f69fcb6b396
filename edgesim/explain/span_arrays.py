"""Compact arrays of the spans of a run, so that ten million spans fit in memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pandas as pd

from edgesim.errors import TraceError
from edgesim.explain.parts import PASS_PARTS, Role, roles_of
from edgesim.trace.reader import Trace
from edgesim.trace.schema import SpanKind

__all__ = ["Gathered", "gather", "is_within", "serving_of"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

_COLUMNS = [
    "request_id",
    "token",
    "kind",
    "link_kind",
    "device",
    "asked_at_s",
    "started_at_s",
    "ended_at_s",
    "attempts",
    *PASS_PARTS,
]
_MOST_AT_ONCE = 500_000  # spans: some 100 MB while critical paths are followed


@dataclass(frozen=True, slots=True)
class Gathered:
    """The columns of one run's spans that explain latencies, sorted by request and then by booking.

    Attributes
    ----------
    owner
        Row of each span's request among the requests given to :func:`gather`.
    token, attempts
        Token number (-1: none) and number of attempts of each span.
    role
        Index of each span's role in `roles`.
    passes
        Rows of the spans that record what a group's member did besides computing, ascending, and the seconds
        of each part, [n_passes, 4].
    control_s
        Starts and ends of the intervals in which control traffic was under way, [2, n_intervals].
    """

    owner: IntArray
    token: npt.NDArray[np.int32]
    attempts: npt.NDArray[np.int16]
    role: npt.NDArray[np.int8]
    asked_at_s: FloatArray
    started_at_s: FloatArray
    ended_at_s: FloatArray
    roles: tuple[Role, ...]
    passes: tuple[IntArray, FloatArray]
    control_s: FloatArray

    def __len__(self) -> int:
        return len(self.owner)

    def stretches(self, n_requests: int) -> Iterator[tuple[int, int, slice]]:
        """Divide the requests into consecutive stretches of limited size: first row, end row, their spans."""
        firsts = np.searchsorted(self.owner, np.arange(n_requests + 1))
        begun = 0
        while begun < n_requests:
            until = int(np.searchsorted(firsts, firsts[begun] + _MOST_AT_ONCE, side="right")) - 1
            until = min(max(until, begun + 1), n_requests)
            yield begun, until, slice(int(firsts[begun]), int(firsts[until]))
            begun = until


@dataclass(slots=True)
class _Columns:
    """Chunks of the columns in the order of reading."""

    owner: list[npt.NDArray[np.int32]] = field(default_factory=list)
    token: list[npt.NDArray[np.int32]] = field(default_factory=list)
    attempts: list[npt.NDArray[np.int16]] = field(default_factory=list)
    role: list[npt.NDArray[np.int8]] = field(default_factory=list)
    times_s: list[FloatArray] = field(default_factory=list)
    pass_rows: list[IntArray] = field(default_factory=list)
    pass_s: list[FloatArray] = field(default_factory=list)
    control_s: list[FloatArray] = field(default_factory=list)


def serving_of(trace: Trace, strategy: str, replication: int) -> dict[str, str]:
    """Return the service discipline of each device, by its name."""
    devices = trace.devices(strategy, replication)
    return dict(zip(devices["device"].astype(str), devices["serving"].astype(str), strict=True))


def gather(
    trace: Trace,
    strategy: str,
    replication: int,
    request_id: IntArray,
    until_s: FloatArray,
    *,
    with_open: bool = False,
) -> Gathered:
    """Read the spans of some requests, up to a given instant for each request.

    Parameters
    ----------
    request_id
        The requests, ascending.
    until_s
        Instant for each request. Spans that end later, or after the run, are left out: they did not delay
        the request.
    with_open
        Whether to include spans that had not ended at the end of the run, truncated at that instant: an
        unanswered request was waiting for them.

    Raises
    ------
    TraceError
        If the trace contains no spans of this run.
    """
    if not trace.has_spans(strategy, replication):
        raise TraceError(
            f"{trace.path}: no spans of {strategy}, replication {replication}; expected them, to explain "
            "latencies: run the scenario again, keeping spans"
        )
    serving, known, found, n_rows = serving_of(trace, strategy, replication), dict[Role, int](), _Columns(), 0
    for spans in trace.span_parts(strategy, replication, _COLUMNS):
        found.control_s.append(_control_s(spans))
        rows, owner = _owned(spans, request_id)
        is_wanted = is_within(spans.iloc[rows], until_s[owner], with_open=with_open)
        rows, owner = rows[is_wanted], owner[is_wanted]
        spans = spans.iloc[rows]
        asked_at_s, started_at_s, ended_at_s = (
            spans[name].to_numpy(np.float64, na_value=np.nan)
            for name in ("asked_at_s", "started_at_s", "ended_at_s")
        )
        if with_open:
            is_open = np.isnan(ended_at_s)
            ended_at_s = np.where(is_open, until_s[owner], ended_at_s)
            started_at_s = np.where(is_open, np.fmin(started_at_s, ended_at_s), started_at_s)
        found.owner.append(owner.astype(np.int32))
        found.token.append(spans["token"].to_numpy(np.float64, na_value=-1.0).astype(np.int32))
        found.attempts.append(np.minimum(spans["attempts"].to_numpy(np.int64), 32767).astype(np.int16))
        found.role.append(roles_of(spans, serving, known))
        found.times_s.append(np.stack([asked_at_s, started_at_s, ended_at_s]))
        parts_s = np.stack([spans[name].to_numpy(np.float64, na_value=0.0) for name in PASS_PARTS], axis=1)
        (shared,) = np.nonzero((parts_s > 0.0).any(axis=1))
        found.pass_rows.append(n_rows + shared)
        found.pass_s.append(parts_s[shared])
        n_rows += len(owner)
    return _in_order(found, tuple(known))


def is_within(spans: pd.DataFrame, until_s: float | FloatArray, *, with_open: bool) -> npt.NDArray[np.bool_]:
    """Mark the spans that :func:`gather` keeps, given when they were requested and ended; [n_spans]."""
    asked_at_s, ended_at_s = (
        spans[name].to_numpy(np.float64, na_value=np.nan) for name in ("asked_at_s", "ended_at_s")
    )
    found: npt.NDArray[np.bool_] = ended_at_s <= until_s
    return found | (np.isnan(ended_at_s) & (asked_at_s < until_s)) if with_open else found


def _in_order(found: _Columns, roles: tuple[Role, ...]) -> Gathered:
    owner = np.concatenate(found.owner)
    order = np.argsort(owner, kind="stable")
    times_s = np.concatenate(found.times_s, axis=1)
    found.times_s.clear()  # a third of all the memory that is needed
    pass_rows, pass_s = np.concatenate(found.pass_rows), np.concatenate(found.pass_s)
    if len(pass_rows):
        place = np.empty(len(owner), dtype=np.int64)
        place[order] = np.arange(len(owner))
        pass_rows = place[pass_rows]
        by_place = np.argsort(pass_rows)
        pass_rows, pass_s = pass_rows[by_place], pass_s[by_place]
    return Gathered(
        owner=owner[order].astype(np.int64),
        token=np.concatenate(found.token)[order],
        attempts=np.concatenate(found.attempts)[order],
        role=np.concatenate(found.role)[order],
        asked_at_s=times_s[0][order],
        started_at_s=times_s[1][order],
        ended_at_s=times_s[2][order],
        roles=roles,
        passes=(pass_rows, pass_s),
        control_s=_joined(np.concatenate(found.control_s, axis=1)),
    )


def _owned(spans: pd.DataFrame, request_id: IntArray) -> tuple[IntArray, IntArray]:
    """Return the rows of the spans of these requests, and the row of each span's request."""
    ids = spans["request_id"].to_numpy(np.float64, na_value=-1.0)
    if not len(request_id):
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    owner = np.minimum(np.searchsorted(request_id, ids), len(request_id) - 1)
    (rows,) = np.nonzero(request_id[owner] == ids)
    return rows, owner[rows]


def _control_s(spans: pd.DataFrame) -> FloatArray:
    """Starts and ends of the hops of control traffic; [2, n_hops]."""
    is_control = ((spans["kind"] == SpanKind.CONTROL) & spans["ended_at_s"].notna()).to_numpy(np.bool_)
    times_s = spans.loc[is_control, ["asked_at_s", "ended_at_s"]].to_numpy(np.float64)
    transposed: FloatArray = times_s.T
    return transposed


def _joined(stretches_s: FloatArray) -> FloatArray:
    """Merge overlapping intervals into disjoint ones, ascending."""
    starts, ends = stretches_s[:, np.argsort(stretches_s[0], kind="stable")]
    if not len(starts):
        return np.zeros((2, 0))
    latest = np.maximum.accumulate(ends)
    opens = np.append(True, starts[1:] > latest[:-1])
    return np.stack([starts[opens], latest[np.append(opens[1:], True)]])
