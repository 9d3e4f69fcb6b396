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
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from edgesim.trace.schema import SpanKind, arrow_schema

__all__ = ["SpanBuffer", "Spot", "pack_span"]

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

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Spot:
    """What all spans of one kind at one place share.

    Attributes
    ----------
    power_w
        Power drawn above idle while the span lasts, all devices involved together.
    tail_s
        Time at the end of the span during which nothing is drawn: a link's latency.
    """

    kind: SpanKind
    device: str
    peer: str | None = None
    via: str | None = None
    power_w: float = 0.0
    tail_s: float = 0.0


class SpanBuffer:
    """Collects spans, and hands them on as tables of :data:`~edgesim.trace.schema.TABLES`.

    ``add(pack_span(...))`` records a span; its code comes from :meth:`code_of`; -1 stands for no request
    and no token. The instants may lie beyond the end of the run: what has not happened by then becomes
    null, and its energy is charged only up to the end.

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
        self._details: dict[int, tuple[float | None, int]] = {}  # row -> (error variance, attempts)
        self._energy_j: FloatArray = np.zeros(1024)
        self.add: Callable[[bytes], None] = self._rows.extend

    def code_of(self, spot: Spot) -> int:
        """The number by which spans name a spot."""
        if spot not in self._codes:
            self._codes[spot] = len(self._spots)
            self._spots.append(spot)
        return self._codes[spot]

    def add_detailed(self, row: bytes, *, error_variance: float | None, attempts: int) -> None:
        """Record a span that carries more than its times."""
        self._details[len(self._rows) // _ROW.itemsize] = (error_variance, attempts)
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

    def end_at(self, at_s: float) -> None:
        """Hear when the run has ended."""
        self._horizon_s = min(self._horizon_s, at_s)

    def flush(self, now_s: float) -> set[int]:
        """Hand on what has been collected; the requests of which something is held back.

        As long as the end of the run is not known, a span that reaches into the future is held back: the
        end may cut it.
        """
        # [n_spans]; a copy, so that the buffer may shrink
        rows = np.frombuffer(bytes(self._rows), dtype=_ROW)
        details, self._details = self._details, {}
        self._rows.clear()
        held_ids: set[int] = set()
        if math.isinf(self._horizon_s):
            held = rows["ended_at_s"] > now_s
            held_ids = set(rows["request_id"][held].tolist())
        if held_ids:
            self._rows += rows[held].tobytes()
            place = np.cumsum(held) - 1
            self._details = {int(place[i]): told for i, told in details.items() if held[i]}
            place = np.cumsum(~held) - 1
            details = {int(place[i]): told for i, told in details.items() if not held[i]}
            rows = rows[~held]
        # What is held back does not count: however much it is, it is looked at again once in a part's worth.
        self._full_at = len(self._rows) + _PART_ROWS * _ROW.itemsize
        if len(rows):
            self._write(self._table(rows, details))
        return held_ids

    def _table(self, rows: npt.NDArray[np.void], details: dict[int, tuple[float | None, int]]) -> pa.Table:
        request_id, code = rows["request_id"].copy(), rows["code"].copy()
        started_at_s, ended_at_s = rows["started_at_s"].copy(), rows["ended_at_s"].copy()
        power_w = np.array([spot.power_w for spot in self._spots])[code]
        tail_s = np.array([spot.tail_s for spot in self._spots])[code]
        until_s = np.minimum(ended_at_s - tail_s, self._horizon_s)
        energy_j = power_w * rows["share"] * np.maximum(until_s - started_at_s, 0.0)
        self._charge(request_id, energy_j)
        error_variance: list[float | None] | pa.Array = pa.nulls(len(rows), pa.float64())
        attempts = np.ones(len(rows), dtype=np.int32)
        if details:
            error_variance = [details.get(i, (None, 1))[0] for i in range(len(rows))]
            for row, (_, n_attempts) in details.items():
                attempts[row] = n_attempts
        columns = {
            "request_id": _masked(request_id, request_id < 0),
            "token": _masked(rows["token"].copy(), rows["token"] < 0),
            "kind": _names(code, [spot.kind.value for spot in self._spots]),
            "device": _names(code, [spot.device for spot in self._spots]),
            "peer": _names(code, [spot.peer for spot in self._spots]),
            "via": _names(code, [spot.via for spot in self._spots]),
            "asked_at_s": rows["asked_at_s"].copy(),
            "started_at_s": _masked(started_at_s, started_at_s > self._horizon_s),
            "ended_at_s": _masked(ended_at_s, ended_at_s > self._horizon_s),
            "n_tokens": rows["n_tokens"].copy(),
            "size_bytes": np.rint(rows["size_bytes"]).astype(np.int64),
            "energy_j": energy_j,
            "error_variance": error_variance,
            "attempts": attempts,
        }
        return pa.table(columns, schema=arrow_schema("spans"))

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


def _masked(values: npt.NDArray[Any], is_null: npt.NDArray[np.bool_]) -> pa.Array:
    """Values of which some are null; without a mask where none is, which most parts can do without."""
    return pa.array(values, mask=is_null) if is_null.any() else pa.array(values)


def _names(code: npt.NDArray[np.int32], names: Sequence[str | None]) -> pa.Array:
    """Dictionary-encoded strings, by the spot's code."""
    distinct = [name for name in dict.fromkeys(names) if name is not None]
    position = {name: i for i, name in enumerate(distinct)}
    index = np.array([-1 if name is None else position[name] for name in names], dtype=np.int32)[code]
    return pa.DictionaryArray.from_arrays(_masked(index, index < 0), pa.array(distinct, pa.string()))
