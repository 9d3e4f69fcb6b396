"""Spans of a run in few bytes each, so that ten million of them have room."""

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
    """What explains latencies of the spans of one run, in order of request and then of booking.

    Attributes
    ----------
    owner
        Row of each span's request among those asked about.
    token, attempts, role
        As numbers; the last among `roles`.
    passes
        Rows of spans that say what a group's member did besides computing, in order, and what:
        [n_passes, 4], seconds.
    control_s
        Beginnings and ends of the stretches in which control traffic was under way, [2, n_stretches].
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
        """Cut the requests into runs of consecutive ones with few enough spans: rows from, to, spans."""
        firsts = np.searchsorted(self.owner, np.arange(n_requests + 1))
        begun = 0
        while begun < n_requests:
            until = int(np.searchsorted(firsts, firsts[begun] + _MOST_AT_ONCE, side="right")) - 1
            until = min(max(until, begun + 1), n_requests)
            yield begun, until, slice(int(firsts[begun]), int(firsts[until]))
            begun = until


@dataclass(slots=True)
class _Columns:
    """Parts of the columns, as they come."""

    owner: list[npt.NDArray[np.int32]] = field(default_factory=list)
    token: list[npt.NDArray[np.int32]] = field(default_factory=list)
    attempts: list[npt.NDArray[np.int16]] = field(default_factory=list)
    role: list[npt.NDArray[np.int8]] = field(default_factory=list)
    times_s: list[FloatArray] = field(default_factory=list)
    pass_rows: list[IntArray] = field(default_factory=list)
    pass_s: list[FloatArray] = field(default_factory=list)
    control_s: list[FloatArray] = field(default_factory=list)


def serving_of(trace: Trace, strategy: str, replication: int) -> dict[str, str]:
    """How each device serves several requests, by its name."""
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
    """Read the spans of some requests, up to an instant of each.

    Parameters
    ----------
    request_id
        Ascending.
    until_s
        Spans that end later, or after the run, are left out: they did not hold the request up.
    with_open
        Whether those that had not ended when the run did count up to that instant: of requests without an
        answer, they are what was waited for.

    Raises
    ------
    TraceError
        If this run has kept no spans.
    """
    if not trace.has_spans(strategy, replication):
        raise TraceError(
            f"{trace.path}: no spans of {strategy}, replication {replication}; expected those that say where "
            "time went: run the scenario again, keeping spans"
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
    """Which spans :func:`gather` keeps, by when they were asked for and ended; [n_spans]."""
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
    """Rows of the spans of these requests, and the row of each one's request."""
    ids = spans["request_id"].to_numpy(np.float64, na_value=-1.0)
    if not len(request_id):
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    owner = np.minimum(np.searchsorted(request_id, ids), len(request_id) - 1)
    (rows,) = np.nonzero(request_id[owner] == ids)
    return rows, owner[rows]


def _control_s(spans: pd.DataFrame) -> FloatArray:
    """From when until when each hop of control traffic was under way."""
    is_control = ((spans["kind"] == SpanKind.CONTROL) & spans["ended_at_s"].notna()).to_numpy(np.bool_)
    times_s = spans.loc[is_control, ["asked_at_s", "ended_at_s"]].to_numpy(np.float64)
    transposed: FloatArray = times_s.T
    return transposed


def _joined(stretches_s: FloatArray) -> FloatArray:
    """Stretches that do not overlap, of those that may; in order."""
    starts, ends = stretches_s[:, np.argsort(stretches_s[0], kind="stable")]
    if not len(starts):
        return np.zeros((2, 0))
    latest = np.maximum.accumulate(ends)
    opens = np.append(True, starts[1:] > latest[:-1])
    return np.stack([starts[opens], latest[np.append(opens[1:], True)]])
