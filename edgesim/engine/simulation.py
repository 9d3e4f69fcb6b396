"""One run: simulate a world under a strategy's placement and write its tables."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, cast

import numpy as np

from edgesim.engine.arrivals import RequestArrivals, ServingStrategy
from edgesim.engine.cluster import Cluster
from edgesim.engine.decisions import Decision
from edgesim.engine.observation.counting import Counting
from edgesim.engine.own_state import begun
from edgesim.engine.process.clock import Clock, Life
from edgesim.engine.process.sampled_clock import SampledClock
from edgesim.engine.request import LiveRequest
from edgesim.engine.tables import Write, devices_table
from edgesim.model.architecture import Slice
from edgesim.trace.buffer import SpanBuffer
from edgesim.trace.counter_buffer import CounterBuffer
from edgesim.world.world import World

__all__ = ["ServingStrategy", "Simulation", "simulate"]


def simulate(
    world: World,
    serving: ServingStrategy,
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
        The return value of the strategy's ``place``; passed to ``serve`` with the state that the strategy's
        ``begin``, if defined, creates for this run. Its ``shards``, if any, give the shard of its blocks that
        each device stores.
    holdings
        Parts of the model stored on each device.
    write
        Called with the parts of the tables ``spans``, ``requests`` and ``devices``, in the order in which
        they are complete; ``devices`` is last.
    keep_spans
        Whether to record spans; without them there is no energy per request and no inter-token time.
    counters_s
        Sampling interval of the counters over time [s], written as the table ``counters`` before ``devices``;
        None: no such table. All other tables are the same with it and without.

    Returns
    -------
    Cluster
        The cluster in its state at the end of the run.
    """
    simulation = Simulation(
        world, serving, placement, holdings, write, keep_spans=keep_spans, counters_s=counters_s
    )
    with _old_objects_left_alone():
        simulation.clock.run(world.limit_s)
    simulation.finish()
    return simulation.cluster


class Simulation:
    """One run that can pause: it begins on construction, advances from decision to decision, and finishes.

    Parameters
    ----------
    world, serving, placement, holdings, write, keep_spans, counters_s
        As for :func:`simulate`.
    outside
        Name of the decisions that are made from outside; None: the strategy makes all of them.
    on_end
        Called with every request as it ends.

    Attributes
    ----------
    clock, cluster
        In their current state.
    in_flight
        Requests that have arrived and not ended, by id.
    """

    def __init__(
        self,
        world: World,
        serving: ServingStrategy,
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
        # With a cooldown, the end of the run is not known in advance, only its limit.
        ends_at_s = None if world.cooldown_s else world.horizon_s
        spans = SpanBuffer(lambda table: write("spans", table), ends_at_s) if keep_spans else None
        self.cluster = cluster = Cluster(world, clock, holdings, spans, getattr(placement, "shards", None))
        cluster.parts.progress.attendance.strategy = type(serving).__name__
        cluster.decisions.outside = outside
        self._counting: Counting | None = None
        if sampled is not None:
            counts = CounterBuffer(lambda table: write("counters", table))
            self._counting = cluster.parts.counting(counts)
            sampled.sample = self._counting.sample
        state = begun(serving, placement, world)
        requests = RequestArrivals(world, cluster, clock, serving, placement, state, spans, write, on_end)
        Life(clock, requests.converse() if world.workload.is_closed else requests.arrive())
        controller = serving.control(cluster, placement, *state)
        if controller is not None:
            requests.watcher = Life(clock, requests.watch(controller), on_error=requests.refuse)
        self._world, self._requests, self._write = world, requests, write
        self._has_begun = False
        self.in_flight: Mapping[int, LiveRequest] = requests.in_flight

    def advance(self) -> Decision | None:
        """Run to the next decision that is made from outside; return None at the end of the run.

        Answer the decision (:meth:`decide`) before the next call.
        """
        if not self._has_begun:
            self._has_begun = True
            if self._world.limit_s is not None:
                self.clock.stop(self._world.limit_s)
        return cast("Decision | None", self.clock.run_to_pause())

    def decide(self, action: int) -> None:
        """Answer the decision at which the run is paused."""
        self.clock.resume(action)

    def cut_off(self, request: LiveRequest) -> None:
        """Record the state of a request that is in flight where the run is abandoned."""
        self.cluster.parts.life_cycle.cut_off(request, None)

    def energy_j(self, request_ids: Sequence[int]) -> list[float]:
        """Energy drawn for requests so far, above idle [J]; 0 if spans are not recorded."""
        spans = self._requests.spans
        if spans is None:
            return [0.0] * len(request_ids)
        spans.charge()
        return [float(value) for value in spans.energy_j(np.array(request_ids, dtype=np.int64))]

    def finish(self) -> None:
        """Complete the accounts at the current instant, and write the requests and devices tables."""
        if self._counting is not None:
            self._counting.finish()
        self._requests.finish(self.clock.now)
        self._write("devices", devices_table(self._world, self.cluster.parts, self.clock.now))


@contextmanager
def _old_objects_left_alone() -> Iterator[None]:
    """Exclude objects that existed before the run from garbage collection while it runs.

    They all outlive the run; objects created during it are collected as usual. Saves a quarter of the time.
    """
    if gc.get_freeze_count():  # frozen by another caller or a concurrent run, which will unfreeze
        yield
        return
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
