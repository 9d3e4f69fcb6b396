"""Processes that can be interrupted: those of requests in a world where work can be lost."""

from __future__ import annotations

from functools import partial
from typing import Any

from simpy.events import PENDING

from edgesim.engine.process.clock import Clock, Life

__all__ = ["Interruptible"]


class Interruptible:
    """A process into which an exception can be thrown while it waits.

    The event that it waited for is not cancelled: it still occurs, without effect on this process. Until it
    is interrupted it is a plain process, and as fast: a sleeping process cannot be removed from SimPy's heap,
    so an interruption leaves an empty shell there, and the process continues in another object.

    Parameters
    ----------
    args, kwargs
        As for :class:`~edgesim.engine.process.clock.Life`.

    Attributes
    ----------
    life
        The process, for waiting for its end; begin to wait before anything can interrupt it.
    """

    def __init__(self, clock: Clock, *args: Any, **kwargs: Any) -> None:
        self._clock = clock
        self.life = Life(clock, *args, **kwargs)

    def interrupt(self, error: Exception) -> None:
        """Throw an exception into the process at this instant; do nothing if it has ended."""
        if self.life._value is PENDING:
            self.life = life = self.life.move()
            life._bad_news = error
            self._clock.call_at(self._clock._now, partial(self._deliver, life))

    def _deliver(self, life: Life) -> None:
        if life._value is PENDING:  # else it was interrupted again at the same instant
            self._clock.advance(life)
