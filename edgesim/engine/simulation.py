"""One run: a world, a strategy's placement, and the three tables that come out."""

from __future__ import annotations

import gc
import math
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol, cast

import numpy as np
import pyarrow as pa
from simpy.events import URGENT

from edgesim.engine.answers.answers import error_variance
from edgesim.engine.cluster import Cluster, RequestFailed
from edgesim.engine.decisions import Decision
from edgesim.engine.observation.counting import Counting
from edgesim.engine.own_state import begun
from edgesim.engine.process.clock import Clock, Course, Life, MisstepError, Pause
from edgesim.engine.process.interruption import Interruptible
from edgesim.engine.process.sampled_clock import SampledClock
from edgesim.engine.process.verb import WorkLost
from edgesim.engine.request import LiveRequest
from edgesim.engine.retry import MOST_CHANGES, attempts
from edgesim.errors import ContractError, InputError
from edgesim.model.architecture import Slice
from edgesim.trace.buffer import SpanBuffer
from edgesim.trace.counter_buffer import CounterBuffer
from edgesim.trace.schema import arrow_schema
from edgesim.workload.conversation import Conversation
from edgesim.workload.requests import Request
from edgesim.world.disciplines import serving_name
from edgesim.world.world import World

__all__ = ["Serving", "Simulation", "simulate"]

_PART_ROWS = 50_000

_MOST_AT_ONCE = 1000
"""Requests of one user that may end in no time, one after the other, before the clock counts as stuck."""

_IDLE_STEPS, _IDLE_S = 200_000, 10_000.0
"""Steps of a strategy's own process, and seconds, after which a run counts as stuck if no request has moved.

Chosen, not measured: hours of simulated time, and more steps than frequent reports alone add up to in them.
"""
STUCK = "deadlock: nothing was left to happen"
"""Reason of requests in flight at a horizon before which the run had come to a standstill."""

Write = Callable[[str, pa.Table], None]


class Serving(Protocol):
    """What the engine asks of a strategy: one request's life, and possibly a process of its own.

    Both take what its ``begin`` has made for the run as well, if it says ``makes_state``.
    """

    def serve(
        self, request: LiveRequest, cluster: Cluster, placement: Any, *state: Any, **_: Any
    ) -> Generator[Any, Any, Any]:
        """Serve one request with the cluster's verbs."""
        ...

    def control(
        self, cluster: Cluster, placement: Any, *state: Any, **_: Any
    ) -> Generator[Any, Any, Any] | None:
        """Decide periodically, or None."""
        ...


def simulate(
    world: World,
    serving: Serving,
    placement: Any,
    holdings: Mapping[str, tuple[Slice, ...]],
    write: Write,
    *,
    keep_spans: bool = True,
    counters_s: float | None = None,
) -> Cluster:
    """Simulate one replication under one strategy.

    Parameters
    ----------
    placement
        What the strategy's ``place`` returned; handed back to ``serve``, with the state that its ``begin``
        makes for this run, if it has one. Its ``shards``, if it has any, say
        what part of the blocks that it holds each device has of every block.
    holdings
        Which parts of the model each device holds.
    write
        Takes the parts of the tables ``spans``, ``requests`` and ``devices``, in the order in which
        they become whole; ``devices`` comes last.
    keep_spans
        Whether to record spans; without them there is no energy per request and no inter-token time.
    counters_s
        How often to sample what is counted over time [s], written as the table ``counters`` before
        ``devices``; None: there is no such table. All other tables are the same with it and without.

    Returns
    -------
    Cluster
        As the run has left it.
    """
    simulation = Simulation(
        world, serving, placement, holdings, write, keep_spans=keep_spans, counters_s=counters_s
    )
    with _old_objects_left_alone():
        simulation.clock.run(world.limit_s)
    simulation.finish()
    return simulation.cluster


