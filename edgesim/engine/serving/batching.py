"""Stations that serve passes in batches, one iteration after another: continuous and static batching."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from copy import copy
from functools import partial

from edgesim.engine.device.site import Site
from edgesim.engine.device.work import LAST, LATE, Pass
from edgesim.engine.process.verb import RequestFailed, WorkLost
from edgesim.engine.request import LiveRequest
from edgesim.world.disciplines.continuous import ContinuousBatching
from edgesim.world.disciplines.static import StaticBatching

__all__ = ["Batch", "BatchedStation", "IteratingStation", "StaticStation"]

Batch = list[tuple[Pass, int]]
"""Passes in one iteration, each with how many of its tokens are dealt with."""


class IteratingStation(ABC):
    """A station that is busy with one batch or idle; each iteration begins after all that is due then."""

    can_be_kept = False

    def __init__(self, site: Site) -> None:
        self._clock = site.clock
        self._record = site.record
        self._running: Batch = []
        self._is_called = False
        self._began_at_s = self._ends_at_s = 0.0
        self._busy_s = 0.0
        self._version = 0  # of the running batch

    def ask_next(self, work: Pass) -> None:
        """Take in a pass for which the device is kept; batches that cannot be kept for one refuse it."""
        raise NotImplementedError

    def withdraw(self, request: LiveRequest) -> list[Pass]:
        """Take back a request's passes, where requests are preempted; elsewhere none ever is."""
        raise NotImplementedError

    @abstractmethod
    def _choose(self) -> Batch:
        """Take those that are served next from those that wait; none, if it is not time."""

    @abstractmethod
    def _iteration_s(self) -> float:
        """Time that the running batch takes."""

    @abstractmethod
    def _serve(self, batch: Batch) -> None:
        """Go on with those of a batch that has been dealt with."""

    @abstractmethod
    def _forget(self) -> list[Pass]:
        """Give up all that wait; which they were."""

    @abstractmethod
    def _waits(self) -> list[Pass]:
        """Those that wait."""

    def work_s(self, at_s: float) -> float:
        """What is left of the iteration, and all other passes one by one: more than they will take."""
        left = [(work, work.n_done) for work in self._waits()]
        running_s = 0.0
        if self._running:
            running_s = max(0.0, self._ends_at_s - at_s)
            left += [(work, work.n_done + n_tokens) for work, n_tokens in self._running]
        return running_s + math.fsum(_alone_s(work, n_done) for work, n_done in left if n_done < work.n_new)

    def lose(self, error: WorkLost) -> None:
        """Lose the running batch and all that wait. What ends at this very instant is done."""
        if self._running and self._ends_at_s <= self._clock.now:
            self._end(self._version)
        if self._running:
            self._finish()
        self._version += 1
        lost, self._running = [work for work, _ in self._running], []
        for work in lost + self._forget():
            work.fail(error)

    def owners(self) -> set[int]:
        """Requests in the running batch."""
        return {work.request.id for work, _ in self._running}

    def busy_until(self, at_s: float) -> float:
        """Time in iterations."""
        return self._busy_s + (at_s - self._began_at_s if self._running else 0.0)

    def close(self, at_s: float) -> None:
        """Record the iteration that the end of the run has cut."""
        self._record_until(math.inf)

    def _call(self) -> None:
        """See to it that an iteration begins at this instant, if there is none."""
        if not self._running and not self._is_called:
            self._is_called = True
            self._clock.call_at(self._clock.now, self._begin, LATE)

    def _begin(self) -> None:
        self._is_called = False
        self._running = self._choose()
        if self._running:
            self._began_at_s = self._clock.now
            start_up_s = max(work.start_up_s for work, _ in self._running)
            self._ends_at_s = self._began_at_s + self._iteration_s() + start_up_s
            if start_up_s:
                for work, _ in self._running:
                    work.start_up_s = 0.0  # charged; what is left of a prompt does not start again
            self._version += 1
            self._clock.call_at(self._ends_at_s, partial(self._end, self._version))

    def _end(self, version: int) -> None:
        if version != self._version:
            return  # it was lost halfway
        self._finish()
        self._version += 1
        batch, self._running = self._running, []
        self._serve(batch)
        self._call()

    def _finish(self) -> None:
        """Enter the running batch into the books, up to now."""
        self._busy_s += self._clock.now - self._began_at_s
        self._record_until(self._clock.now)

    def _record_until(self, ended_at_s: float) -> None:
        for work, n_tokens in self._running:
            self._record(work, n_tokens, self._began_at_s, ended_at_s, 1 / len(self._running))


