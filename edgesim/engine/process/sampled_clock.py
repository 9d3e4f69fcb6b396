"""A clock that calls a sampling function at regular instants, without entries on its heap."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import simpy
from simpy.core import StopSimulation

from edgesim.engine.process.clock import Clock

__all__ = ["SampledClock"]


class SampledClock(Clock):
    """Call a function at 0, T, 2 T, ... during the run.

    Between two heap entries nothing changes but time; so before the clock takes a step, it stops at each of
    these instants up to and including the step's. The heap, and with it the order of all events, the end of
    the run and the detection of deadlocks, are those of a plain :class:`~edgesim.engine.process.clock.Clock`.

    Parameters
    ----------
    every_s
        T [s].
    sample
        The function to call; it must change nothing.
    """

    def __init__(self, every_s: float) -> None:
        super().__init__()
        self._every_s = every_s
        self._n_samples = 0
        self._next_s = 0.0
        self.sample: Callable[[], None] | None = None

    def step(self) -> None:
        """Sample up to the next heap entry, then process it."""
        if self._queue and self._next_s <= self._queue[0][0]:
            self._sample_until(self._queue[0][0])
        super().step()

    def run(self, until: float | simpy.Event | None = None) -> Any:
        """Run until the heap is empty, or until an instant; entries due exactly then are not processed."""
        if isinstance(until, simpy.Event):
            raise TypeError("a Clock runs until an instant; wait for an event inside a process")
        if until is not None:
            self.stop(until)
        try:
            while self._queue:
                self.step()
        except StopSimulation:
            pass
        return None

    def _sample_until(self, due_s: float) -> None:
        if self.sample is None or math.isinf(due_s):  # an infinite sleep never ends
            return
        while self._next_s <= due_s:
            self._now = self._next_s
            self.sample()
            self._n_samples += 1
            self._next_s = self._n_samples * self._every_s  # a product, because sums of T would drift
