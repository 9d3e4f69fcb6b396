"""Request arrivals: each request is served by its own process and recorded when it has ended."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, Protocol

from simpy.events import URGENT

from edgesim.engine.cluster import Cluster, RequestFailed
from edgesim.engine.process.clock import Clock, Course, Life, MisstepError, Pause
from edgesim.engine.process.interruption import Interruptible
from edgesim.engine.process.verb import WorkLost
from edgesim.engine.request import LiveRequest
from edgesim.engine.retry import MOST_CHANGES, attempts
from edgesim.engine.tables import Write, requests_table
from edgesim.errors import ContractError, InputError
from edgesim.trace.buffer import SpanBuffer
from edgesim.workload.conversation import Conversation
from edgesim.workload.requests import Request
from edgesim.world.world import World

__all__ = ["RequestArrivals", "ServingStrategy"]

_PART_ROWS = 50_000

_MOST_AT_ONCE = 1000
"""Requests of one user that may end in zero time in succession before the run counts as stuck."""

_IDLE_STEPS, _IDLE_S = 200_000, 10_000.0
"""Steps of a strategy's own process, and seconds, after which a run without progress counts as stuck.

Chosen, not measured: hours of simulated time, and more steps than frequent reports alone take in that time.
"""
STUCK = "deadlock: nothing was left to happen"
"""Reason for requests in flight at a horizon if the run came to a standstill before it."""


class ServingStrategy(Protocol):
    """The strategy as the engine calls it: a process per request, and optionally a process of the strategy.

    If the strategy sets ``makes_state``, both methods also receive the state that its ``begin`` made for the
    run.
    """

    def serve(
        self, request: LiveRequest, cluster: Cluster, placement: Any, *state: Any, **_: Any
    ) -> Generator[Any, Any, Any]:
        """Serve one request with the cluster's verbs."""
        ...

    def control(
        self, cluster: Cluster, placement: Any, *state: Any, **_: Any
    ) -> Generator[Any, Any, Any] | None:
        """Return a process that decides periodically, or None."""
        ...