class Simulation:
    """One run that can pause: it begins here, advances from decision to decision, and finishes.

    Parameters
    ----------
    world, serving, placement, holdings, write, keep_spans, counters_s
        As for :func:`simulate`.
    outside
        Name of the decisions that are made from outside; None: the strategy makes all of them.
    on_end
        Called with every request that ends, as it ends.

    Attributes
    ----------
    clock, cluster
        As they stand now.
    in_flight
        Requests that have arrived and not ended, by their ids.
    """

    def __init__(
        self,
        world: World,
        serving: Serving,
        placement: Any,
        holdings: Mapping[str, tuple[Slice, ...]],
        write: Write,
        *,
        keep_spans: bool = True,
        outside: str | None = None,
        on_end: Callable[[LiveRequest], None] | None = None,
        counters_s: float | None = None,
    ) -> None:
        sampled = None if counters_s is None else SampledClock(counters_s)
        self.clock = clock = sampled or Clock()
        # With a cooldown, its limit is known, and the end of the run is not.
        ends_at_s = None if world.cooldown_s else world.horizon_s
        spans = SpanBuffer(lambda table: write("spans", table), ends_at_s) if keep_spans else None
        self.cluster = cluster = Cluster(world, clock, holdings, spans, getattr(placement, "shards", None))
        cluster.ledger.attendance.strategy = type(serving).__name__
        cluster.decisions.outside = outside
        self._counting: Counting | None = None
        if sampled is not None:
            counts = CounterBuffer(lambda table: write("counters", table))
            self._counting = cluster.counting(counts)
            sampled.sample = self._counting.sample
        state = begun(serving, placement, world)
        requests = _Requests(world, cluster, clock, serving, placement, state, spans, write, on_end)
        Life(clock, requests.converse() if world.workload.is_closed else requests.arrive())
        controller = serving.control(cluster, placement, *state)
        if controller is not None:
            requests.watcher = Life(clock, requests.watch(controller), on_error=requests.refuse)
        self._world, self._requests, self._write = world, requests, write
        self._has_begun = False
        self.in_flight: Mapping[int, LiveRequest] = requests.in_flight

    def advance(self) -> Decision | None:
        """Go on to the next decision that is made from outside; None: the run has ended.

        Answer it (:meth:`decide`) before going on.
        """
        if not self._has_begun:
            self._has_begun = True
            if self._world.limit_s is not None:
                self.clock.stop(self._world.limit_s)
        return cast("Decision | None", self.clock.run_to_pause())

    def decide(self, action: int) -> None:
        """Answer the decision at which the run stands."""
        self.clock.resume(action)

    def energy_j(self, request_ids: Sequence[int]) -> list[float]:
        """Energy drawn for requests up to now, beyond idling [J]; 0 if spans are not kept."""
        spans = self._requests.spans
        if spans is None:
            return [0.0] * len(request_ids)
        spans.charge()
        return [float(value) for value in spans.energy_j(np.array(request_ids, dtype=np.int64))]

    def finish(self) -> None:
        """Close the books where the run stands, and tell of the requests and devices."""
        if self._counting is not None:
            self._counting.finish()
        self._requests.finish(self.clock.now)
        self._write("devices", _devices(self._world, self.cluster, self.clock.now))


@contextmanager
def _old_objects_left_alone() -> Iterator[None]:
    """Keep the garbage collector from walking, over and over, what was there before the run.

    All of it outlives the run; what the run itself makes is collected as ever. Worth a quarter of the time.
    """
    if gc.get_freeze_count():  # somebody else's, or a run beside this one, who will undo it
        yield
        return
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


