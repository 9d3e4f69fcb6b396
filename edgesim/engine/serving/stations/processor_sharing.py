"""Egalitarian processor sharing: a device whose passes share its speed."""

from __future__ import annotations

import math
from functools import partial
from heapq import heappop, heappush
from itertools import count

from edgesim.engine.device.site import Site
from edgesim.engine.device.work import Pass
from edgesim.engine.process.verb import WorkLost
from edgesim.engine.request import LiveRequest
from edgesim.engine.serving.station import DisciplineStation
from edgesim.world.disciplines.processor_sharing import ProcessorSharing

__all__ = ["TimeSharedStation"]


class TimeSharedStation(DisciplineStation):
    """Egalitarian processor sharing: ``n`` passes progress at ``1/n`` of the speed each.

    Computed in virtual time, which advances by ``1/n`` per second: a pass departs when virtual time has
    advanced by its service time (Parekh and Gallager 1993). Only a change of ``n`` costs an event; there are
    no ticks. A pass begins when it is requested, and keeps the device speed of that instant.
    """

    can_be_kept = False  # passes share the device, so it cannot be reserved

    def __init__(self, site: Site, discipline: ProcessorSharing) -> None:
        del discipline  # it has no options
        self._clock = site.clock
        self._record = site.record
        self._speed_at = site.speed_at
        self._ends: list[tuple[float, int, float, Pass]] = []  # virtual end, order, service, pass
        self._order = count()
        self._virtual_s = 0.0
        self._since_s = 0.0
        self._departs_at_s = 0.0  # next departure
        self._busy_s = 0.0
        self._version = 0

    def ask(self, work: Pass) -> None:
        """Start a pass; all others slow down."""
        self._advance()
        service_s = work.alone_s() / self._speed_at(self._clock.now)
        heappush(self._ends, (self._virtual_s + service_s, next(self._order), service_s, work))
        self._plan()

    def ask_next(self, work: Pass) -> None:
        """Not supported: see `can_be_kept`."""
        raise NotImplementedError

    def withdraw(self, request: LiveRequest) -> list[Pass]:
        """Not supported: no cache grows here."""
        raise NotImplementedError

    def leave(self, request: LiveRequest) -> None:
        """Do nothing: a pass does not depend on the request's other passes."""

    def busy_until(self, at_s: float) -> float:
        """Time with at least one pass in service [s]."""
        return self._busy_s + (at_s - self._since_s if self._ends else 0.0)

    def work_s(self, at_s: float) -> float:
        """Remaining work of the passes in service [s], which is the time that they take together."""
        if not self._ends:
            return 0.0
        virtual_s = self._virtual_s + (at_s - self._since_s) / len(self._ends)
        return math.fsum(max(0.0, end_s - virtual_s) for end_s, *_ in self._ends)

    def lose(self, error: WorkLost) -> None:
        """Lose and record the passes in service. Work that ends at this instant counts as done."""
        now_s = self._clock.now
        while self._ends and self._departs_at_s <= now_s:
            self._depart(self._version)
        self._advance()
        self._record_unfinished(now_s, now_s)
        lost, self._ends = self._ends, []
        self._plan()
        for *_, work in lost:
            work.fail(error)

    def owners(self) -> set[int]:
        """Ids of requests with a pass in service."""
        return {work.request.id for *_, work in self._ends}

    def close(self, at_s: float) -> None:
        """Record the passes in service, with their share of the device."""
        self._advance()
        self._record_unfinished(at_s, math.inf)

    def _record_unfinished(self, at_s: float, ended_at_s: float) -> None:
        for end_s, _, service_s, work in self._ends:
            had_s = service_s - (end_s - self._virtual_s)
            spent_s = at_s - work.asked_at_s
            share = had_s / spent_s if spent_s else 0.0
            self._record(work, work.n_new, work.asked_at_s, ended_at_s, share)

    def _advance(self) -> None:
        now_s = self._clock.now
        if self._ends:
            self._virtual_s += (now_s - self._since_s) / len(self._ends)
            self._busy_s += now_s - self._since_s
        self._since_s = now_s

    def _plan(self) -> None:
        """Schedule the next departure; the one scheduled before is void."""
        self._version += 1
        if self._ends:
            wait_s = max(0.0, (self._ends[0][0] - self._virtual_s) * len(self._ends))
            self._departs_at_s = self._clock.now + wait_s
            self._clock.call_at(self._departs_at_s, partial(self._depart, self._version))

    def _depart(self, version: int) -> None:
        if version != self._version:
            return
        self._advance()
        end_s, _, service_s, work = heappop(self._ends)
        self._virtual_s = end_s  # exactly, so that rounding errors do not accumulate
        now_s = self._clock.now
        took_s = now_s - work.asked_at_s
        self._record(work, work.n_new, work.asked_at_s, now_s, service_s / took_s if took_s else 1.0)
        work.done.succeed()
        self._plan()
