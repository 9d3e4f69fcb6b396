"""A device whose passes share its speed: egalitarian processor sharing."""

from __future__ import annotations

import math
from functools import partial
from heapq import heappop, heappush
from itertools import count

from edgesim.engine.device.site import Site
from edgesim.engine.device.work import Pass
from edgesim.engine.process.verb import WorkLost
from edgesim.engine.request import LiveRequest
from edgesim.world.disciplines.processor_sharing import ProcessorSharing

__all__ = ["TimeSharedStation"]


class TimeSharedStation:
    """Egalitarian processor sharing: ``n`` passes progress at ``1/n`` of the speed each.

    Kept in virtual time, which advances by ``1/n`` per second: a pass departs when virtual time has advanced
    by its service (Parekh and Gallager 1993). Only a change of ``n`` costs an event; there are no ticks.
    All begin when they are asked for, and keep the speed of that instant.
    """

    can_be_kept = False  # passes share the device, and there is nothing to keep

    def __init__(self, site: Site, discipline: ProcessorSharing) -> None:
        del discipline  # it has no options
        self._clock = site.clock
        self._record = site.record
        self._speed_at = site.speed_at
        self._ends: list[tuple[float, int, float, Pass]] = []  # virtual end, order, service, pass
        self._order = count()
        self._virtual_s = 0.0
        self._since_s = 0.0
        self._departs_at_s = 0.0  # the next one
        self._busy_s = 0.0
        self._version = 0

    def ask(self, work: Pass) -> None:
        """Take a pass in; all others slow down."""
        self._advance()
        service_s = work.alone_s() / self._speed_at(self._clock.now)
        heappush(self._ends, (self._virtual_s + service_s, next(self._order), service_s, work))
        self._plan()

    def ask_next(self, work: Pass) -> None:
        """Never asked for: see `can_be_kept`."""
        raise NotImplementedError

    def withdraw(self, request: LiveRequest) -> list[Pass]:
        """Never asked for: no cache grows here."""
        raise NotImplementedError

    def leave(self, request: LiveRequest) -> None:
        """Nothing to do: a pass is not bound to its request's others."""

    def busy_until(self, at_s: float) -> float:
        """Time with at least one pass in service."""
        return self._busy_s + (at_s - self._since_s if self._ends else 0.0)

    def work_s(self, at_s: float) -> float:
        """Work that the passes in service have left, which is what they take together."""
        if not self._ends:
            return 0.0
        virtual_s = self._virtual_s + (at_s - self._since_s) / len(self._ends)
        return math.fsum(max(0.0, end_s - virtual_s) for end_s, *_ in self._ends)

    def lose(self, error: WorkLost) -> None:
        """Lose the passes in service, and record what they had. What ends at this very instant is done."""
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
        """Requests with a pass in service."""
        return {work.request.id for *_, work in self._ends}

    def close(self, at_s: float) -> None:
        """Record the passes in service, with the share of the device that they have had."""
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
        """Schedule the next departure; what was scheduled before is void."""
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
        self._virtual_s = end_s  # exactly, so that rounding does not add up
        now_s = self._clock.now
        took_s = now_s - work.asked_at_s
        self._record(work, work.n_new, work.asked_at_s, now_s, service_s / took_s if took_s else 1.0)
        work.done.succeed()
        self._plan()
