"""Devices that come and go as their recorded tracks do, and the requests that are not asked meanwhile."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from edgesim.radio.motion.mobility import Track
from edgesim.radio.motion.outages import ScheduledOutages
from edgesim.radio.motion.tracks import RecordedTrack
from edgesim.rng import Streams
from edgesim.workload.conversation import Conversation
from edgesim.workload.requests import Demand, Extent, Request, Typical

__all__ = ["PresentDemand", "absences"]


def absences(where: Mapping[str, Track], horizon_s: float | None) -> dict[str, ScheduledOutages]:
    """When devices are away, of those that are not always there.

    A track that ends with the scenario's horizon, to within one of its usual steps, was recorded up to there
    and not until its device left: in the cooldown the device stays where it was.
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
    """A workload whose sources are away at times: what would arise at one meanwhile is not asked.

    Of an open workload, requests that fall into an absence are left out, the same under every strategy. Of a
    closed one nothing is left out: there a user waits until the device is back (and leaves with it for good).

    Parameters
    ----------
    drawn
        The workload as its law has it.
    away
        When sources are away, by id.
    horizon_s
        Up to when requests count that are not asked; those of a cooldown do not. None: all do.
    """

    drawn: Demand
    away: Mapping[str, ScheduledOutages]
    horizon_s: float | None = None

    @property
    def sources(self) -> tuple[str, ...]:
        """Devices that requests come from."""
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
    def typical(self) -> Typical:
        """Mean prompt and output lengths, in tokens."""
        return self.drawn.typical

    def requests(self, streams: Streams) -> Iterator[Request]:
        """Yield the requests whose source is there when they arise, numbered anew."""
        number = 0
        for request in self.drawn.requests(streams):
            if not self._is_away(request):
                yield request if request.id == number else replace(request, id=number)
                number += 1

    def conversations(self, streams: Streams) -> Iterator[Conversation]:
        """Yield the conversations of a closed workload; the run keeps users from asking while away."""
        return self.drawn.conversations(streams)

    def extent(self, streams: Streams) -> Extent:
        """Tell how many requests there are, and how long they get; at most, for absent sources ask none."""
        whole = self.drawn.extent(streams)
        if self.is_closed:
            return whole
        return whole._replace(n_requests=sum(1 for _ in self.requests(streams)))

    def notes(self, streams: Streams) -> Mapping[str, object]:
        """Tell the law's notes, and how many requests were not asked."""
        notes = dict(self.drawn.notes(streams))
        return notes if self.is_closed else {**notes, "n_not_asked": self.n_not_asked(streams)}

    def n_not_asked(self, streams: Streams) -> int:
        """Requests that fall into an absence of their source before the horizon; none if closed."""
        until_s = math.inf if self.horizon_s is None else self.horizon_s
        return sum(
            self._is_away(request)
            for request in self.drawn.requests(streams)
            if request.arrived_at_s < until_s
        )

    def _is_away(self, request: Request) -> bool:
        away = self.away.get(request.source)
        return away is not None and away.down(request.arrived_at_s)
