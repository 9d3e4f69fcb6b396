"""Strict checks of exported timelines, written from the two formats' documentation alone.

Packets: https://protobuf.dev/programming-guides/encoding/, perfetto_trace.proto, and
https://perfetto.dev/docs/reference/synthetic-track-event. Chrome's events: "Trace Event Format" (Google).
Each gives back what it has found, track by track, so that the two can be held against one another.
"""

from __future__ import annotations

import json
import math
import struct
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, NamedTuple

VARINT, EIGHT, LENGTH, FOUR = 0, 1, 2, 5


class Slice(NamedTuple):
    name: str
    start_ns: int
    end_ns: int
    details: tuple[tuple[str, int], ...]


@dataclass
class Shown:
    """What a file shows: by group and track."""

    slices: dict[tuple[str, str], list[Slice]] = field(default_factory=lambda: defaultdict(list))
    values: dict[tuple[str, str], list[tuple[int, float]]] = field(default_factory=lambda: defaultdict(list))
    transfers: dict[int, tuple[Any, ...]] = field(default_factory=dict)
    order: list[tuple[str, str]] = field(default_factory=list)


# --- protocol buffers -----------------------------------------------------------------------------


def fields_of(data: bytes) -> Iterator[tuple[int, int, Any]]:
    """Number, wire type and value of every field of a message."""
    at = 0
    while at < len(data):
        key, at = varint(data, at)
        number, wire_type = key >> 3, key & 7
        assert number > 0, "a field's number is 1 or more"
        if wire_type == VARINT:
            value, at = varint(data, at)
        elif wire_type in (EIGHT, FOUR):
            n = 8 if wire_type == EIGHT else 4
            value, at = data[at : at + n], at + n
            assert len(value) == n, "cut off"
        else:
            assert wire_type == LENGTH, f"wire type {wire_type}"
            n, at = varint(data, at)
            value, at = data[at : at + n], at + n
            assert len(value) == n, "cut off"
        yield number, wire_type, value


def varint(data: bytes, at: int) -> tuple[int, int]:
    found = shift = 0
    while True:
        byte = data[at]
        found |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if not byte & 0x80:
            assert shift <= 70, "a varint has ten bytes at most"
            assert byte or shift == 7, "a varint is as short as can be"
            return found, at


# Fields that may be there, by message: number -> name, wire type, whether several times.
TRACE = {1: ("packet", LENGTH, True)}
PACKET = {
    8: ("timestamp", VARINT, False),
    10: ("trusted_packet_sequence_id", VARINT, False),
    11: ("track_event", LENGTH, False),
    12: ("interned_data", LENGTH, False),
    13: ("sequence_flags", VARINT, False),
    60: ("track_descriptor", LENGTH, False),
}
DESCRIPTOR = {
    1: ("uuid", VARINT, False),
    2: ("name", LENGTH, False),
    5: ("parent_uuid", VARINT, False),
    8: ("counter", LENGTH, False),
    11: ("child_ordering", VARINT, False),
    12: ("sibling_order_rank", VARINT, False),
    15: ("sibling_merge_behavior", VARINT, False),
}
COUNTER = {3: ("unit", VARINT, False), 6: ("unit_name", LENGTH, False)}
EVENT = {
    4: ("debug_annotations", LENGTH, True),
    9: ("type", VARINT, False),
    10: ("name_iid", VARINT, False),
    11: ("track_uuid", VARINT, False),
    44: ("double_counter_value", EIGHT, False),
    47: ("flow_ids", EIGHT, True),
    48: ("terminating_flow_ids", EIGHT, True),
}
ANNOTATION = {1: ("name_iid", VARINT, False), 4: ("int_value", VARINT, False)}
INTERNED = {2: ("event_names", LENGTH, True), 3: ("debug_annotation_names", LENGTH, True)}
NAME = {1: ("iid", VARINT, False), 2: ("name", LENGTH, False)}


def read(data: bytes, known: dict[int, tuple[str, int, bool]]) -> dict[str, Any]:
    """A message's fields by name; refuses those that are unknown, of another type, or there twice."""
    found: dict[str, Any] = {name: [] for name, _, several in known.values() if several}
    for number, wire_type, value in fields_of(data):
        assert number in known, f"unknown field {number}"
        name, expected, several = known[number]
        assert wire_type == expected, f"{name}: wire type {wire_type}"
        if several:
            found[name].append(value)
        else:
            assert name not in found, f"{name} twice"
            found[name] = value
    return found


