"""Writer of Chrome's JSON Trace Event Format, which Perfetto and other viewers read.

"Trace Event Format" (Google, document 1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU): complete events (X),
counters (C), flows (s, f) and metadata (M). Instants are microseconds with three decimals: whole nanoseconds.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from edgesim.report.perfetto.tracks import Slices, Track, Values
from edgesim.report.perfetto.writer import TimelineWriter

__all__ = ["ChromeWriter"]

_DECIMALS = pa.array([f"{number:03d}" for number in range(1000)])
_TID_FROM = 1_000_000
"""Thread ids start above all process ids: a thread with the id of its process would be its main thread."""


class ChromeWriter(TimelineWriter):
    """Writer of a timeline as JSON.

    A group is a process, and a track one of its threads. Counters belong to processes: two counters of the
    same name in a group would be merged.
    """

    def __init__(self, file: BinaryIO, title: str, names: Sequence[str], details: Sequence[str]) -> None:
        self._file = file
        self._names = pa.array([_json(name) for name in names], pa.string())
        self._details = {name: _json(name) for name in details}
        self._group_of = np.zeros(1024, dtype=np.int64)
        head = {"displayTimeUnit": "ns", "otherData": {"title": title}}
        self._between = "\n"  # separator; the first event is the name of a group
        file.write(f'{_json(head)[:-1]}, "traceEvents": ['.encode())

    def close(self) -> None:
        """Write the closing brackets."""
        self._file.write(b"\n]}\n")

    def _track(self, track: Track) -> None:
        group = track.parent or track.id
        while track.id >= len(self._group_of):
            self._group_of = np.append(self._group_of, np.zeros_like(self._group_of))
        self._group_of[track.id] = group
        if track.unit is not None:  # a counter is named by its values
            return
        what = "thread" if track.parent else "process"
        where = {"pid": group, **({"tid": _TID_FROM + track.id} if track.parent else {})}
        for key, value in (("name", track.name), ("sort_index", track.rank)):
            event = {"ph": "M", "name": f"{what}_{key}", **where, "args": {key: value}}
            self._file.write(f"{self._between}{_json(event)}".encode())
            self._between = ",\n"

    def _slices(self, slices: Slices) -> None:
        rows = np.arange(len(slices.track)) if slices.opens is None else np.flatnonzero(slices.opens)
        if not len(rows):
            return
        track, start_ns = slices.track[rows], slices.start_ns[rows]
        pid, tid = _text(self._group_of[track]), _text(track + _TID_FROM)
        where = _joined('"pid": ', pid, ', "tid": ', tid, ', "ts": ', _microseconds(start_ns))
        name, length = self._names.take(pa.array(slices.name[rows])), slices.end_ns[rows] - start_ns
        head = _joined(',\n{"ph": "X", "cat": "edgesim", "name": ', name, ", ", where)
        details = [self._detail(name, values[rows]) for name, values in slices.details.items()]
        pairs = pc.binary_join_element_wise(*details, ", ", null_handling="skip")
        event = _joined(head, ', "dur": ', _microseconds(length), ', "args": {', pairs, "}}")
        if slices.flow is not None:
            flow = slices.flow[rows]
            opening = '"s"' if slices.leaves else '"f", "bp": "e"'
            opening = f',\n{{"ph": {opening}, "cat": "transfer", "name": "transfer", "id": '
            end = _joined(opening, _text(flow), ", ", where, "}")
            event = _joined(event, pc.if_else(pa.array(flow > 0), end, ""))
        self._write(event)

    def _detail(self, name: str, values: npt.NDArray[np.int64]) -> pa.Array:
        """Write one name-value pair per slice; null where the value is negative (missing)."""
        pair = _joined(f"{self._details[name]}: ", _text(values))
        return pc.if_else(pa.array(values >= 0), pair, None)

    def _values(self, values: Values) -> None:
        if not len(values.at_ns):
            return
        name = _json(values.track.name)
        unit = _json(values.track.unit)
        numbers = pa.array([repr(value) for value in values.value.tolist()])
        head = f',\n{{"ph": "C", "name": {name}, "pid": {self._group_of[values.track.id]}, "ts": '
        at_us = _microseconds(values.at_ns)
        self._write(_joined(head, at_us, f', "args": {{{unit}: ', numbers, "}}"))

    def _write(self, texts: pa.Array) -> None:
        whole = texts.combine_chunks() if isinstance(texts, pa.ChunkedArray) else texts
        offsets = np.frombuffer(whole.buffers()[1], dtype=np.int32)[
            whole.offset : whole.offset + len(whole) + 1
        ]
        data = whole.buffers()[2]
        if data is not None:
            self._file.write(memoryview(data)[offsets[0] : offsets[len(whole)]])


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=True)


def _text(values: npt.NDArray[np.int64]) -> pa.Array:
    return pc.cast(pa.array(values), pa.string())


def _microseconds(ns: npt.NDArray[np.int64]) -> pa.Array:
    return _joined(_text(ns // 1000), ".", _DECIMALS.take(pa.array(ns % 1000)))


def _joined(*pieces: pa.Array | str) -> pa.Array:
    return pc.binary_join_element_wise(*pieces, "")
