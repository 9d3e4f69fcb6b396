"""Timeline of a run: passes, messages and transfers of each device; requests and their tokens."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from edgesim.errors import TraceError
from edgesim.report.perfetto.lanes import lanes_of
from edgesim.report.perfetto.tracks import Part, Slices, Track, Values
from edgesim.report.perfetto.work import Row, SpansOfWork, nanoseconds, sound
from edgesim.trace.reader import Trace
from edgesim.trace.schema import CounterName, Outcome, arrow_schema

__all__ = ["Timeline"]

IntArray = npt.NDArray[np.int64]

_AT_ONCE = 50_000  # rows of a part
_ROWS_PER_REQUEST = 20  # rough estimate; affects only the size of parts
_ARRIVAL_NS = 1
"""Drawn length of an arrival: it takes no time, but a flow needs a slice to end in."""

_ORDER = ("compute", "sums", "messages", "memory")
_QUEUE, _COUNTERS = 0, 1  # ranks within a group; rows of slices follow
_ROWS_FROM = 10
_UNITS = {
    CounterName.KV_BYTES: ("KV caches", "bytes"),
    CounterName.BATTERY_J: ("battery", "J"),
    CounterName.SNR_DB: ("SNR", "dB"),
}
_OUTCOMES = tuple(one.value for one in Outcome)


class Timeline:
    """Timeline of one replication of one strategy.

    Each device is a group. It has a counter of the passes that wait for its station, the counters recorded
    over time (where the trace has them), and these rows: ``compute``, ``sums``, ``messages``, ``memory``
    (waits), ``to PEER`` for each direction of a link, and ``from PEER`` for the transfers that arrive or are
    lost: a marker of one nanosecond each, to which a flow leads from the transfer. Overlapping slices are
    laid out in lanes. A request's row shows the request and, nested in it, its tokens, each from the previous
    delivery to its own.

    Parameters
    ----------
    trace, strategy, replication
        The run.

    Attributes
    ----------
    title
        Scenario, strategy and replication.
    names, details
        All names of slices, and of the numbers attached to slices.

    Raises
    ------
    TraceError
        If the trace does not contain this run, or not its spans.
    """

    details = ("request", "token", "tokens", "bytes", "prompt tokens", "output tokens")

    def __init__(self, trace: Trace, strategy: str, replication: int) -> None:
        if strategy not in trace.strategies or replication not in trace.replications(strategy):
            raise TraceError(f"{trace.path}: has no complete run of {strategy!r}, replication {replication}")
        if not trace.has_spans(strategy, replication):
            raise TraceError(
                f"{trace.path}: has no spans of {strategy!r}, replication {replication}; run the scenario "
                "again, keeping spans"
            )
        self.title = f"{trace.run.get('name') or trace.path.name}: {strategy}, replication {replication}"
        self._devices, self._requests, self._counters = (
            _whole(trace, name, strategy, replication) for name in ("devices", "requests", "counters")
        )
        durations_s = self._devices["duration_s"]
        self._duration_s = float(durations_s.max()) if len(durations_s) else 0.0
        self._work = SpansOfWork(trace, strategy, replication, self._duration_s)
        self._of_spans = len(self._work.names)
        requests = [f"{outcome} request" for outcome in _OUTCOMES]
        self.names = [*self._work.names, "arrival", *requests, "prefill", "token"]
        self._n_tracks = 0

    def parts(self) -> Iterator[Part]:
        """Yield the tracks, slices and values; each track before its slices or values."""
        work = self._work
        of_device: dict[str, list[int]] = {}
        arriving: dict[tuple[str, str], list[int]] = {}
        for place, row in enumerate(work.rows):
            of_device.setdefault(row.device, []).append(place)
            if row.receiver is not None:
                arriving.setdefault(row.receiver, []).append(place)
        order = np.lexsort((work.start_ns, work.row))
        edges = np.searchsorted(work.row[order], np.arange(len(work.rows) + 1))
        kinds = dict(
            zip(self._devices["device"].astype(object), self._devices["kind"].astype(object), strict=True)
        )
        known = dict.fromkeys([*kinds, *of_device, *(device for device, _ in arriving)])
        for rank, device in enumerate(known):
            kind = kinds.get(device)
            title = device if kind is None or kind != kind else f"{device} ({kind})"
            group = self._track(title, rank=rank)
            yield group
            yield from self._counted(group, device)
            for place in sorted(of_device.get(device, ()), key=lambda place: _rank(work.rows[place])):
                yield from self._row(group, work.rows[place], place, order[edges[place] : edges[place + 1]])
            for receiver in sorted(one for one in arriving if one[0] == device):
                places = arriving[receiver]
                which = np.concatenate([order[edges[place] : edges[place + 1]] for place in places])
                yield from self._arrivals(group, receiver[1], which)
        yield from self._of_requests(rank=len(known))

    def _track(self, name: str, parent: int = 0, rank: int = 0, unit: str | None = None) -> Track:
        self._n_tracks += 1
        return Track(self._n_tracks, name, parent, rank, unit)

    # --- devices ----------------------------------------------------------------------------------

    def _row(self, group: Track, row: Row, place: int, which: npt.NDArray[np.intp]) -> Iterator[Part]:
        """Yield one row of a device, in lanes, and the counter of its queue."""
        work = self._work
        yield from self._queue(group, row, place)
        track, tracks = self._lanes(group, row.label, _rank(row)[0], work.start_ns[which], work.end_ns[which])
        yield from tracks
        for chunk in _chunks(len(which)):
            mine = which[chunk]
            yield Slices(
                track[chunk],
                work.name[mine].astype(np.int64),
                work.start_ns[mine],
                work.end_ns[mine],
                self._details_of(mine),
                # A transfer's number is its index among all spans, from 1; without an arrival, no flow.
                None if row.receiver is None else np.where(work.has_ended[mine], mine + 1, 0),
            )

    def _arrivals(self, group: Track, label: str, which: npt.NDArray[np.intp]) -> Iterator[Part]:
        """Yield the markers of the transfers that arrive at a device."""
        work = self._work
        which = which[work.has_ended[which]]
        which = which[np.argsort(work.end_ns[which], kind="stable")]
        at_ns = work.end_ns[which]
        track, tracks = self._lanes(group, label, 2 * _ROWS_FROM, at_ns, at_ns + _ARRIVAL_NS)
        yield from tracks
        for chunk in _chunks(len(which)):
            mine = which[chunk]
            name = np.full(len(mine), self._of_spans, dtype=np.int64)
            details = self._details_of(mine)
            yield Slices(
                track[chunk], name, at_ns[chunk], at_ns[chunk] + _ARRIVAL_NS, details, mine + 1, leaves=False
            )

    def _details_of(self, which: npt.NDArray[np.intp]) -> dict[str, IntArray]:
        work = self._work
        columns = (work.request, work.token, work.n_tokens, work.size_bytes)
        return {
            name: column[which].astype(np.int64)
            for name, column in zip(self.details[:4], columns, strict=True)
        }

    def _lanes(
        self, group: Track, label: str, rank: int, start_ns: IntArray, end_ns: IntArray
    ) -> tuple[IntArray, Sequence[Track]]:
        """Return the track of each slice, and all these tracks."""
        lane = lanes_of(start_ns, end_ns)
        n_lanes = int(lane.max(initial=-1)) + 1
        tracks = [
            self._track(label if not number else f"{label} [{number + 1}]", group.id, rank + number)
            for number in range(n_lanes)
        ]
        ids = np.array([track.id for track in tracks], dtype=np.int64)
        return ids[lane], tracks

    def _queue(self, group: Track, row: Row, place: int) -> Iterator[Part]:
        """Yield the counter of a row's queue: spans requested, but not yet started."""
        of_row, from_ns, until_ns = self._work.waits
        mine = of_row == place
        if not mine.any() and row.label != "compute":
            return
        label = "queue" if row.label == "compute" else f"queue {row.label}"
        track = self._track(label, group.id, _QUEUE if row.label == "compute" else _COUNTERS, "count")
        yield track
        at_ns = np.concatenate([[0], from_ns[mine], until_ns[mine]])
        step = np.repeat([0, 1, -1], [1, mine.sum(), mine.sum()])
        yield from _values(track, at_ns, step, self._duration_s)

    def _counted(self, group: Track, device: str) -> Iterator[Part]:
        """Yield the counters over time of a device, and of the links on which it sends."""
        counters = self._counters
        mine = counters[(counters["device"] == device).to_numpy()]
        for (name, peer), rows in mine.groupby(["name", "peer"], observed=True, dropna=False, sort=True):
            if name not in _UNITS:
                continue
            label, unit = _UNITS[CounterName(name)]
            label = label if peer != peer else f"{label} to {peer}"  # NaN: no peer
            track = self._track(label, group.id, _COUNTERS, unit)
            yield track
            stated = rows[rows["value"].notna()].drop_duplicates("at_s", keep="last")
            at_ns = nanoseconds(stated["at_s"].to_numpy(np.float64))
            yield Values(track, at_ns, stated["value"].to_numpy(np.float64))

    # --- requests ---------------------------------------------------------------------------------

    def _of_requests(self, rank: int) -> Iterator[Part]:
        """Yield one row per request: the request with its tokens nested in it."""
        group = self._track("requests", rank=rank)
        yield group
        requests = self._requests.sort_values("request_id")
        n_at_once = max(1, _AT_ONCE // _ROWS_PER_REQUEST)
        for first in range(0, len(requests), n_at_once):
            some = requests.iloc[first : first + n_at_once]
            ids = some["request_id"].to_numpy(np.int64)
            tracks = [
                self._track(f"request {id_} ({source})", group.id, first + number)
                for number, (id_, source) in enumerate(zip(ids.tolist(), some["source"], strict=True))
            ]
            yield from tracks
            yield self._requests_of(some, ids, np.array([track.id for track in tracks], dtype=np.int64))

    def _requests_of(self, requests: pd.DataFrame, ids: IntArray, track: IntArray) -> Slices:
        emits, end_s = self._work.emits, requests["ended_at_s"].fillna(self._duration_s)
        arrived_ns = nanoseconds(requests["arrived_at_s"].to_numpy(np.float64))
        ended_ns = np.maximum(arrived_ns, nanoseconds(end_s.to_numpy(np.float64)))
        low, high = np.searchsorted(emits.request, ids, "left"), np.searchsorted(emits.request, ids, "right")
        n_tokens = high - low
        n_rows = n_tokens + 2  # start of the request, its tokens, end of the request
        first = np.cumsum(n_rows) - n_rows
        which = np.repeat(np.arange(len(ids)), n_rows)
        place = np.arange(n_rows.sum()) - first[which]
        is_first, is_last = place == 0, place == n_rows[which] - 1
        is_token = ~is_first & ~is_last
        emit = (low[which] + place - 1)[is_token]
        own = which[is_token]
        at_ns = np.clip(emits.at_ns[emit], arrived_ns[own], ended_ns[own])
        begins_ns = np.where(place[is_token] == 1, arrived_ns[own], np.append(0, at_ns[:-1]))
        start_ns, end_ns = arrived_ns[which], ended_ns[which]
        start_ns[is_token], end_ns[is_token] = begins_ns, np.maximum(begins_ns, at_ns)
        outcome = np.array(
            [_OUTCOMES.index(one) for one in requests["outcome"].astype(object)], dtype=np.int64
        )
        name = self._of_spans + 1 + outcome[which]
        is_prefill = emits.token[emit] == 0
        name[is_token] = self._of_spans + 1 + len(_OUTCOMES) + np.where(is_prefill, 0, 1)
        token = np.full(len(which), -1, dtype=np.int64)
        token[is_token] = emits.token[emit]
        sizes = [
            requests[column].to_numpy(np.int64)[which] for column in ("n_prompt_tokens", "n_output_tokens")
        ]
        lengths = [np.where(is_first, size, -1) for size in sizes]
        columns = (np.where(is_first, ids[which], -1), token, *lengths)
        labels = ("request", "token", "prompt tokens", "output tokens")
        return Slices(
            track[which],
            name,
            start_ns,
            end_ns,
            dict(zip(labels, columns, strict=True)),
            opens=~is_last,
            closes=~is_first,
        )


def _whole(trace: Trace, name: str, strategy: str, replication: int) -> pd.DataFrame:
    parts = list(trace.parts(name, strategy, replication))
    table = pa.concat_tables(parts).unify_dictionaries() if parts else arrow_schema(name).empty_table()
    return sound(trace, name, table)


def _rank(row: Row) -> tuple[int, str]:
    """Sort key of a row in its group."""
    known = row.label in _ORDER and row.receiver is None
    return _ROWS_FROM + (_ORDER.index(row.label) if known else len(_ORDER)), row.label


def _values(track: Track, at_ns: IntArray, step: IntArray, duration_s: float) -> Iterator[Values]:
    """Yield a counter from its steps, with one value per instant, within the run."""
    order = np.argsort(at_ns, kind="stable")
    at_ns, value = at_ns[order], np.cumsum(step[order])
    is_last = np.append(at_ns[1:] != at_ns[:-1], True) & (at_ns <= nanoseconds(np.array([duration_s]))[0])
    at_ns, value = at_ns[is_last], value[is_last].astype(np.float64)
    for chunk in _chunks(len(at_ns)):
        yield Values(track, at_ns[chunk], value[chunk])


def _chunks(n: int) -> Iterator[slice]:
    return (slice(first, first + _AT_ONCE) for first in range(0, n, _AT_ONCE))