def shown_by_packets(data: bytes) -> Shown:
    """Check a file of packets; what it shows."""
    tracks: dict[int, dict[str, Any]] = {}
    names: dict[str, dict[int, str]] = {"event_names": {}, "debug_annotation_names": {}}
    open_slices: dict[int, list[tuple[str, int, tuple[tuple[str, int], ...], list[int], list[int]]]] = (
        defaultdict(list)
    )
    last_ns: dict[int, int] = {}
    began: dict[int, tuple[Any, ...]] = {}
    ended: dict[int, tuple[Any, ...]] = {}
    shown, is_cleared = Shown(), False

    def where(uuid: int) -> tuple[str, str]:
        track = tracks[uuid]
        return tracks[track["parent_uuid"]]["name"], track["name"]

    for raw in read(data, TRACE)["packet"]:
        packet = read(raw, PACKET)
        assert packet["trusted_packet_sequence_id"] > 0
        content = {"track_event", "interned_data", "track_descriptor"} & packet.keys()
        assert len(content) == 1, "one content a packet"
        flags = packet.get("sequence_flags", 0)
        is_cleared |= bool(flags & 1)
        if "interned_data" in packet:
            for kind, entries in read(packet["interned_data"], INTERNED).items():
                for entry in map(lambda raw: read(raw, NAME), entries):  # noqa: C417
                    assert entry["iid"] > 0
                    assert entry["iid"] not in names[kind]
                    names[kind][entry["iid"]] = entry["name"].decode("utf-8")
            continue
        if "track_descriptor" in packet:
            track = read(packet["track_descriptor"], DESCRIPTOR)
            track["name"] = track["name"].decode("utf-8")
            assert track["uuid"] > 0
            assert track["uuid"] not in tracks, "described once"
            if tracks:
                assert track["parent_uuid"] in tracks, "parents first"
                assert "counter" not in tracks[track["parent_uuid"]], "a counter has no children"
                assert track["sibling_merge_behavior"] == 2
            if "counter" in track:
                unit = read(track["counter"], COUNTER)
                assert unit.get("unit") in (2, 3) or unit["unit_name"].decode("utf-8")
            assert track["child_ordering"] == 3
            tracks[track["uuid"]] = track
            continue
        event, at_ns = read(packet["track_event"], EVENT), packet["timestamp"]
        assert is_cleared, "interned names are used before the state is cleared"
        assert flags & 2
        uuid = event["track_uuid"]
        assert uuid in tracks, "described before it is used"
        assert at_ns >= last_ns.get(uuid, 0), "instants of a track never go back"
        last_ns[uuid] = at_ns
        is_counter = "counter" in tracks[uuid]
        details = tuple(
            (names["debug_annotation_names"][one["name_iid"]], one["int_value"])
            for one in (read(raw, ANNOTATION) for raw in event["debug_annotations"])
        )
        flows = [
            [int.from_bytes(one, "little") for one in event[key]]
            for key in ("flow_ids", "terminating_flow_ids")
        ]
        if event["type"] == 4:
            assert is_counter
            (value,) = struct.unpack("<d", event["double_counter_value"])
            assert math.isfinite(value)
            shown.values[where(uuid)].append((at_ns, value))
        elif event["type"] == 1:
            assert not is_counter
            open_slices[uuid].append((names["event_names"][event["name_iid"]], at_ns, details, *flows))
            for one in flows[0]:
                assert one not in began, "a transfer leaves once"
                began[one] = (*where(uuid), at_ns)
            for one in flows[1]:
                assert one not in ended, "a transfer arrives once"
                ended[one] = (*where(uuid), at_ns)
        else:
            assert event["type"] == 2
            assert not details
            assert flows == [[], []]
            name, start_ns, own, *_ = open_slices[uuid].pop()  # of what was not opened: IndexError
            shown.slices[where(uuid)].append(Slice(name, start_ns, at_ns, own))
    assert not any(open_slices.values()), "all slices are closed"
    assert began.keys() == ended.keys(), "every flow has two ends"
    shown.transfers = {one: (*began[one], *ended[one]) for one in began}
    assert all(one[2] <= one[5] for one in shown.transfers.values())
    groups = sorted(
        (track for track in tracks.values() if track.get("parent_uuid") == 1),
        key=lambda track: track["sibling_order_rank"],
    )
    for group in groups:
        mine = [track for track in tracks.values() if track.get("parent_uuid") == group["uuid"]]
        mine.sort(key=lambda track: track["sibling_order_rank"])
        shown.order += [(group["name"], track["name"]) for track in mine if "counter" not in track]
    return shown


# --- Chrome's events ------------------------------------------------------------------------------

METADATA = {
    "process_name": "name",
    "thread_name": "name",
    "process_sort_index": "sort_index",
    "thread_sort_index": "sort_index",
}


