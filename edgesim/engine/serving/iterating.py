"""The base of stations that serve passes in batches, one iteration after another."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from functools import partial

from edgesim.engine.device.site import Site
from edgesim.engine.device.work import LATE, Pass
from edgesim.engine.process.verb import WorkLost
from edgesim.engine.request import LiveRequest
from edgesim.engine.serving.station import DisciplineStation

__all__ = ["Batch", "IteratingStation"]

Batch = list[tuple[Pass, int]]
"""Passes in one iteration, each with the number of its tokens that the iteration processes."""


class IteratingStation(DisciplineStation, ABC):
    """A station that is idle or runs one batch; an iteration begins after all other events of its instant."""

    can_be_kept = False

    def __init__(self, site: Site) -> None:
        self._clock = site.clock
        self._record = site.record
        self._running: Batch = []
        self._is_called = False
        self._began_at_s = self._ends_at_s = 0.0
        self._busy_s = 0.0
        self._version = 0  # number of the running batch

    def ask_next(self, work: Pass) -> None:
        """Queue a pass for which the device is reserved; not supported by stations without reservation."""
        raise NotImplementedError

    def withdraw(self, request: LiveRequest) -> list[Pass]:
        """Withdraw a request's passes; not supported where requests are never preempted."""
        raise NotImplementedError

    @abstractmethod
    def _choose(self) -> Batch:
        """Remove the next batch from the waiting passes; empty if no batch is due."""

    @abstractmethod
    def _iteration_s(self) -> float:
        """Duration of the running batch [s]."""

    @abstractmethod
    def _serve(self, batch: Batch) -> None:
        """Complete the passes of a batch, or queue their remaining tokens."""

    @abstractmethod
    def _forget(self) -> list[Pass]:
        """Remove and return all waiting passes."""

    @abstractmethod
    def _waits(self) -> list[Pass]:
        """Return the waiting passes."""

    def work_s(self, at_s: float) -> float:
        """Upper bound of the remaining work [s]: the rest of the iteration, plus other passes one by one."""
        left = [(work, work.n_done) for work in self._waits()]
        running_s = 0.0
        if self._running:
            running_s = max(0.0, self._ends_at_s - at_s)
            left += [(work, work.n_done + n_tokens) for work, n_tokens in self._running]
        return running_s + math.fsum(_alone_s(work, n_done) for work, n_done in left if n_done < work.n_new)

    def lose(self, error: WorkLost) -> None:
        """Lose the running batch and all waiting passes. Work that ends at this instant counts as done."""
        if self._running and self._ends_at_s <= self._clock.now:
            self._end(self._version)
        if self._running:
            self._finish()
        self._version += 1
        lost, self._running = [work for work, _ in self._running], []
        for work in lost + self._forget():
            work.fail(error)

    def owners(self) -> set[int]:
        """Ids of requests in the running batch."""
        return {work.request.id for work, _ in self._running}

    def busy_until(self, at_s: float) -> float:
        """Time spent in iterations [s]."""
        return self._busy_s + (at_s - self._began_at_s if self._running else 0.0)

    def close(self, at_s: float) -> None:
        """Record the iteration that is cut off by the end of the run."""
        self._record_until(math.inf)

    def _call(self) -> None:
        """Schedule an iteration to begin at this instant, if none is running."""
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
                    work.start_up_s = 0.0  # charged once; the rest of a prompt does not start up again
            self._version += 1
            self._clock.call_at(self._ends_at_s, partial(self._end, self._version))

    def _end(self, version: int) -> None:
        if version != self._version:
            return  # the batch was lost
        self._finish()
        self._version += 1
        batch, self._running = self._running, []
        self._serve(batch)
        self._call()

    def _finish(self) -> None:
        """Account for the running batch up to now."""
        self._busy_s += self._clock.now - self._began_at_s
        self._record_until(self._clock.now)

    def _record_until(self, ended_at_s: float) -> None:
        for work, n_tokens in self._running:
            self._record(work, n_tokens, self._began_at_s, ended_at_s, 1 / len(self._running))


def _alone_s(work: Pass, n_done: int) -> float:
    """Time of the rest of a pass, alone on the device [s]."""
    if work.n_new == 1:
        return work.price.alone(1, work.n_context)
    return work.price.chunk(work.n_context + n_done, work.n_new - n_done)