class BatchedStation(IteratingStation):
    """Continuous batching: one iteration after another over the passes of the requests that have a place.

    A request has one of ``max_batch`` places for as long as it holds its KV cache (which is where places are
    admitted to: :class:`~edgesim.engine.memory.memory.Admission`). An iteration takes passes of one part of
    the model, the oldest request's: decode steps first, then chunks of prompts, both the oldest request's
    first, up to the token budget. The first to ask for memory is the oldest. An encoder reads its text at
    once: it is never cut, and one that is longer than the budget has an iteration of its own.

    Decode steps alone take as long as the profile says of a batch of so many at their mean context, chunks
    alone each its own time. Together they are one pass that reads the weights once: the decode steps ride
    along, each for what one more request adds to a large batch
    (:meth:`~edgesim.engine.device.price.Price.rider`). An iteration is never shorter than its decode steps or
    its chunks alone, and never longer than both one after the other.

    Not modelled: that the chunks of several prompts in one iteration read the weights once between them.
    """

    def __init__(self, site: Site, discipline: ContinuousBatching) -> None:
        super().__init__(site)
        self._discipline = discipline
        self._make_room = site.make_room if discipline.grows_caches else None
        self._cuts_prompts = site.cuts_prompts
        self._waiting: list[Pass] = []

    def ask(self, work: Pass) -> None:
        """Queue a pass for the next iteration that has room for it."""
        self._waiting.append(work)
        self._call()

    def leave(self, request: LiveRequest) -> None:
        """Take a request that has ended, or starts over, out of the queue; an iteration with it runs on."""
        self._waiting = [work for work in self._waiting if work.request is not request]
        for work, _ in self._running:
            if work.request is request:
                work.n_new = 0  # what is left of it is not wanted any more

    def withdraw(self, request: LiveRequest) -> list[Pass]:
        """Take back the passes of a preempted request; an iteration with one runs on without it."""
        taken = [work for work in self._waiting if work.request is request]
        self._waiting = [work for work in self._waiting if work.request is not request]
        for number, (work, n_tokens) in enumerate(self._running):
            if work.request is request and work.n_new:
                stand_in = copy(work)
                stand_in.n_new, stand_in.done = 0, self._clock.event()
                self._running[number] = stand_in, n_tokens
                taken.append(work)
        return taken

    def _waits(self) -> list[Pass]:
        return self._waiting

    def _forget(self) -> list[Pass]:
        waiting, self._waiting = self._waiting, []
        return waiting

    def _choose(self) -> Batch:
        if self._make_room is not None:
            self._make_room(self._waiting)
        if not self._waiting:
            return []
        self._waiting.sort(key=lambda work: work.request.rank)
        fellows = [work for work in self._waiting if work.price is self._waiting[0].price]
        fellows.sort(key=lambda work: work.n_new > 1)  # decode steps first, otherwise in order
        chosen: Batch = []
        n_left = self._discipline.max_tokens
        for work in fellows[: self._discipline.max_batch]:
            n_tokens = work.n_new - work.n_done
            if self._cuts_prompts:
                n_tokens = min(n_tokens, n_left)
            if n_tokens == 0 or (n_tokens > n_left and chosen):
                break
            chosen.append((work, n_tokens))
            n_left -= n_tokens
        taken = {work for work, _ in chosen}
        self._waiting = [work for work in self._waiting if work not in taken]
        return chosen

    def _iteration_s(self) -> float:
        price = self._running[0][0].price
        contexts = [work.n_context for work, _ in self._running if work.n_new == 1]
        chunks_s = sum(
            price.chunk(work.n_context + work.n_done, n_tokens)
            for work, n_tokens in self._running
            if work.n_new > 1
        )
        if not contexts:
            return chunks_s
        n_context = round(sum(contexts) / len(contexts))
        decodes_s = price.decode_batch(len(contexts), n_context)
        if not chunks_s:
            return decodes_s
        riders_s = len(contexts) * price.rider(self._discipline.max_batch, n_context)
        return min(max(chunks_s + riders_s, decodes_s), chunks_s + decodes_s)

    def _serve(self, batch: Batch) -> None:
        for work, n_tokens in batch:
            work.n_done += n_tokens
            if work.n_done < work.n_new:
                work.asked_at_s = self._clock.now
                self._waiting.append(work)
            else:
                work.done.succeed()


class StaticStation(IteratingStation):
    """Static batching: a batch is closed when it starts and lasts until its longest answer is done.

    Every pass is charged as that of a tensor with a row for each request that the batch began with, whether
    or not it has ended, and with the longest prompt's columns, whether or not that one has ended: shorter
    prompts have padding in front, which stays in the cache. At its k-th decode step a batch whose longest
    prompt has P tokens thus has P + k - 1 tokens in the cache, in every row.
    """

    def __init__(self, site: Site, discipline: StaticBatching) -> None:
        super().__init__(site)
        self._discipline = discipline
        self._queue: list[Pass] = []
        self._members: dict[int, Pass | None] = {}  # request -> its pass, once it has asked for the next
        self._n_places = 0
        self._padding: dict[int, int] = {}  # request -> tokens in front of its own, to the end of the batch

    def ask(self, work: Pass) -> None:
        """Queue a request's first pass for a batch, or take in a member's next one."""
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
        """Take a request that has ended out of its batch; its place stays empty."""
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
            return []  # lockstep: none goes ahead
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
        # The instant at which it is called for: a difference of the two would be rounded another way.
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


def _alone_s(work: Pass, n_done: int) -> float:
    """Time of what is left of a pass, alone on the device."""
    if work.n_new == 1:
        return work.price.alone(1, work.n_context)
    return work.price.chunk(work.n_context + n_done, work.n_new - n_done)