def shown_by_events(text: str) -> Shown:
    """Check a file of Chrome's events; what it shows."""
    document = json.loads(text, parse_float=Decimal, object_pairs_hook=only_once)
    assert set(document) == {"displayTimeUnit", "otherData", "traceEvents"}
    assert document["displayTimeUnit"] in ("ms", "ns")
    told: dict[tuple[str, Any], Any] = {}
    threads: dict[tuple[int, int], list[dict[str, Any]]] = defaultdict(list)
    counters: dict[tuple[int, str], list[dict[str, Any]]] = defaultdict(list)
    flows: dict[str, dict[int, dict[str, Any]]] = {"s": {}, "f": {}}
    for event in document["traceEvents"]:
        assert isinstance(event["pid"], int)
        assert isinstance(event["name"], str)
        phase = event["ph"]
        if phase == "M":
            key = METADATA[event["name"]]
            assert set(event["args"]) == {key}
            assert isinstance(event["args"][key], str if key == "name" else int)
            whose = event["pid"], event.get("tid")
            assert (whose[1] is None) == event["name"].startswith("process")
            assert (event["name"], whose) not in told
            told[event["name"], whose] = event["args"][key]
        elif phase == "X":
            assert set(event) == {"ph", "cat", "name", "pid", "tid", "ts", "dur", "args"}
            assert ns(event["dur"]) >= 0
            assert all(isinstance(value, int) for value in event["args"].values())
            threads[event["pid"], event["tid"]].append(event)
        elif phase == "C":
            assert set(event) == {"ph", "name", "pid", "ts", "args"}
            (value,) = event["args"].values()
            assert math.isfinite(value)
            counters[event["pid"], event["name"]].append(event)
        else:
            assert phase in ("s", "f"), f"unknown phase {phase}"
            assert phase == "s" or event["bp"] == "e"
            assert event["id"] not in flows[phase]
            flows[phase][event["id"]] = event
    shown = Shown()
    for (pid, tid), events in threads.items():
        assert tid != pid, "it would be the main thread"
        group, track = told["process_name", (pid, None)], told["thread_name", (pid, tid)]
        around: list[int] = []
        last_ns = 0
        for event in events:
            start_ns = ns(event["ts"])
            end_ns = start_ns + ns(event["dur"])
            assert start_ns >= last_ns, "instants of a thread never go back"
            last_ns = start_ns
            while around and around[-1] <= start_ns:
                around.pop()
            assert not around or end_ns <= around[-1], "slices of a thread nest, or are apart"
            around.append(end_ns)
            shown.slices[group, track].append(
                Slice(event["name"], start_ns, end_ns, tuple(event["args"].items()))
            )
    for (pid, name), events in counters.items():
        instants = [ns(event["ts"]) for event in events]
        assert instants == sorted(instants)
        assert len({tuple(event["args"]) for event in events}) == 1, "one series a counter"
        numbers = [float(*event["args"].values()) for event in events]
        shown.values[told["process_name", (pid, None)], name] = list(zip(instants, numbers, strict=True))
    assert flows["s"].keys() == flows["f"].keys(), "every flow has two ends"
    starts = {
        (where, ns(event["ts"])): ns(event["ts"]) + ns(event["dur"])
        for where, events in threads.items()
        for event in events
    }
    for one, leaves in flows["s"].items():
        arrives = flows["f"][one]
        ends = []
        for end in (leaves, arrives):
            where = end["pid"], end["tid"]
            assert (where, ns(end["ts"])) in starts, "a flow is bound to a slice of its thread"
            ends += [told["process_name", (where[0], None)], told["thread_name", where], ns(end["ts"])]
        assert ends[2] <= ends[5]
        assert (leaves["cat"], leaves["name"]) == (arrives["cat"], arrives["name"])
        shown.transfers[one] = tuple(ends)

    def place(where: tuple[int, int]) -> tuple[int, int]:
        return told["process_sort_index", (where[0], None)], told["thread_sort_index", where]

    named = [whose for name, whose in told if name == "thread_name"]
    shown.order = [
        (told["process_name", (where[0], None)], told["thread_name", where])
        for where in sorted(named, key=place)
    ]
    return shown


def ns(us: Decimal | int) -> int:
    """Whole nanoseconds of microseconds; refuses what is between, or negative."""
    found = Decimal(us) * 1000
    assert found == int(found)
    assert found >= 0
    return int(found)


def only_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    assert not [key for key, n in Counter(key for key, _ in pairs).items() if n > 1]
    return dict(pairs)


def normal(shown: Shown) -> tuple[Any, ...]:
    """The same, whatever the order in a file."""
    slices = {where: sorted(found) for where, found in shown.slices.items() if found}
    values = {where: found for where, found in shown.values.items() if found}
    return slices, values, shown.transfers
