"""The spans of a run as columns, each span with its row of the timeline."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple, cast

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from edgesim.errors import TraceError
from edgesim.trace.laws.of_columns import of_columns, of_types
from edgesim.trace.laws.rows import Rows
from edgesim.trace.reader import Trace
from edgesim.trace.schema import HOPS, SpanKind
from edgesim.units import LONGEST_RUN_S

__all__ = ["Emits", "Row", "SpansOfWork", "nanoseconds", "sound"]

IntArray = npt.NDArray[np.int64]

_COLUMNS = [
    "request_id",
    "token",
    "kind",
    "device",
    "peer",
    "via",
    "asked_at_s",
    "started_at_s",
    "ended_at_s",
    "n_tokens",
    "size_bytes",
]
_NAMED = {
    SpanKind.ENDPOINT: "handle message",
    SpanKind.ALL_REDUCE: "all-reduce",
    SpanKind.WAIT: "wait for memory",
}
_ROWS = {
    SpanKind.COMPUTE: "compute",
    SpanKind.ENDPOINT: "messages",
    SpanKind.ALL_REDUCE: "sums",
    SpanKind.WAIT: "memory",
}


class Row(NamedTuple):
    """A row of the timeline.

    Attributes
    ----------
    device
        Device to whose group the row belongs.
    label
        Kind of work shown, such as ``compute``, or ``to PEER``.
    receiver
        For a row of transfers to another device: the receiving device, and the label of its row of arrivals.
    """

    device: str
    label: str
    receiver: tuple[str, str] | None = None


class Emits(NamedTuple):
    """Deliveries of tokens, by request and token: ``[n]`` each."""

    request: IntArray
    token: IntArray
    at_ns: IntArray


class SpansOfWork:
    """The spans of one run that started before its end, truncated there; deliveries are kept separately.

    Attributes
    ----------
    rows, names
        All rows of the timeline, and all names of spans.
    row, name
        Indices of each span's row and name in these lists, ``[n]``.
    start_ns, end_ns
        Start and end of each span, ``[n]``.
    request, token, n_tokens, size_bytes
        Values of each span, ``[n]``; -1: none.
    has_ended
        Whether the span ended before the run, ``[n]``.
    waits
        Rows, starts and ends of the waits before spans could start.
    emits
        Deliveries of tokens.
    """

    def __init__(self, trace: Trace, strategy: str, replication: int, duration_s: float) -> None:
        self.rows: list[Row] = []
        self.names: list[str] = []
        self._row_of: dict[Row, int] = {}
        self._name_of: dict[str, int] = {}
        self._duration_ns = int(nanoseconds(np.array([duration_s]))[0])
        columns: dict[str, list[npt.NDArray[Any]]] = {}
        for spans in trace.parts("spans", strategy, replication, _COLUMNS):
            for name, values in self._columns(sound(trace, "spans", spans)):
                columns.setdefault(name, []).append(values)

        def whole(name: str, kind: type[np.generic]) -> npt.NDArray[Any]:
            parts = columns.pop(name, [])
            return np.concatenate(parts) if parts else np.zeros(0, dtype=kind)

        self.row, self.name = whole("row", np.int32), whole("name", np.int32)
        self.start_ns, self.end_ns = whole("start_ns", np.int64), whole("end_ns", np.int64)
        self.request, self.token = whole("request", np.int64), whole("token", np.int32)
        self.n_tokens, self.size_bytes = whole("n_tokens", np.int32), whole("size_bytes", np.int64)
        self.has_ended = whole("has_ended", np.bool_)
        self.waits = tuple(whole(f"wait {name}", np.int64) for name in ("row", "from", "until"))
        emits = [whole(f"emit {name}", np.int64) for name in ("request", "token", "at")]
        order = np.lexsort((emits[1], emits[0]))
        self.emits = Emits(*(column[order] for column in emits))

    def _columns(self, spans: pd.DataFrame) -> Iterator[tuple[str, npt.NDArray[Any]]]:
        """Yield the columns kept from one part of the table."""
        is_emit = (spans["kind"] == SpanKind.EMIT).to_numpy()
        stated = spans[
            is_emit & spans["ended_at_s"].notna().to_numpy() & spans["request_id"].notna().to_numpy()
        ]
        yield "emit request", stated["request_id"].to_numpy(np.int64)
        yield "emit token", stated["token"].fillna(0).to_numpy(np.int64)
        yield "emit at", nanoseconds(stated["ended_at_s"].to_numpy(np.float64))
        spans = spans[~is_emit]
        row, name = self._places(spans)
        asked_ns = nanoseconds(spans["asked_at_s"].to_numpy(np.float64))
        is_begun = spans["started_at_s"].notna().to_numpy()
        start_ns = nanoseconds(spans["started_at_s"].fillna(0.0).to_numpy(np.float64))
        start_ns = np.where(is_begun, start_ns, self._duration_ns + 1)  # not started: waits beyond the end
        waited = start_ns > asked_ns
        yield "wait row", row[waited].astype(np.int64)
        yield "wait from", asked_ns[waited]
        yield "wait until", start_ns[waited]
        spans, row, name, start_ns = spans[is_begun], row[is_begun], name[is_begun], start_ns[is_begun]
        has_ended = spans["ended_at_s"].notna().to_numpy()
        end_ns = nanoseconds(spans["ended_at_s"].fillna(0.0).to_numpy(np.float64))
        yield "row", row
        yield "name", name
        yield "start_ns", start_ns
        yield "end_ns", np.maximum(start_ns, np.where(has_ended, end_ns, self._duration_ns))
        yield "has_ended", has_ended
        for column, kind in (("request_id", np.int64), ("token", np.int32)):
            yield column.removesuffix("_id"), spans[column].fillna(-1).to_numpy().astype(kind)
        for column, kind in (("n_tokens", np.int32), ("size_bytes", np.int64)):
            values: npt.NDArray[Any] = spans[column].to_numpy().astype(kind)
            yield column, np.where(values > 0, values, -1).astype(kind)

    def _places(self, spans: pd.DataFrame) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
        """Return the indices of spans' rows and names, computed once per distinct kind, device and peer."""
        columns = ("kind", "device", "peer", "via")
        named = [spans[column].astype("category").cat for column in columns]
        code = np.zeros(len(spans), dtype=np.int64)
        for column in named:
            code = code * (len(column.categories) + 1) + column.codes.to_numpy() + 1
        distinct, first, which = np.unique(code, return_index=True, return_inverse=True)
        del distinct
        found = spans.iloc[first][list(columns)].astype(object)
        places = [
            self._place(str(kind), str(device), _or_none(peer), _or_none(via))
            for kind, device, peer, via in found.itertuples(index=False, name=None)
        ]
        table = np.array(places, dtype=np.int32).reshape(-1, 2)[which]
        return table[:, 0], table[:, 1]

    def _place(self, kind: str, device: str, peer: str | None, via: str | None) -> tuple[int, int]:
        if kind in HOPS:
            over = f" ({via})" if via else ""
            row = Row(device, f"to {peer}{over}", (peer or "?", f"from {device}{over}"))
            name = kind
        else:
            row = Row(device, _ROWS[SpanKind(kind)])
            name = _NAMED.get(SpanKind(kind)) or (f"{kind} {via}" if via else kind)
        if row not in self._row_of:
            self._row_of[row] = len(self.rows)
            self.rows.append(row)
        if name not in self._name_of:
            self._name_of[name] = len(self.names)
            self.names.append(name)
        return self._row_of[row], self._name_of[name]


def sound(trace: Trace, name: str, table: pa.Table) -> pd.DataFrame:
    """Check a table of a trace against the schema, and convert it; the trace need not be edgesim's own.

    Raises
    ------
    TraceError
        If a column violates the schema.
    """
    for sentence in of_types(name, table):
        raise TraceError(f"{trace.path}: {sentence}")
    for sentence in of_columns(Rows(name, table)):
        raise TraceError(f"{trace.path}: {sentence}")
    return cast("pd.DataFrame", table.to_pandas())


def nanoseconds(at_s: npt.NDArray[np.float64]) -> IntArray:
    """Round instants to whole nanoseconds; the rounding is monotonic.

    Raises
    ------
    TraceError
        If an instant exceeds twice the longest possible run.
    """
    latest_s, most_s = float(at_s.max(initial=0.0)), 2.0 * LONGEST_RUN_S
    if latest_s > most_s:
        raise TraceError(f"an instant of the trace is {latest_s:g} s; expected at most {most_s:g} s")
    return np.rint(at_s * 1e9).astype(np.int64)


def _or_none(value: object) -> str | None:
    return None if value is None or value != value else str(value)  # NaN: missing
