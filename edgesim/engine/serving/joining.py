"""Passes that meet at a device are one pass: dynamic batching, without places and without lockstep."""

from __future__ import annotations

from functools import partial

from edgesim.engine.device.site import Site
from edgesim.engine.device.work import LAST, LATE, Pass
from edgesim.engine.process.verb import RequestFailed
from edgesim.engine.request import LiveRequest
from edgesim.engine.serving.batching import Batch, IteratingStation
from edgesim.world.disciplines.batched import DynamicBatching

__all__ = ["JoiningStation"]

_Class = tuple[int, str]


class JoiningStation(IteratingStation):
    """A device that takes, whenever it is free, as many like passes as wait: a stage that batches.

    Alike are passes through one part of the model that are all decode steps, or all prompts. Those whose
    oldest member came first go first. Several decode steps take what a batch of so many takes at their mean
    context (attention's time is linear in it), several prompts that of a batch padded to the longest. A pass
    of several tokens behind a context goes alone. Work for which the device is kept (a stage's head after its
    blocks) is done at once after the pass before it, for all of the batch together.
    """

    can_be_kept = True

    def __init__(self, site: Site, discipline: DynamicBatching) -> None:
        super().__init__(site)
        self._discipline = discipline
        self._queue: list[Pass] = []
        self._met: set[int] = set()  # requests that have had a pass here
        self._after: dict[int, Pass] = {}  # by request: what the device is kept for
        self._kept: list[Pass] = []  # of those, what is due now

    def ask(self, work: Pass) -> None:
        """Queue a pass; a request's first one is subject to the limits of the queue."""
        if work.request.id not in self._met:
            limit, patience_s = self._discipline.queue_limit, self._discipline.patience_s
            n_first = sum(one.request.id not in self._met for one in self._queue)
            if limit is not None and n_first >= limit:
                work.fail(RequestFailed(self._discipline.full(work.device)))
                return
            if patience_s is not None:
                self._clock.call_at(work.asked_at_s + patience_s, partial(self._give_up, work), LAST)
        self._queue.append(work)
        if self._discipline.max_wait_s:
            self._clock.call_at(work.asked_at_s + self._discipline.max_wait_s, self._call, LATE)
        self._call()

    def ask_next(self, work: Pass) -> None:
        """Take in a pass for which the device is kept: it follows the request's latest."""
        self._after[work.request.id] = work

    def leave(self, request: LiveRequest) -> None:
        """Take a request that has ended, or starts over, out of the queue."""
        self._met.discard(request.id)
        self._after.pop(request.id, None)
        self._kept = [work for work in self._kept if work.request is not request]
        self._queue = [work for work in self._queue if work.request is not request]

    def _waits(self) -> list[Pass]:
        return [*self._kept, *self._queue, *self._after.values()]

    def _forget(self) -> list[Pass]:
        waiting = self._waits()
        self._queue, self._kept, self._after = [], [], {}
        return waiting

    def _choose(self) -> Batch:
        if self._kept:
            chosen = _by_class(self._kept)[0]
            self._kept = [work for work in self._kept if work not in chosen]
            return [(work, work.n_new) for work in chosen]
        for fellows in _by_class(self._queue):
            if self._is_due(fellows):
                chosen = fellows[: self._discipline.max_batch]
                self._queue = [work for work in self._queue if work not in chosen]
                self._met.update(work.request.id for work in chosen)
                return [(work, work.n_new) for work in chosen]
        return []

    def _is_due(self, fellows: list[Pass]) -> bool:
        # The instant at which it is called for: a difference of the two would be rounded another way.
        due_at_s = fellows[0].asked_at_s + self._discipline.max_wait_s
        return len(fellows) >= self._discipline.max_batch or self._clock.now >= due_at_s

    def _iteration_s(self) -> float:
        works = [work for work, _ in self._running]
        price, n = works[0].price, len(works)
        if works[0].n_new == 1:
            return price.decode_batch(n, round(sum(work.n_context for work in works) / n))
        if n == 1:
            return price.alone(works[0].n_new, works[0].n_context)
        return price.prefill_batch(n, max(work.n_new for work in works))

    def _serve(self, batch: Batch) -> None:
        for work, _ in batch:
            kept = self._after.pop(work.request.id, None)
            if kept is not None:
                kept.asked_at_s = self._clock.now
                self._kept.append(kept)
            work.done.succeed()

    def _give_up(self, work: Pass) -> None:
        if work in self._queue:
            self._queue.remove(work)
            work.fail(RequestFailed(self._discipline.timeout(work.device)))


def _by_class(works: list[Pass]) -> list[list[Pass]]:
    """Passes that can be one, together; those whose oldest came first, first."""
    like: dict[_Class, list[Pass]] = {}
    for work in works:
        like.setdefault(_class_of(work), []).append(work)
    return list(like.values())


def _class_of(work: Pass) -> _Class:
    if work.n_new == 1:
        return id(work.price), "step"
    return (id(work.price), "prompt") if work.n_context == 0 else (id(work), "alone")
