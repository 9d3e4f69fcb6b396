"""A compute station, first come first served, whose queue is limited or whose requests lose patience."""

from __future__ import annotations

from functools import partial

from edgesim.engine.device.site import Site
from edgesim.engine.device.work import Pass
from edgesim.engine.process.verb import RequestFailed, WorkLost
from edgesim.engine.request import LiveRequest
from edgesim.engine.serving.fifo import WatchedCompute
from edgesim.world.disciplines.fifo import FirstComeFirstServed

__all__ = ["LimitedCompute"]


class LimitedCompute(WatchedCompute):
    """First come, first served, for those that the queue has room for, as long as their patience lasts.

    Both concern a request's first pass here; once it is served, its later passes are never turned away. How
    long a pass will wait is known when it is asked for; one that would wait too long is never booked, but
    stands in the queue until its request gives up: customers of constant patience, who renege.
    """

    __slots__ = ("_discipline", "_impatient", "_known", "_waiting")

    def __init__(self, site: Site, discipline: FirstComeFirstServed) -> None:
        super().__init__(site)
        self._discipline = discipline
        self._known: set[LiveRequest] = set()  # those that have been admitted
        self._waiting: dict[Pass, float] = {}  # first passes in the queue, until when
        self._impatient: set[Pass] = set()  # those of them that will give up

    def ask(self, work: Pass) -> None:
        """Take in a pass, if it is not turned away."""
        if work.request in self._known:
            super().ask(work)
            return
        now_s = self._clock._now
        self._waiting = {other: until_s for other, until_s in self._waiting.items() if until_s > now_s}
        limit, patience_s = self._discipline.queue_limit, self._discipline.patience_s
        starts_at_s = max(now_s, self.free_at_s)
        if starts_at_s > now_s:
            if limit is not None and len(self._waiting) >= limit:
                work.fail(RequestFailed(self._discipline.full(work.device)))
                return
            if patience_s is not None and starts_at_s > now_s + patience_s:
                self._waiting[work] = now_s + patience_s
                self._impatient.add(work)
                self._clock.call_at(now_s + patience_s, partial(self._give_up, work))
                return
            self._waiting[work] = starts_at_s
        self._known.add(work.request)
        super().ask(work)

    def lose(self, error: WorkLost, *, spares_sent: bool = False) -> None:
        """Lose all work in hand, and all that waits."""
        super().lose(error, spares_sent=spares_sent)
        impatient, self._impatient, self._waiting = self._impatient, set(), {}
        self._known.clear()
        for work in sorted(impatient, key=lambda work: work.request.rank):
            work.fail(error)

    def leave(self, request: LiveRequest) -> None:
        """Forget a request that has ended; what it has booked runs on."""
        self._known.discard(request)
        for work in [work for work in self._impatient if work.request is request]:
            self._impatient.remove(work)
            del self._waiting[work]

    def _give_up(self, work: Pass) -> None:
        if work in self._impatient:  # else it is lost, or its request has ended
            self._impatient.remove(work)
            work.fail(RequestFailed(self._discipline.timeout(work.device)))
