"""Buffer in which a running cluster records spans, and which converts them to tables in bulk.

Recording a span must cost less than simulating it. A span is therefore nine numbers packed into 60 bytes of
a growing byte array. Its strings are replaced by an integer code (one per kind and place). Its energy is
computed when the buffer is flushed, for 100,000 spans at a time.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from edgesim.trace.schema import LinkKind, SpanKind, arrow_schema

__all__ = ["NO_REQUEST", "TRANSPORT", "Parts", "SpanBuffer", "Spot", "pack_span"]

NO_REQUEST = -1
"""Request id of control traffic, whose hops become spans of kind ``control``."""

TRANSPORT = -2
"""Request id of messages that a transport itself sends, such as acknowledgements."""

_PART_ROWS = 100_000  # 6 MB, which the allocator reuses instead of requesting memory from the system

_ROW = np.dtype(
    [
        ("request_id", "<i8"),
        ("token", "<i4"),
        ("code", "<i4"),
        ("n_tokens", "<i4"),
        ("size_bytes", "<f8"),
        ("asked_at_s", "<f8"),
        ("started_at_s", "<f8"),
        ("ended_at_s", "<f8"),
        ("share", "<f8"),
    ]
)

pack_span = struct.Struct("<qiiiddddd").pack
"""Packs ``(request_id, token, code, n_tokens, size_bytes, asked_at_s, started_at_s, ended_at_s, share)``.

The share is the fraction of the place's power: below 1 if several spans overlap there.
"""

# Values that only few spans have; `row` is the index of the span.
_DETAIL = np.dtype(
    [
        ("row", "<i8"),
        ("attempts", "<i8"),
        ("error_variance", "<f8"),  # nan: none
        ("straggler_s", "<f8"),
        ("air_s", "<f8"),
        ("wire_s", "<f8"),
        ("handling_s", "<f8"),
    ]
)
_pack_detail = struct.Struct("<qqddddd").pack

FloatArray = npt.NDArray[np.float64]


class Parts(NamedTuple):
    """Times in a group's pass in which a member does not compute [s]; see the columns of the same names."""

    straggler_s: float = 0.0
    air_s: float = 0.0
    wire_s: float = 0.0
    handling_s: float = 0.0


_NO_PARTS = Parts()


@dataclass(frozen=True, slots=True)
class Spot:
    """Properties shared by all spans of one kind at one place.

    Attributes
    ----------
    power_w
        Power drawn above idle during the span, summed over all devices involved.
    tail_s
        Time at the end of the span during which no power is drawn: a link's latency.
    link_kind
        Kind of link that carries a hop or a sum.
    """

    kind: SpanKind
    device: str
    peer: str | None = None
    via: str | None = None
    power_w: float = 0.0
    tail_s: float = 0.0
    link_kind: LinkKind | None = None


