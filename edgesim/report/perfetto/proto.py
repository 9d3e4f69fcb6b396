"""Writer of Perfetto's own format: a sequence of TracePacket messages.

Field numbers: ``protos/perfetto/trace/perfetto_trace.proto`` of github.com/google/perfetto; encoding of
tracks, slices, counters and flows: https://perfetto.dev/docs/reference/synthetic-track-event. Instants are
whole nanoseconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from edgesim.report.perfetto.tracks import Slices, Track, Values
from edgesim.report.perfetto.wire import (
    Packed,
    constant,
    double,
    fixed64,
    integer,
    join,
    message,
    nested,
    number,
    text,
)
from edgesim.report.perfetto.writer import TimelineWriter

__all__ = ["ProtoWriter"]

_PACKET = 1  # of Trace
_TIMESTAMP, _SEQUENCE, _TRACK_EVENT = 8, 10, 11  # of TracePacket
_INTERNED, _FLAGS, _TRACK_DESCRIPTOR = 12, 13, 60  # of TracePacket
_STATE_CLEARED, _NEEDS_STATE = 1, 2  # SequenceFlags
_UUID, _NAME, _PARENT, _COUNTER, _ORDERING, _RANK, _MERGING = 1, 2, 5, 8, 11, 12, 15  # of TrackDescriptor
_EXPLICIT, _NEVER = 3, 2  # ChildTracksOrdering, SiblingMergeBehavior
_UNIT, _UNIT_NAME = 3, 6  # of CounterDescriptor
_UNITS = {"count": 2, "bytes": 3}  # CounterDescriptor.Unit
_TYPE, _TRACK, _NAME_IID, _DETAIL, _DOUBLE, _FLOW, _LAST_FLOW = 9, 11, 10, 4, 44, 47, 48  # of TrackEvent
_BEGIN, _END, _VALUE = 1, 2, 4  # TrackEvent.Type
_IID, _INT = 1, 4  # of DebugAnnotation
_EVENT_NAMES, _DETAIL_NAMES = 2, 3  # of InternedData
_ID, _TEXT = 1, 2  # of EventName and DebugAnnotationName

_OWN_SEQUENCE = 1


class ProtoWriter(TimelineWriter):
    """Writer of a timeline as TracePacket messages."""

    def __init__(self, file: BinaryIO, title: str, names: Sequence[str], details: Sequence[str]) -> None:
        self._file = file
        self._details = {name: iid for iid, name in enumerate(details, start=1)}
        self._root = 1
        interned = [
            nested(field, number(_ID, iid), text(_TEXT, name))
            for field, all_names in ((_EVENT_NAMES, names), (_DETAIL_NAMES, details))
            for iid, name in enumerate(all_names, start=1)
        ]
        cleared = number(_FLAGS, _STATE_CLEARED)
        self._packet(cleared, *([nested(_INTERNED, *interned)] if interned else []))
        self._describe(number(_UUID, self._root), text(_NAME, title), number(_ORDERING, _EXPLICIT))

    def close(self) -> None:
        """Do nothing: this format has no end marker."""

    def _track(self, track: Track) -> None:
        fields = [
            number(_UUID, self._uuid(track.id)),
            text(_NAME, track.name),
            number(_PARENT, self._uuid(track.parent)),
            number(_ORDERING, _EXPLICIT),
            number(_RANK, track.rank),
            number(_MERGING, _NEVER),
        ]
        if track.unit in _UNITS:
            fields.append(nested(_COUNTER, number(_UNIT, _UNITS[track.unit])))
        elif track.unit is not None:
            fields.append(nested(_COUNTER, text(_UNIT_NAME, track.unit)))
        self._describe(*fields)

    def _uuid(self, track: int) -> int:
        return track + self._root

    def _slices(self, slices: Slices) -> None:
        n = len(slices.track)
        if not n:
            return
        track = integer(_TRACK, slices.track + self._root)
        details = [
            message(
                _DETAIL, constant(number(_IID, self._details[name]), n), integer(_INT, np.maximum(values, 0))
            ).where(values >= 0)
            for name, values in slices.details.items()
        ]
        flows = []
        if slices.flow is not None:
            flows = [fixed64(_FLOW if slices.leaves else _LAST_FLOW, slices.flow).where(slices.flow > 0)]
        named = integer(_NAME_IID, slices.name + 1)
        begin = _event(slices.start_ns, constant(number(_TYPE, _BEGIN), n), track, named, *details, *flows)
        end = _event(slices.end_ns, constant(number(_TYPE, _END), n), track)
        if slices.opens is not None:
            begin = begin.where(slices.opens)
        if slices.closes is not None:
            end = end.where(slices.closes)
        self._file.write(join(begin, end).tobytes())

    def _values(self, values: Values) -> None:
        n = len(values.at_ns)
        if n:
            track = constant(number(_TRACK, self._uuid(values.track.id)), n)
            event = _event(
                values.at_ns, constant(number(_TYPE, _VALUE), n), track, double(_DOUBLE, values.value)
            )
            self._file.write(event.tobytes())

    def _describe(self, *fields: bytes) -> None:
        self._packet(nested(_TRACK_DESCRIPTOR, *fields))

    def _packet(self, *fields: bytes) -> None:
        self._file.write(nested(_PACKET, number(_SEQUENCE, _OWN_SEQUENCE), *fields))


def _event(at_ns: npt.NDArray[np.int64], *fields: Packed) -> Packed:
    """Create packets with one track event each."""
    n = len(at_ns)
    return message(
        _PACKET,
        integer(_TIMESTAMP, at_ns),
        constant(number(_SEQUENCE, _OWN_SEQUENCE), n),
        constant(number(_FLAGS, _NEEDS_STATE), n),
        message(_TRACK_EVENT, *fields),
    )
