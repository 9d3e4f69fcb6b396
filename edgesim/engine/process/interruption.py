"""Processes that can be interrupted: those of requests in a world where something can be lost."""

from __future__ import annotations

from functools import partial
from typing import Any

from simpy.events import PENDING

from edgesim.engine.process.clock import Clock, Life

__all__ = ["Interruptible"]


class Interruptible:
    """A process into which an exception can be thrown wherever it waits.

    What it waited for is not undone: it happens all the same, and is not heard of here. Until it is
    interrupted it is a process of the plain kind, and as fast: one that sleeps cannot be taken off SimPy's
    heap, so an interruption leaves an empty shell there, and the process goes on as another.

    Parameters
    ----------
    args, kwargs
        As for :class:`~edgesim.engine.process.clock.Life`.

    Attributes
    ----------
    life
        The process, for what waits for its end; wait before anything can interrupt it.
    """

    def __init__(self, clock: Clock, *args: Any, **kwargs: Any) -> None:
        self._clock = clock
        self.life = Life(clock, *args, **kwargs)

    def interrupt(self, error: Exception) -> None:
        """Throw an exception into it at this instant; nothing happens if it has ended."""
        if self.life._value is PENDING:
            self.life = life = self.life.move()
            life._bad_news = error
            self._clock.call_at(self._clock._now, partial(self._hear_of_it, life))

    def _hear_of_it(self, life: Life) -> None:
        if life._value is PENDING:  # else it has been interrupted again, at the same instant
            self._clock.advance(life)