@dataclass
class RequestArrivals:
    """Start the requests of a workload as they arrive, and record how they end."""

    world: World
    cluster: Cluster
    clock: Clock
    serving: ServingStrategy
    placement: Any
    state: tuple[Any, ...]
    spans: SpanBuffer | None
    write: Write
    on_end: Callable[[LiveRequest], None] | None = None

    def __post_init__(self) -> None:
        self._parts = self.cluster.parts
        self.can_lose = self.world.can_lose
        self.in_flight: dict[int, LiveRequest] = {}
        self.ended: list[LiveRequest] = []
        self.all_arrived = False
        self.n_conversations = 0  # in progress
        self.n_counted = 0  # in flight, and arrived before the horizon
        self.counts_until_s = math.inf if self.world.horizon_s is None else self.world.horizon_s
        if self.world.horizon_s is not None and self.world.cooldown_s:
            self.clock.call_at(self.counts_until_s, self._stop_when_over, URGENT)
        self.watcher: Life | None = None

    def arrive(self) -> Course:
        for asked in self.world.requests():
            if asked.arrived_at_s > self.clock.now:
                yield asked.arrived_at_s
            request = self._live(asked)
            self._start(request)
        self.all_arrived = True

    def _live(self, asked: Request) -> LiveRequest:
        world = self.world
        return LiveRequest(asked, world.model, world.answer_bytes_per_token, world.prompt_bytes_per_token)

    def converse(self) -> Course:
        """Start the users of a closed workload, who wait for their answers; each is a separate process."""
        for conversation in self.world.conversations():
            if conversation.starts_at_s > self.clock.now:
                yield conversation.starts_at_s
            self.n_conversations += 1
            Life(self.clock, self._turns(conversation), on_end=self._conversation_over)
        self.all_arrived = True

    def _turns(self, conversation: Conversation) -> Course:
        n_at_once = 0
        for turn in conversation.turns:
            if turn.think_s > 0:
                yield self.clock.now + turn.think_s
            if self.world.faults is not None:
                back_at_s = self.world.faults.back_at_s(turn.source, self.clock.now)
                if math.isinf(back_at_s):
                    return  # the device has left permanently, and its user with it
                if back_at_s > self.clock.now:
                    yield back_at_s
            n_prompt, n_output = turn.n_prompt_tokens, turn.n_output_tokens
            asked = Request(turn.id, turn.source, turn.sample, self.clock.now, n_prompt, n_output)
            request = self._live(asked)
            yield self._start(request)
            n_at_once = n_at_once + 1 if self.clock.now == request.arrived_at_s else 0
            if conversation.is_endless and n_at_once == _MOST_AT_ONCE:
                how = request.reason or request.outcome
                raise InputError(
                    f"workload: at {self.clock.now:g} s {n_at_once} requests of one user have ended in no "
                    f"time, one after the other ({how}), and all later ones would too; give users a think "
                    "time, or set the number of 'requests'"
                )

    def _conversation_over(self, _: object) -> None:
        self.n_conversations -= 1
        self._stop_when_over()

    def _start(self, request: LiveRequest) -> Life:
        self.in_flight[request.id] = request
        self.n_counted += request.arrived_at_s < self.counts_until_s

        def end(_: object) -> None:
            self._parts.life_cycle.end(request)
            self._close(request)

        def fail(error: Exception) -> bool:
            if isinstance(error, MisstepError):
                self._refuse_misstep(error, request)
            if not isinstance(error, RequestFailed):
                error.add_note(f"while serving {request!r}, at {self.clock.now} s of simulated time")
                return False
            self._parts.life_cycle.end_failed(request, str(error))
            self._close(request)
            return True

        def serve() -> Course:
            return self.serving.serve(request, self.cluster, self.placement, *self.state)

        if not self.can_lose:
            return Life(self.clock, serve(), on_end=end, on_error=fail)

        def interrupt(error: Exception) -> None:
            process.interrupt(error)

        life_cycle = self._parts.life_cycle
        course = attempts(
            self.clock, life_cycle, request, serve, self.world.retry, interrupt, self._longest_wait_s()
        )
        process = Interruptible(self.clock, course, on_end=end, on_error=fail)
        return process.life

    def _longest_wait_s(self) -> float:
        """Longest wait of a request for its next attempt [s]; infinite if the horizon ends the run first."""
        faults, horizon_s = self.world.faults, self.world.horizon_s
        rate = 0.0 if faults is None else faults.changes_per_s
        most_s = MOST_CHANGES / rate if rate else math.inf
        return math.inf if horizon_s is not None and horizon_s < most_s else most_s

    def _refuse_misstep(self, error: MisstepError, request: LiveRequest | None) -> None:
        refusal = self._parts.progress.misstep(request, error.step)
        if refusal is not None:
            raise refusal from error

    def refuse(self, error: Exception) -> bool:
        """Turn failures that a strategy's own process does not catch into errors of the strategy."""
        if isinstance(error, WorkLost):
            raise ContractError(f"control: {error}; catch DeviceDown and MessageLost there") from error
        if isinstance(error, MisstepError):
            self._refuse_misstep(error, None)
        return False

    def _close(self, request: LiveRequest) -> None:
        del self.in_flight[request.id]
        self.ended.append(request)
        if self.on_end is not None:
            self.on_end(request)
        self.n_counted -= request.arrived_at_s < self.counts_until_s
        if len(self.ended) >= _PART_ROWS:
            owed: set[int] = set()
            if self.spans is not None:
                owed = self.spans.flush(self.clock.now) | self._parts.owners_of_spans()
            whole = [ended for ended in self.ended if ended.id not in owed]
            self.write("requests", requests_table(whole, self.spans))
            self.ended = [ended for ended in self.ended if ended.id in owed]
        self._stop_when_over()

    def _stop_when_over(self) -> None:
        if self.world.horizon_s is None:
            is_over = self.all_arrived and not self.in_flight and self.n_conversations == 0
        else:
            is_over = self.clock.now >= self.counts_until_s and self.n_counted == 0
        if is_over:
            self.clock.stop(self.clock.now)  # a strategy's own process might never end

    def watch(self, controller: Course) -> Course:
        """Run the strategy's own process; raise ContractError if requests wait with no other event due."""
        try:
            step = next(controller)
            n_steps, checked_at_s, seen = 0, 0.0, self._stand()
            while True:
                try:
                    news = yield step
                except Exception as error:  # passed on to the process that waited
                    step = controller.throw(error)
                    continue
                if math.isinf(self.clock.peek()) and not isinstance(step, Pause):
                    self._refuse_deadlock()
                n_steps += 1
                if n_steps >= _IDLE_STEPS and self.clock.now - checked_at_s >= _IDLE_S:
                    if (stand := self._stand()) == seen:
                        self._refuse_deadlock(f"for {_IDLE_S:g} s but failures and the strategy's own steps")
                    n_steps, checked_at_s, seen = 0, self.clock.now, stand
                step = controller.send(news)
        except StopIteration:
            return

    def _stand(self) -> list[tuple[object, ...]]:
        """Return the progress of the requests in flight, for comparison with later progress."""
        under_way = self._parts.delivery.n_under_way
        return [
            (one.id, one.attempt, one.n_emitted_tokens, one.token, one.trail.until_s, under_way(one))
            for one in self.in_flight.values()
        ]

    def _refuse_deadlock(self, what_else: str = "") -> None:
        if self.in_flight and self.world.horizon_s is None:
            stuck = next(iter(self.in_flight.values()))
            if what_else:
                raise ContractError(
                    f"nothing has happened {what_else}, and {stuck!r} still waits: a deadlock in the "
                    "strategy; if it is meant to wait for longer, give a 'horizon'"
                )
            raise ContractError(
                f"nothing is left to happen, and {stuck!r} still waits: a deadlock in the strategy"
            )

    def finish(self, ended_at_s: float) -> None:
        """Record the requests that ended last, and those still in flight."""
        self._parts.progress.close(self.in_flight.values())
        self._refuse_deadlock()
        is_stuck = self.clock.is_left_with(*([] if self.watcher is None else [self.watcher]))
        for request in self.in_flight.values():
            self._parts.life_cycle.cut_off(request, STUCK if is_stuck else None)
        self._parts.close(ended_at_s)
        if self.spans is not None:
            self.spans.end_at(ended_at_s)
            self.spans.flush(ended_at_s)
        self.write("requests", requests_table(self.ended + list(self.in_flight.values()), self.spans))
