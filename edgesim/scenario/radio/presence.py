"""Absences of devices outside their recorded tracks, and demand without requests during absences."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from edgesim.radio.motion.mobility import Track
from edgesim.radio.motion.outages import ScheduledOutages
from edgesim.radio.motion.tracks import RecordedTrack
from edgesim.rng import Streams
from edgesim.workload.conversation import Conversation
from edgesim.workload.requests import Demand, Extent, MeanLengths, Request

__all__ = ["PresentDemand", "absences"]


def absences(where: Mapping[str, Track], horizon_s: float | None) -> dict[str, ScheduledOutages]:
    """Return the absences of devices that are not present all the time.

    If a track ends at the scenario's horizon, to within one of its usual steps, the recording is taken to end
    there and the device to stay: in the cooldown it keeps its last position.
    """
    found = {}
    for id_, track in where.items():
        if isinstance(track, RecordedTrack):
            windows_s = track.absences.windows_s
            if horizon_s is not None:
                last_s = horizon_s - track.usual_step_s
                windows_s = tuple(
                    window for window in windows_s if window[0] < last_s or not math.isinf(window[1])
                )
            if windows_s:
                found[id_] = ScheduledOutages(windows_s)
    return found


@dataclass(frozen=True)
class PresentDemand:
    """A workload without the requests that would arrive while their source is absent.

    In an open workload, requests during an absence are left out, the same under every strategy. In a closed
    one none is left out: a user waits until the device is back, or stops if it never returns.

    Parameters
    ----------
    drawn
        Workload before absences are applied.
    away
        Absences of sources, by id.
    horizon_s
        Instant up to which left-out requests are counted, so that those of a cooldown are not; None counts
        all.
    """

    drawn: Demand
    away: Mapping[str, ScheduledOutages]
    horizon_s: float | None = None

    @property
    def sources(self) -> tuple[str, ...]:
        """Devices that generate requests."""
        return self.drawn.sources

    @property
    def is_closed(self) -> bool:
        """Whether arrivals depend on the strategy."""
        return self.drawn.is_closed

    @property
    def is_random(self) -> bool:
        """Whether replications differ."""
        return self.drawn.is_random

    @property
    def typical(self) -> MeanLengths:
        """Mean prompt and output lengths, in tokens."""
        return self.drawn.typical

    def requests(self, streams: Streams) -> Iterator[Request]:
        """Yield the requests whose source is present at their arrival, renumbered."""
        number = 0
        for request in self.drawn.requests(streams):
            if not self._is_away(request):
                yield request if request.id == number else replace(request, id=number)
                number += 1

    def conversations(self, streams: Streams) -> Iterator[Conversation]:
        """Yield the conversations of a closed workload; the engine delays users' requests during absences."""
        return self.drawn.conversations(streams)

    def extent(self, streams: Streams) -> Extent:
        """Return the number of requests and their largest lengths, disregarding absences for lengths."""
        whole = self.drawn.extent(streams)
        if self.is_closed:
            return whole
        return whole._replace(n_requests=sum(1 for _ in self.requests(streams)))

    def notes(self, streams: Streams) -> Mapping[str, object]:
        """Return the workload's notes, with the number of requests that were left out."""
        notes = dict(self.drawn.notes(streams))
        return notes if self.is_closed else {**notes, "n_not_asked": self.n_not_asked(streams)}

    def n_not_asked(self, streams: Streams) -> int:
        """Return the number of requests before the horizon that fall into an absence of their source."""
        until_s = math.inf if self.horizon_s is None else self.horizon_s
        return sum(
            self._is_away(request)
            for request in self.drawn.requests(streams)
            if request.arrived_at_s < until_s
        )

    def _is_away(self, request: Request) -> bool:
        away = self.away.get(request.source)
        return away is not None and away.down(request.arrived_at_s)
