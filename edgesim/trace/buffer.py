"""Where the running cluster writes its spans: a flat buffer of numbers, made into tables in bulk.

Recording a span must cost less than simulating it. So a span is eight numbers packed to 60 bytes of a
growing byte string; its strings are a code (looked up once per device or link), its energy is computed
when the buffer is emptied, for a hundred thousand spans at a time.
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
"""In the place of a request: control traffic, whose hops are spans of their own kind."""

TRANSPORT = -2
"""In the place of a request: what a transport sends by itself, as acknowledgements."""

_PART_ROWS = 100_000  # 6 MB: what the allocator hands out again instead of asking the system for more

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

The share is that of the place's power: below 1 where several spans go on there at once.
"""

# What few spans carry besides; the row it belongs to comes first.
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
    """Stretches of a group's pass in which a member does not compute [s]; see the columns of these names."""

    straggler_s: float = 0.0
    air_s: float = 0.0
    wire_s: float = 0.0
    handling_s: float = 0.0


_NO_PARTS = Parts()


@dataclass(frozen=True, slots=True)
class Spot:
    """What all spans of one kind at one place share.

    Attributes
    ----------
    power_w
        Power drawn above idle while the span lasts, all devices involved together.
    tail_s
        Time at the end of the span during which nothing is drawn: a link's latency.
    link_kind
        Over what a hop or a sum goes.
    """

    kind: SpanKind
    device: str
    peer: str | None = None
    via: str | None = None
    power_w: float = 0.0
    tail_s: float = 0.0
    link_kind: LinkKind | None = None


class SpanBuffer:
    """Collects spans, and hands them on as tables of :data:`~edgesim.trace.schema.TABLES`.

    ``add(pack_span(...))`` records a span; its code comes from :meth:`code_of`; :data:`NO_REQUEST` stands for
    control traffic, :data:`TRANSPORT` for what is neither a request's nor a strategy's, -1 for no token. The
    instants may lie beyond the end of the run: what has not happened by then becomes null, and its energy is
    charged only up to the end. What would only be asked for after it is left out.

    Parameters
    ----------
    write
        Takes each finished table.
    horizon_s
        End of the run, if it is known.
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
        """The number by which spans name a spot."""
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
        """Record a span that carries more than its times."""
        variance = math.nan if error_variance is None else error_variance
        self._details += _pack_detail(len(self._rows) // _ROW.itemsize, attempts, variance, *parts)
        self.add(row)

    @property
    def is_full(self) -> bool:
        """Whether a part's worth of spans has been collected."""
        return len(self._rows) >= self._full_at

    def energy_j(self, request_ids: npt.NDArray[np.int64]) -> FloatArray:
        """Energy of all spans handed on so far for these requests."""
        if len(request_ids):
            self._make_room(int(request_ids.max()))
        return self._energy_j[request_ids]

    def charge(self) -> None:
        """Charge what has been collected to its requests, and forget it: no tables are kept."""
        rows = np.frombuffer(bytes(self._rows), dtype=_ROW)
        self._rows.clear()
        self._details.clear()
        rows = rows[rows["asked_at_s"] <= self._horizon_s]
        if len(rows):
            self._charge(rows["request_id"], self._drawn_j(rows))

    def end_at(self, at_s: float) -> None:
        """Hear when the run has ended."""
        self._horizon_s = min(self._horizon_s, at_s)

    def flush(self, now_s: float) -> set[int]:
        """Hand on what has been collected; the requests of which something is held back.

        As long as the end of the run is not known, a span that reaches into the future is held back: the
        end may cut it.
        """
        # [n_spans]; copies, so that the buffers may shrink
        rows = np.frombuffer(bytes(self._rows), dtype=_ROW)
        details = np.frombuffer(bytes(self._details), dtype=_DETAIL)
        self._rows.clear()
        self._details.clear()
        held_ids: set[int] = set()
        if math.isinf(self._horizon_s):
            held = rows["ended_at_s"] > now_s
            held_ids = set(rows["request_id"][held].tolist())
        if held_ids:
            self._rows += rows[held].tobytes()
            self._details += _renumbered(details, held).tobytes()
            details, rows = _renumbered(details, ~held), rows[~held]
        # What is held back does not count: however much it is, it is looked at again once in a part's worth.
        self._full_at = len(self._rows) + _PART_ROWS * _ROW.itemsize
        is_asked = rows["asked_at_s"] <= self._horizon_s
        if not is_asked.all():
            details, rows = _renumbered(details, is_asked), rows[is_asked]
        if len(rows):
            self._write(self._table(rows, details))
        return held_ids

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
        """Energy of every span, up to the end of the run as far as that is known."""
        power_w = np.array([spot.power_w for spot in self._spots])[rows["code"]]
        tail_s = np.array([spot.tail_s for spot in self._spots])[rows["code"]]
        until_s = np.minimum(rows["ended_at_s"] - tail_s, self._horizon_s)
        drawn_j: FloatArray = power_w * rows["share"] * np.maximum(until_s - rows["started_at_s"], 0.0)
        return drawn_j

    def _kinds(self, request_id: npt.NDArray[np.int64], code: npt.NDArray[np.int32]) -> pa.Array:
        """The kind of every span: a hop's is control where no request is behind it."""
        kinds = [spot.kind.value for spot in self._spots]
        is_hop = np.array([spot.kind is SpanKind.SEND for spot in self._spots])
        is_control = is_hop[code] & (request_id == NO_REQUEST)
        if not is_control.any():
            return _names(code, kinds)
        return _names(np.where(is_control, len(kinds), code), [*kinds, SpanKind.CONTROL.value])

    def _parts(self, rows: npt.NDArray[np.void], details: npt.NDArray[np.void]) -> dict[str, pa.Array]:
        """The parts of every span; unknown of a group's pass that the end of the run has cut."""
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
    """Details of the rows that are kept, by these rows' new numbers."""
    found: npt.NDArray[np.void] = details[kept[details["row"]]].copy()
    found["row"] = (np.cumsum(kept) - 1)[found["row"]]
    return found


def _masked(values: npt.NDArray[Any], is_null: npt.NDArray[np.bool_]) -> pa.Array:
    """Values of which some are null; without a mask where none is, which most parts can do without."""
    return pa.array(values, mask=is_null) if is_null.any() else pa.array(values)


def _names(code: npt.NDArray[np.int32], names: Sequence[str | None]) -> pa.Array:
    """Dictionary-encoded strings, by the spot's code."""
    distinct = [name for name in dict.fromkeys(names) if name is not None]
    position = {name: i for i, name in enumerate(distinct)}
    index = np.array([-1 if name is None else position[name] for name in names], dtype=np.int32)[code]
    return pa.DictionaryArray.from_arrays(_masked(index, index < 0), pa.array(distinct, pa.string()))
