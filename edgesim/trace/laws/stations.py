"""Law of exclusive stations: a station starts a span only after its previous span has ended."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np

from edgesim.trace.laws.law import RELATIVE, Law, RunContext
from edgesim.trace.laws.rows import BoolArray, FloatArray, IntArray, Rows
from edgesim.trace.schema import HOPS, ONE_BY_ONE, SpanKind

__all__ = ["ALONE", "Stations"]

ALONE = Law(
    "spans.started_at_s",
    "no earlier than the previous span of its station ended",
    ("spans.ended_at_s", "spans.device", "spans.peer", "spans.via", "spans.kind", "devices.serving"),
)


class Stations:
    """Check of one run's compute stations, messaging stations and wire directions, for spans in parts.

    Spans of a station are usually recorded in order, so only the end of its last span is stored. If a part
    contains a span that starts before that end, all spans of the station are checked again at the end.
    """

    def __init__(self, there: RunContext) -> None:
        self._there = there
        devices = there.devices
        self._n_devices = len(devices)
        serving = ~devices.named("serving", *ONE_BY_ONE)
        self._shares_time = np.append(serving, [True, True])
        self._is_fifo = np.append(there.is_fifo, [False, False])
        self._on_compute = np.append(devices.is_true("messages_on_compute"), [False, False])
        # Messages on the air may overlap.
        self._wires = {via for via, facts in there.links.items() if not facts.get("is_shared", False)}
        self._hops: dict[tuple[str, str], int] = {}
        self._done_at_s: dict[int, float] = {}
        self._again: set[int] = set()

    def add(self, spans: Rows) -> Iterator[str]:
        """Check one part by itself, and yield a violation if a span starts too early."""
        rows, station, starts, ends = self._served(spans)
        if not len(rows):
            return
        early = _early(station, starts, ends)
        is_early: BoolArray = np.zeros(len(spans), dtype=bool)
        is_early[rows[early]] = True
        yield from ALONE.broken(spans, is_early)
        own, first = np.unique(station, return_index=True)
        for place, at_s, done_s in zip(
            own.tolist(), starts[first].tolist(), np.maximum.reduceat(ends, first).tolist(), strict=True
        ):
            before_s = self._done_at_s.get(place, -np.inf)
            if at_s < before_s - self._slack_s:
                self._again.add(place)
            self._done_at_s[place] = max(before_s, done_s)

    def close(self, parts: Callable[[], Iterable[Rows]]) -> Iterator[str]:
        """Check the stations whose spans were not recorded in order, reading the parts again."""
        if not self._again:
            return
        kept: list[tuple[IntArray, FloatArray, FloatArray]] = []
        for spans in parts():
            _, station, starts, ends = self._served(spans)
            again = np.isin(station, list(self._again))
            kept.append((station[again], starts[again], ends[again]))
        station, starts, ends = (np.concatenate(each) for each in zip(*kept, strict=True))
        order = np.lexsort((ends, starts, station))
        station, starts, ends = station[order], starts[order], ends[order]
        early = np.nonzero(_early(station, starts, ends))[0]
        if len(early):
            row = int(early[0])
            yield ALONE.sentence(
                self._name(int(station[row])),
                f"a span that starts at {starts[row]} s",
                f"{ALONE.says} ({ends[row - 1]} s)",
            )

    @property
    def _slack_s(self) -> float:
        return RELATIVE * self._there.duration_s

    def _served(self, spans: Rows) -> tuple[IntArray, IntArray, FloatArray, FloatArray]:
        """Return rows, stations, starts and ends of the spans of exclusive stations, sorted by station."""
        there, device = self._there, self._there.device_of(spans)
        is_pass, is_end = (spans.named("kind", one) for one in (SpanKind.COMPUTE, SpanKind.ENDPOINT))
        is_hop = spans.named("kind", *HOPS)
        station = np.full(len(spans), -1, dtype=np.int64)
        station = np.where(is_pass & ~self._shares_time[device], device, station)
        beside = np.where(self._on_compute[device], device, self._n_devices + device)
        station = np.where(is_end & (device >= 0), beside, station)
        ends = np.where(spans.is_null("ended_at_s"), np.nan, spans.floats("ended_at_s"))
        ends = np.where(is_pass & np.isnan(ends), there.duration_s, ends)
        hop, latency_s = self._wires_of(spans)
        station = np.where(is_hop, hop, station)
        ends = np.where(is_hop, ends - latency_s, ends)
        (rows,) = np.nonzero((station >= 0) & ~spans.is_null("started_at_s"))
        station, starts, ends = station[rows], spans.floats("started_at_s")[rows], ends[rows]
        ends = np.where(np.isnan(ends), starts, ends)  # cut by the end of the run: its end is unknown
        order = np.lexsort((ends, starts, station))
        rows, station, starts, ends = rows[order], station[order], starts[order], ends[order]
        # The passes of one batch have the same start and end, and count once.
        again = np.zeros(len(rows), dtype=bool)
        again[1:] = (station[1:] == station[:-1]) & (starts[1:] == starts[:-1]) & (ends[1:] == ends[:-1])
        again &= (station < self._n_devices) & ~self._is_fifo[np.minimum(station, self._n_devices)]
        return rows[~again], station[~again], starts[~again], ends[~again]

    def _wires_of(self, spans: Rows) -> tuple[IntArray, FloatArray]:
        """Return each span's wire direction as a station number (-1: none), and the wire's latency [s]."""
        (senders, devices), (links, vias) = spans.names("device"), spans.names("via")
        devices = [*devices, ""]  # the last stands for null
        senders = np.where(senders < 0, len(devices) - 1, senders)
        pairs, where = np.unique((links + 1) * len(devices) + senders, return_inverse=True)
        station, latency_s = [], []
        for pair in pairs.tolist():
            via, device = pair // len(devices) - 1, pair % len(devices)
            name = vias[via] if via >= 0 else ""
            if name in self._wires and devices[device]:
                latency_s.append(float(self._there.way(name, devices[device])["latency_s"]))
                number = self._hops.setdefault((devices[device], name), len(self._hops))
                station.append(2 * self._n_devices + number)
            else:
                latency_s.append(0.0)
                station.append(-1)
        return np.array(station, dtype=np.int64)[where], np.array(latency_s, dtype=np.float64)[where]

    def _name(self, station: int) -> str:
        if station >= 2 * self._n_devices:
            device, via = list(self._hops)[station - 2 * self._n_devices]
            return f"messages of {device} on {via}"
        device = self._there.devices.value("device", station % self._n_devices)
        return f"{'messages handled' if station >= self._n_devices else 'passes'} on {device}"


def _early(station: IntArray, starts: FloatArray, ends: FloatArray) -> BoolArray:
    """Return where a span starts before the end of an earlier one of its station; rows are sorted."""
    early = np.zeros(len(station), dtype=bool)
    if len(station) < 2:
        return early
    is_first = np.append(True, station[1:] != station[:-1])
    # Running maximum of the ends within each station: each is shifted by more than any instant.
    lift_s = (np.cumsum(is_first) - 1) * (2.0 * float(ends.max() - min(starts.min(), 0.0)) + 1.0)
    done = np.maximum.accumulate(ends + lift_s)
    slack_s = RELATIVE * float(np.abs(starts).max())
    early[1:] = ~is_first[1:] & (starts[1:] + lift_s[1:] < done[:-1] - slack_s)
    return early
