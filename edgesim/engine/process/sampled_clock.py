"""A clock that lets a function look at the run at regular instants, with nothing on its heap for it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import simpy
from simpy.core import StopSimulation

from edgesim.engine.process.clock import Clock

__all__ = ["SampledClock"]


class SampledClock(Clock):
    """Calls a function at 0, T, 2 T, ... while the run goes on.

    Between two things that are due, nothing changes but time; so before the clock takes a step, it stands
    still at each of these instants up to that step's, the step's own included. The heap, and with it the
    order of all that happens, the end of the run and the finding of deadlocks, are those of a plain
    :class:`~edgesim.engine.process.clock.Clock`.

    Parameters
    ----------
    every_s
        T [s].
    sample
        What is called; it must change nothing.
    """

    def __init__(self, every_s: float) -> None:
        super().__init__()
        self._every_s = every_s
        self._n_samples = 0
        self._next_s = 0.0
        self.sample: Callable[[], None] | None = None

    def step(self) -> None:
        """Sample up to the next thing that is due, then process it."""
        if self._queue and self._next_s <= self._queue[0][0]:
            self._sample_until(self._queue[0][0])
        super().step()

    def run(self, until: float | simpy.Event | None = None) -> Any:
        """Run until nothing is due, or until an instant; what is due exactly then does not happen."""
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
        if self.sample is None or math.isinf(due_s):  # what sleeps for ever leads nowhere
            return
        while self._next_s <= due_s:
            self._now = self._next_s
            self.sample()
            self._n_samples += 1
            self._next_s = self._n_samples * self._every_s  # a product: sums of T would drift