@dataclass
class _Requests:
    """Lets the requests of a workload arrive, and tells how they ended."""

    world: World
    cluster: Cluster
    clock: Clock
    serving: Serving
    placement: Any
    state: tuple[Any, ...]
    spans: SpanBuffer | None
    write: Write
    on_end: Callable[[LiveRequest], None] | None = None

    def __post_init__(self) -> None:
        self.can_lose = self.world.can_lose
        self.in_flight: dict[int, LiveRequest] = {}
        self.ended: list[LiveRequest] = []
        self.all_arrived = False
        self.n_conversations = 0  # under way
        self.n_counted = 0  # in flight, of those that arrived before the horizon
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
        """Let users come who wait for their answers; each is a process of its own."""
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
                    return  # the device has left for good, and its user with it
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
                    f"time, one after the other ({how}), "
                    "and so would all others; give users a think time, or say how many 'requests' there are"
                )

    def _conversation_over(self, _: object) -> None:
        self.n_conversations -= 1
        self._stop_when_over()

    def _start(self, request: LiveRequest) -> Life:
        self.in_flight[request.id] = request
        self.n_counted += request.arrived_at_s < self.counts_until_s

        def end(_: object) -> None:
            self.cluster.end(request)
            self._close(request)

        def fail(error: Exception) -> bool:
            if isinstance(error, MisstepError):
                self._refuse_misstep(error, request)
            if not isinstance(error, RequestFailed):
                error.add_note(f"while serving {request!r}, at {self.clock.now} s of simulated time")
                return False
            self.cluster.end_failed(request, str(error))
            self._close(request)
            return True

        def serve() -> Course:
            return self.serving.serve(request, self.cluster, self.placement, *self.state)

        if not self.can_lose:
            return Life(self.clock, serve(), on_end=end, on_error=fail)

        def interrupt(error: Exception) -> None:
            process.interrupt(error)

        course = attempts(
            self.clock, self.cluster, request, serve, self.world.retry, interrupt, self._longest_wait_s()
        )
        process = Interruptible(self.clock, course, on_end=end, on_error=fail)
        return process.life

    def _longest_wait_s(self) -> float:
        """How long a request may wait for a further attempt: for ever, where the run ends before."""
        faults, horizon_s = self.world.faults, self.world.horizon_s
        rate = 0.0 if faults is None else faults.changes_per_s
        most_s = MOST_CHANGES / rate if rate else math.inf
        return math.inf if horizon_s is not None and horizon_s < most_s else most_s

    def _refuse_misstep(self, error: MisstepError, request: LiveRequest | None) -> None:
        refusal = self.cluster.ledger.misstep(request, error.step)
        if refusal is not None:
            raise refusal from error

    def refuse(self, error: Exception) -> bool:
        """A strategy's own process must expect that devices fail; nobody else could act for it."""
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
            held = set() if self.spans is None else self.spans.flush(self.clock.now) | self.cluster.owners()
            self._tell([ended for ended in self.ended if ended.id not in held])
            self.ended = [ended for ended in self.ended if ended.id in held]
        self._stop_when_over()

    def _stop_when_over(self) -> None:
        if self.world.horizon_s is None:
            is_over = self.all_arrived and not self.in_flight and self.n_conversations == 0
        else:
            is_over = self.clock.now >= self.counts_until_s and self.n_counted == 0
        if is_over:
            self.clock.stop(self.clock.now)  # a strategy's own process might go on for ever

    def watch(self, controller: Course) -> Course:
        """Run the strategy's own process; where nothing but it is left to happen, requests wait in vain."""
        try:
            step = next(controller)
            n_steps, looked_at_s, seen = 0, 0.0, self._stand()
            while True:
                try:
                    news = yield step
                except Exception as error:  # on its way to the process that waited
                    step = controller.throw(error)
                    continue
                if math.isinf(self.clock.peek()) and not isinstance(step, Pause):
                    self._refuse_deadlock()
                n_steps += 1
                if n_steps >= _IDLE_STEPS and self.clock.now - looked_at_s >= _IDLE_S:
                    if (stand := self._stand()) == seen:
                        self._refuse_deadlock(f"for {_IDLE_S:g} s but failures and what the strategy does")
                    n_steps, looked_at_s, seen = 0, self.clock.now, stand
                step = controller.send(news)
        except StopIteration:
            return

    def _stand(self) -> list[tuple[object, ...]]:
        """How far the requests in flight are, to be compared with how far they are later."""
        return [
            (one.id, one.attempt, one.n_emitted_tokens, one.token, one.until_s, one.n_under_way)
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
        """Tell of the requests that ended last, and of those still in flight."""
        self.cluster.ledger.close(self.in_flight.values())
        self._refuse_deadlock()
        is_stuck = self.clock.is_left_with(*([] if self.watcher is None else [self.watcher]))
        for request in self.in_flight.values():
            self.cluster.cut_off(request, STUCK if is_stuck else None)
        self.cluster.close(ended_at_s)
        if self.spans is not None:
            self.spans.end_at(ended_at_s)
            self.spans.flush(ended_at_s)
        self._tell(self.ended + list(self.in_flight.values()))

    def _tell(self, requests: list[LiveRequest]) -> None:
        ids = np.array([r.id for r in requests], dtype=np.int64)
        answers = [self.cluster.worth(request) for request in requests]
        energy_j = pa.nulls(len(ids), pa.float64()) if self.spans is None else self.spans.energy_j(ids)
        columns = {
            "request_id": ids,
            "source": [r.source for r in requests],
            "sample": [r.sample for r in requests],
            "arrived_at_s": [r.arrived_at_s for r in requests],
            "first_token_at_s": [r.first_token_at_s for r in requests],
            "ended_at_s": [r.ended_at_s for r in requests],
            "n_prompt_tokens": [r.n_prompt_tokens for r in requests],
            "n_output_tokens": [r.n_output_tokens for r in requests],
            "n_emitted_tokens": [r.n_emitted_tokens for r in requests],
            "outcome": [r.outcome for r in requests],
            "reason": [r.reason for r in requests],
            "energy_j": energy_j,
            "error_variance": [error_variance(r.harms) for r in requests],
            "mean_exit_block": [_mean([block for block, _ in r.exits.values()]) for r in requests],
            "correct": [worth.correct for worth in answers],
            "nll": [worth.nll for worth in answers],
            "beyond_measured": [worth.is_beyond for worth in answers],
        }
        self.write("requests", _table("requests", columns, len(ids)))


def _mean(values: Sequence[float]) -> float | None:
    """The mean; None of nothing."""
    return sum(values) / len(values) if values else None


def _devices(world: World, cluster: Cluster, ended_at_s: float) -> pa.Table:
    """Tell what every device has done, integrated exactly up to the end of the run."""
    devices = list(world.devices.values())
    busy_s = {d.id: cluster.hosts[d.id].busy_until(ended_at_s) for d in devices}
    drawn = [cluster.drawn(d.id, ended_at_s) for d in devices]
    columns = {
        "device": [d.id for d in devices],
        "group": [d.group for d in devices],
        "kind": [d.kind or None for d in devices],
        "origin": [d.origin or None for d in devices],
        "serving": [serving_name(d.serving) for d in devices],
        "duration_s": [ended_at_s] * len(devices),
        "up_s": [cluster.up_s(d.id, ended_at_s) for d in devices],
        "busy_s": list(busy_s.values()),
        "idle_w": [d.power.idle_w + d.power.radio_idle_w for d in devices],
        "active_w": [d.power.active_w for d in devices],
        "messages_on_compute": [d.endpoint.on_compute for d in devices],
        "energy_compute_j": [one.compute_j for one in drawn],
        "energy_tx_j": [one.tx_j for one in drawn],
        "energy_rx_j": [one.rx_j for one in drawn],
        "energy_idle_j": [one.idle_j for one in drawn],
        "memory_bytes": [d.memory_bytes for d in devices],
        "peak_memory_bytes": [cluster.memories[d.id].peak_bytes for d in devices],
        "n_failures": [cluster.n_failures(d.id) for d in devices],
    }
    return _table("devices", columns, len(devices))


def _table(name: str, columns: Mapping[str, Any], n_rows: int) -> pa.Table:
    """A table of the trace; columns that nothing fills are null."""
    schema = arrow_schema(name)
    arrays = []
    for field in schema:
        values = columns.get(field.name)
        if values is None:
            arrays.append(pa.nulls(n_rows, field.type))
        elif pa.types.is_dictionary(field.type):
            arrays.append(pa.array(values, pa.string()).dictionary_encode().cast(field.type))
        else:
            arrays.append(pa.array(values, field.type))
    return pa.Table.from_arrays(arrays, schema=schema)
