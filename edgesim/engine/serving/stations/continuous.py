"""Continuous batching."""

from __future__ import annotations

from copy import copy

from edgesim.engine.device.site import Site
from edgesim.engine.device.work import Pass
from edgesim.engine.request import LiveRequest
from edgesim.engine.serving.iterating import Batch, IteratingStation
from edgesim.world.disciplines.continuous import ContinuousBatching

__all__ = ["BatchedStation"]


class BatchedStation(IteratingStation):
    """Continuous batching: iterations over the passes of the requests that have a place.

    A request occupies one of ``max_batch`` places as long as it has its KV cache (places are granted by
    :class:`~edgesim.engine.memory.memory.Admission`). An iteration takes passes of one part of the model,
    that of the oldest request: first decode steps, then chunks of prompts, each in order of request age, up
    to the token budget. Age is the order of first requests for memory. An encoder reads its text in one pass:
    it is never split, and a text longer than the budget has an iteration of its own.

    Decode steps alone take the time that the profile gives for a batch of that size at their mean context;
    chunks alone take the sum of their times. Together they are one pass that reads the weights once: each
    decode step adds the time that one more request adds to a large batch
    (:meth:`~edgesim.engine.device.price.Price.rider`). An iteration is never shorter than its decode steps or
    its chunks alone, and never longer than both one after the other.

    Not modelled: that the chunks of several prompts in one iteration share one reading of the weights.
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
        """Remove a request that has ended, or starts over, from the queue; a running iteration continues."""
        self._waiting = [work for work in self._waiting if work.request is not request]
        for work, _ in self._running:
            if work.request is request:
                work.n_new = 0  # its remaining tokens are not needed any more

    def withdraw(self, request: LiveRequest) -> list[Pass]:
        """Withdraw the passes of a preempted request; a running iteration continues without it."""
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
