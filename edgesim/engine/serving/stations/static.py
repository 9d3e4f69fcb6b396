"""Static batching."""

from __future__ import annotations

from functools import partial

from edgesim.engine.device.site import Site
from edgesim.engine.device.work import LAST, LATE, Pass
from edgesim.engine.process.verb import RequestFailed
from edgesim.engine.request import LiveRequest
from edgesim.engine.serving.iterating import Batch, IteratingStation
from edgesim.world.disciplines.static import StaticBatching

__all__ = ["StaticStation"]


class StaticStation(IteratingStation):
    """Static batching: a batch is closed when it starts and lasts until its longest answer is complete.

    Every pass is charged as that of a tensor with one row for each request that the batch began with, and as
    many columns as the longest prompt has, whether or not those requests have ended: shorter prompts are
    padded in front, and the padding stays in the cache. At its k-th decode step a batch whose longest prompt
    has P tokens thus has P + k - 1 tokens in the cache, in every row.
    """

    def __init__(self, site: Site, discipline: StaticBatching) -> None:
        super().__init__(site)
        self._discipline = discipline
        self._queue: list[Pass] = []
        self._members: dict[int, Pass | None] = {}  # request -> its next pass, once queued
        self._n_places = 0
        self._padding: dict[int, int] = {}  # request -> padding tokens before its own, for the whole batch

    def ask(self, work: Pass) -> None:
        """Queue a request's first pass for a batch, or accept a member's next one."""
        if work.request.id in self._members:
            self._members[work.request.id] = work
        else:
            limit, patience_s = self._discipline.queue_limit, self._discipline.patience_s
            if limit is not None and len(self._queue) >= limit:
                work.fail(RequestFailed(self._discipline.full(work.device)))
                return
            self._queue.append(work)
            if patience_s is not None:
                self._clock.call_at(work.asked_at_s + patience_s, partial(self._give_up, work), LAST)
            due_at_s = work.asked_at_s + self._discipline.max_wait_s
            self._clock.call_at(due_at_s, self._call, LATE)
        self._call()

    def leave(self, request: LiveRequest) -> None:
        """Remove a request that has ended from its batch; its place stays empty."""
        self._members.pop(request.id, None)
        self._queue = [work for work in self._queue if work.request is not request]
        self._call()

    def _waits(self) -> list[Pass]:
        return self._queue + [work for work in self._members.values() if work is not None]

    def _forget(self) -> list[Pass]:
        waiting = self._waits()
        self._queue, self._members = [], {}
        return waiting

    def _choose(self) -> Batch:
        if not self._members and self._is_due():
            n_places = self._discipline.max_batch
            batch, self._queue = self._queue[:n_places], self._queue[n_places:]
            self._members = {work.request.id: work for work in batch}
            self._n_places = len(batch)
            longest = max(work.n_context + work.n_new for work in batch)
            self._padding = {work.request.id: longest - work.n_context - work.n_new for work in batch}
        waiting = [work for work in self._members.values() if work is not None]
        if not waiting or len(waiting) < len(self._members):
            return []  # lockstep: wait for all members
        chosen = [(work, work.n_new) for work in waiting if work.price is waiting[0].price]
        self._members.update((work.request.id, None) for work, _ in chosen)
        return chosen

    def _give_up(self, work: Pass) -> None:
        if work in self._queue:
            self._queue.remove(work)
            work.fail(RequestFailed(self._discipline.timeout(work.device)))

    def _is_due(self) -> bool:
        if len(self._queue) >= self._discipline.max_batch:
            return True
        # The scheduled instant itself: a difference of the two would be rounded differently.
        due_at_s = [work.asked_at_s + self._discipline.max_wait_s for work in self._queue[:1]]
        return bool(due_at_s) and self._clock.now >= due_at_s[0]

    def _iteration_s(self) -> float:
        price = self._running[0][0].price
        works = [work for work, _ in self._running]
        length = max(work.n_context + work.n_new + self._padding[work.request.id] for work in works)
        if length > 1 and not all(work.n_context for work in works):
            return price.prefill_batch(self._n_places, length)
        return price.decode_batch(self._n_places, length - 1)

    def _serve(self, batch: Batch) -> None:
        for work, _ in batch:
            work.done.succeed()