class SpanBuffer:
    """Collects spans and writes them as tables in the schema of :data:`~edgesim.trace.schema.TABLES`.

    ``add(pack_span(...))`` records a span, with the code from :meth:`code_of`. Instead of a request id,
    :data:`NO_REQUEST` stands for control traffic and :data:`TRANSPORT` for transport acknowledgements; token
    -1 means none. Instants may lie after the end of the run: they become null, and energy is charged only up
    to the end. Spans requested after the end are dropped.

    Parameters
    ----------
    write
        Called with each finished table.
    horizon_s
        End of the run, if known in advance.
    """

    def __init__(self, write: Callable[[pa.Table], None], horizon_s: float | None) -> None:
        self._write = write
        self._horizon_s = math.inf if horizon_s is None else horizon_s
        self._rows = bytearray()
        self._full_at = _PART_ROWS * _ROW.itemsize  # bytes
        self._spots: list[Spot] = []
        self._codes: dict[Spot, int] = {}
        self._details = bytearray()
        self._energy_j: FloatArray = np.zeros(1024)
        self.add: Callable[[bytes], None] = self._rows.extend

    def code_of(self, spot: Spot) -> int:
        """Return the integer code of a spot, for use in spans."""
        if spot not in self._codes:
            self._codes[spot] = len(self._spots)
            self._spots.append(spot)
        return self._codes[spot]

    def add_detailed(
        self,
        row: bytes,
        *,
        error_variance: float | None = None,
        attempts: int = 1,
        parts: Parts = _NO_PARTS,
    ) -> None:
        """Record a span with an error variance, a number of attempts, or parts of a group's pass."""
        variance = math.nan if error_variance is None else error_variance
        self._details += _pack_detail(len(self._rows) // _ROW.itemsize, attempts, variance, *parts)
        self.add(row)

    @property
    def is_full(self) -> bool:
        """Whether enough spans for one part (100,000) have been collected since the last flush."""
        return len(self._rows) >= self._full_at

    def energy_j(self, request_ids: npt.NDArray[np.int64]) -> FloatArray:
        """Return each request's energy over all spans written or charged so far [J]."""
        if len(request_ids):
            self._make_room(int(request_ids.max()))
        return self._energy_j[request_ids]

    def charge(self) -> None:
        """Charge the energy of the collected spans to their requests, and discard the spans unwritten."""
        rows = np.frombuffer(bytes(self._rows), dtype=_ROW)
        self._rows.clear()
        self._details.clear()
        rows = rows[rows["asked_at_s"] <= self._horizon_s]
        if len(rows):
            self._charge(rows["request_id"], self._drawn_j(rows))

    def end_at(self, at_s: float) -> None:
        """Set the end of the run, which then cuts spans."""
        self._horizon_s = min(self._horizon_s, at_s)

    def flush(self, now_s: float) -> set[int]:
        """Write the collected spans; return the ids of requests with spans that are kept for later.

        While the end of the run is unknown, a span that ends after `now_s` is kept: the end may cut it.
        """
        # [n_spans]; copies, since an exported buffer could not be resized
        rows = np.frombuffer(bytes(self._rows), dtype=_ROW)
        details = np.frombuffer(bytes(self._details), dtype=_DETAIL)
        self._rows.clear()
        self._details.clear()
        kept_ids: set[int] = set()
        if math.isinf(self._horizon_s):
            is_kept = rows["ended_at_s"] > now_s
            kept_ids = set(rows["request_id"][is_kept].tolist())
        if kept_ids:
            self._rows += rows[is_kept].tobytes()
            self._details += _renumbered(details, is_kept).tobytes()
            details, rows = _renumbered(details, ~is_kept), rows[~is_kept]
        # Kept spans do not count towards the next part, so they are examined once per part only.
        self._full_at = len(self._rows) + _PART_ROWS * _ROW.itemsize
        is_asked = rows["asked_at_s"] <= self._horizon_s
        if not is_asked.all():
            details, rows = _renumbered(details, is_asked), rows[is_asked]
        if len(rows):
            self._write(self._table(rows, details))
        return kept_ids

    def _table(self, rows: npt.NDArray[np.void], details: npt.NDArray[np.void]) -> pa.Table:
        request_id, code = rows["request_id"].copy(), rows["code"].copy()
        started_at_s, ended_at_s = rows["started_at_s"].copy(), rows["ended_at_s"].copy()
        energy_j = self._drawn_j(rows)
        self._charge(request_id, energy_j)
        error_variance = np.full(len(rows), math.nan)
        error_variance[details["row"]] = details["error_variance"]
        attempts = np.ones(len(rows), dtype=np.int32)
        attempts[details["row"]] = details["attempts"]
        columns = {
            "request_id": _masked(request_id, request_id < 0),
            "token": _masked(rows["token"].copy(), rows["token"] < 0),
            "kind": self._kinds(request_id, code),
            "device": _names(code, [spot.device for spot in self._spots]),
            "peer": _names(code, [spot.peer for spot in self._spots]),
            "via": _names(code, [spot.via for spot in self._spots]),
            "link_kind": _names(code, [spot.link_kind for spot in self._spots]),
            "asked_at_s": rows["asked_at_s"].copy(),
            "started_at_s": _masked(started_at_s, started_at_s > self._horizon_s),
            "ended_at_s": _masked(ended_at_s, ended_at_s > self._horizon_s),
            "n_tokens": rows["n_tokens"].copy(),
            "size_bytes": np.rint(rows["size_bytes"]).astype(np.int64),
            "energy_j": energy_j,
            **self._parts(rows, details),
            "error_variance": _masked(error_variance, np.isnan(error_variance)),
            "attempts": attempts,
        }
        return pa.table(columns, schema=arrow_schema("spans"))

    def _drawn_j(self, rows: npt.NDArray[np.void]) -> FloatArray:
        """Return the energy of each span [J], up to the end of the run if known."""
        power_w = np.array([spot.power_w for spot in self._spots])[rows["code"]]
        tail_s = np.array([spot.tail_s for spot in self._spots])[rows["code"]]
        until_s = np.minimum(rows["ended_at_s"] - tail_s, self._horizon_s)
        drawn_j: FloatArray = power_w * rows["share"] * np.maximum(until_s - rows["started_at_s"], 0.0)
        return drawn_j

    def _kinds(self, request_id: npt.NDArray[np.int64], code: npt.NDArray[np.int32]) -> pa.Array:
        """Return the kind of each span; a hop without a request is ``control``."""
        kinds = [spot.kind.value for spot in self._spots]
        is_hop = np.array([spot.kind is SpanKind.SEND for spot in self._spots])
        is_control = is_hop[code] & (request_id == NO_REQUEST)
        if not is_control.any():
            return _names(code, kinds)
        return _names(np.where(is_control, len(kinds), code), [*kinds, SpanKind.CONTROL.value])

    def _parts(self, rows: npt.NDArray[np.void], details: npt.NDArray[np.void]) -> dict[str, pa.Array]:
        """Return the parts of each span, by column; null for a group's pass that the end of the run cuts."""
        none = pa.array(np.zeros(len(rows)))
        is_compute = np.array([spot.kind is SpanKind.COMPUTE for spot in self._spots])
        passes = details[is_compute[rows["code"][details["row"]]]]
        if not len(passes):
            return dict.fromkeys(Parts._fields, none)
        is_cut = np.zeros(len(rows), dtype=bool)
        is_cut[passes["row"]] = rows["ended_at_s"][passes["row"]] > self._horizon_s
        found = {}
        for part in Parts._fields:
            values = np.zeros(len(rows))
            values[passes["row"]] = passes[part]
            found[part] = _masked(values, is_cut)
        return found

    def _charge(self, request_id: npt.NDArray[np.int64], energy_j: FloatArray) -> None:
        charged = request_id >= 0
        if not charged.any():
            return
        self._make_room(int(request_id.max()))
        share_j = np.bincount(request_id[charged], weights=energy_j[charged])
        self._energy_j[: len(share_j)] += share_j

    def _make_room(self, request_id: int) -> None:
        if request_id >= len(self._energy_j):
            grown = np.zeros(max(request_id + 1, 2 * len(self._energy_j)))
            grown[: len(self._energy_j)] = self._energy_j
            self._energy_j = grown


def _renumbered(details: npt.NDArray[np.void], kept: npt.NDArray[np.bool_]) -> npt.NDArray[np.void]:
    """Select the details of the kept rows, and renumber their rows accordingly."""
    found: npt.NDArray[np.void] = details[kept[details["row"]]].copy()
    found["row"] = (np.cumsum(kept) - 1)[found["row"]]
    return found


def _masked(values: npt.NDArray[Any], is_null: npt.NDArray[np.bool_]) -> pa.Array:
    """Return an array with nulls where `is_null`; without a mask if there are none, the usual case."""
    return pa.array(values, mask=is_null) if is_null.any() else pa.array(values)


def _names(code: npt.NDArray[np.int32], names: Sequence[str | None]) -> pa.Array:
    """Return each span's name as dictionary-encoded strings, given its code and the names by code."""
    distinct = [name for name in dict.fromkeys(names) if name is not None]
    position = {name: i for i, name in enumerate(distinct)}
    index = np.array([-1 if name is None else position[name] for name in names], dtype=np.int32)[code]
    return pa.DictionaryArray.from_arrays(_masked(index, index < 0), pa.array(distinct, pa.string()))
