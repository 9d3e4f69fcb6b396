"""Compute stations that serve several passes at once, with real events: their departures can still change.

Each takes passes by ``ask`` and lets their events happen when they are done; each can tell how long it has
been busy, and closes its books at the end of the run.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from heapq import heappop, heappush
from itertools import count
from typing import Any, Protocol

import simpy

from edgesim.engine.clock import Clock
from edgesim.engine.compute import Price
from edgesim.engine.request import LiveRequest, Token
from edgesim.engine.serving import ContinuousBatching, StaticBatching

__all__ = ["BatchedStation", "Pass", "Record", "SharedStation", "StaticStation", "TimeSharedStation"]

# After everything else that is due at an instant: whoever has just been served may ask again first.
LATE = 2


class Pass:
    """One pass on its way through a station."""

    __slots__ = ("asked_at_s", "done", "n_context", "n_done", "n_new", "price", "request", "token")

    def __init__(
        self, request: LiveRequest, token: Token, price: Price, asked_at_s: float, done: simpy.Event
    ) -> None:
        self.request = request
        self.token = token.index
        self.price = price
        self.n_new = token.n_new
        self.n_context = token.n_context
        self.n_done = 0  # tokens of the prompt that earlier iterations have dealt with
        self.asked_at_s = asked_at_s
        self.done = done


Record = Callable[[Pass, int, float, float, float], None]
"""Records (pass, tokens, started_at_s, ended_at_s, share of the device's power)."""


class SharedStation(Protocol):
    """What the cluster asks of a station that serves several passes at once."""

    def ask(self, work: Pass) -> None:
        """Take a pass in; its event happens when it is done."""
        ...

    def leave(self, request: LiveRequest) -> None:
        """Hear that a request has ended."""
        ...

    def busy_until(self, at_s: float) -> float:
        """Time worked up to an instant."""
        ...

    def close(self, at_s: float) -> None:
        """Record what is still going on at the end of the run."""
        ...


class TimeSharedStation:
    """Egalitarian processor sharing: ``n`` passes progress at ``1/n`` of the speed each.

    Kept in virtual time, which advances by ``1/n`` per second: a pass departs when virtual time has advanced
    by its service (Parekh and Gallager 1993). Only a change of ``n`` costs an event; there are no ticks.
    """

    def __init__(self, clock: Clock, record: Record) -> None:
        self._clock = clock
        self._record = record
        self._ends: list[tuple[float, int, float, Pass]] = []  # virtual end, order, service, pass
        self._order = count()
        self._virtual_s = 0.0
        self._since_s = 0.0
        self._busy_s = 0.0
        self._version = 0

    def ask(self, work: Pass) -> None:
        """Take a pass in; all others slow down."""
        self._advance()
        service_s = work.price.alone(work.n_new, work.n_context)
        heappush(self._ends, (self._virtual_s + service_s, next(self._order), service_s, work))
        self._plan()

    def leave(self, request: LiveRequest) -> None:
        """Nothing to do: a pass is not bound to its request's others."""

    def busy_until(self, at_s: float) -> float:
        """Time with at least one pass in service."""
        return self._busy_s + (at_s - self._since_s if self._ends else 0.0)

    def close(self, at_s: float) -> None:
        """Record the passes in service, with the share of the device that they have had."""
        self._advance()
        for end_s, _, service_s, work in self._ends:
            had_s = service_s - (end_s - self._virtual_s)
            spent_s = at_s - work.asked_at_s
            self._record(work, work.n_new, work.asked_at_s, math.inf, had_s / spent_s if spent_s else 0.0)

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
            _call_at(self._clock, self._clock.now + wait_s, self._depart, self._version)

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


class BatchedStation:
    """Continuous batching: one iteration after another over the passes that wait.

    An iteration takes passes of one part of the model, the oldest's: all its decode steps up to the
    batch limit, then chunks of prompts up to the token budget. It takes as long as the profile says of a
    batch of so many decode steps at their mean context, plus each chunk's own time.

    Not modelled: that decode steps and chunks in one iteration read the weights once between them.
    """

    def __init__(
        self,
        clock: Clock,
        discipline: ContinuousBatching,
        record: Record,
        make_room: Callable[[list[Pass]], Iterable[Pass]] | None = None,
    ) -> None:
        self._clock = clock
        self._discipline = discipline
        self._record = record
        self._make_room = make_room
        self._waiting: list[Pass] = []
        self._running: list[tuple[Pass, int]] = []
        self._is_called = False
        self._began_at_s = 0.0
        self._busy_s = 0.0

    def ask(self, work: Pass) -> None:
        """Queue a pass for the next iteration that has room for it."""
        self._waiting.append(work)
        self._call()

    def leave(self, request: LiveRequest) -> None:
        """Nothing to do: who has ended asks no more."""

    def busy_until(self, at_s: float) -> float:
        """Time in iterations."""
        return self._busy_s + (at_s - self._began_at_s if self._running else 0.0)

    def close(self, at_s: float) -> None:
        """Record the iteration that the end of the run has cut."""
        for work, n_tokens in self._running:
            self._record(work, n_tokens, self._began_at_s, math.inf, 1 / len(self._running))

    def _call(self) -> None:
        if self._waiting and not self._running and not self._is_called:
            self._is_called = True
            _call_at(self._clock, self._clock.now, self._begin, None, LATE)

    def _begin(self, _: None) -> None:
        self._is_called = False
        if self._make_room is not None:
            evicted = set(map(id, self._make_room(self._waiting)))
            self._waiting = [work for work in self._waiting if id(work) not in evicted]
        self._running = self._choose()
        if not self._running:
            return
        chosen = {id(work) for work, _ in self._running}
        self._waiting = [work for work in self._waiting if id(work) not in chosen]
        self._began_at_s = self._clock.now
        _call_at(self._clock, self._clock.now + self._iteration_s(), self._end, None)

    def _choose(self) -> list[tuple[Pass, int]]:
        if not self._waiting:
            return []
        price = self._waiting[0].price
        fellows = [work for work in self._waiting if work.price is price]
        chosen = [(work, 1) for work in fellows if work.n_new == 1][: self._discipline.max_batch]
        n_left = self._discipline.max_tokens - len(chosen)
        for work in fellows:
            if work.n_new > 1 and n_left > 0 and len(chosen) < self._discipline.max_batch:
                n_tokens = min(work.n_new - work.n_done, n_left)
                chosen.append((work, n_tokens))
                n_left -= n_tokens
        return chosen

    def _iteration_s(self) -> float:
        price = self._running[0][0].price
        contexts = [work.n_context for work, _ in self._running if work.n_new == 1]
        decodes_s = (
            price.decode_batch(len(contexts), round(sum(contexts) / len(contexts))) if contexts else 0.0
        )
        chunks_s = (
            price.chunk(work.n_context + work.n_done, n_tokens)
            for work, n_tokens in self._running
            if work.n_new > 1
        )
        return decodes_s + sum(chunks_s)

    def _end(self, _: None) -> None:
        now_s = self._clock.now
        running, self._running = self._running, []
        self._busy_s += now_s - self._began_at_s
        unfinished = []
        for work, n_tokens in running:
            self._record(work, n_tokens, self._began_at_s, now_s, 1 / len(running))
            work.n_done += n_tokens
            if work.n_done < work.n_new:
                work.asked_at_s = now_s
                unfinished.append(work)
            else:
                work.done.succeed()
        self._waiting = unfinished + self._waiting  # who has begun goes first
        self._call()


class StaticStation:
    """Static batching: a batch is closed when it starts and lasts until its longest answer is done."""

    def __init__(self, clock: Clock, discipline: StaticBatching, record: Record) -> None:
        self._clock = clock
        self._discipline = discipline
        self._record = record
        self._queue: list[Pass] = []
        self._members: dict[int, Pass | None] = {}  # request -> its pass, once it has asked for the next
        self._n_places = 0
        self._running: list[Pass] = []
        self._is_called = False
        self._began_at_s = 0.0
        self._busy_s = 0.0

    def ask(self, work: Pass) -> None:
        """Queue a request's first pass for a batch, or take in a member's next one."""
        if work.request.id in self._members:
            self._members[work.request.id] = work
        else:
            self._queue.append(work)
            due_at_s = work.asked_at_s + self._discipline.max_wait_s
            _call_at(self._clock, due_at_s, lambda _: self._call(), None, LATE)
        self._call()

    def leave(self, request: LiveRequest) -> None:
        """Take a request that has ended out of its batch; its place stays empty."""
        self._members.pop(request.id, None)
        self._queue = [work for work in self._queue if work.request is not request]
        self._call()

    def busy_until(self, at_s: float) -> float:
        """Time in passes."""
        return self._busy_s + (at_s - self._began_at_s if self._running else 0.0)

    def close(self, at_s: float) -> None:
        """Record the pass that the end of the run has cut."""
        for work in self._running:
            self._record(work, work.n_new, self._began_at_s, math.inf, 1 / len(self._running))

    def _call(self) -> None:
        if not self._running and not self._is_called:
            self._is_called = True
            _call_at(self._clock, self._clock.now, self._begin, None, LATE)

    def _begin(self, _: None) -> None:
        self._is_called = False
        if self._running:
            return
        if not self._members and self._is_due():
            batch, self._queue = (
                self._queue[: self._discipline.max_batch],
                self._queue[self._discipline.max_batch :],
            )
            self._members = {work.request.id: work for work in batch}
            self._n_places = len(batch)
        waiting = [work for work in self._members.values() if work is not None]
        if not waiting or len(waiting) < len(self._members):
            return  # lockstep: nobody goes ahead
        price = waiting[0].price
        self._running = [work for work in waiting if work.price is price]
        for work in self._running:
            self._members[work.request.id] = None
        self._began_at_s = self._clock.now
        _call_at(self._clock, self._clock.now + self._pass_s(), self._end, None)

    def _is_due(self) -> bool:
        if len(self._queue) >= self._discipline.max_batch:
            return True
        waited = [self._clock.now - work.asked_at_s for work in self._queue[:1]]
        return bool(waited) and waited[0] >= self._discipline.max_wait_s

    def _pass_s(self) -> float:
        price = self._running[0].price
        n_new = max(work.n_new for work in self._running)
        if n_new == 1:
            return price.decode_batch(self._n_places, max(work.n_context for work in self._running))
        return price.prefill_batch(self._n_places, n_new)

    def _end(self, _: None) -> None:
        now_s = self._clock.now
        running, self._running = self._running, []
        self._busy_s += now_s - self._began_at_s
        for work in running:
            self._record(work, work.n_new, self._began_at_s, now_s, 1 / len(running))
            work.done.succeed()
        self._call()


def _call_at(
    clock: Clock, at_s: float, function: Callable[[Any], None], argument: object, priority: int = 1
) -> None:
    """Call a function at an instant."""
    event = simpy.Event(clock)
    event._ok, event._value = True, None
    event.callbacks.append(lambda _: function(argument))
    clock.schedule(event, priority, max(0.0, at_s - clock.now))  # type: ignore[arg-type]
