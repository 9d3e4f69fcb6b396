"""The clock: a SimPy environment whose processes may also sleep until a known instant.

A first-come-first-served station knows a job's departure time when the job arrives. Waiting for it therefore
needs no ``Resource``, no request event and no ``Timeout`` object: the process yields the instant at which it
continues, and the clock puts the process itself on SimPy's heap. That is one heap operation per visit, and
the order of events is SimPy's own: by time, then priority, then sequence number.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator
from heapq import heappop, heappush, heappushpop
from typing import Any

import simpy
from simpy.core import StopSimulation
from simpy.events import NORMAL, PENDING, URGENT, EventPriority

__all__ = ["Clock", "Course", "Life", "MisstepError", "Pause", "Step"]


class Pause:
    """Value that a process yields to pause the run until an answer is given from outside."""

    __slots__ = ()


Step = float | simpy.Event | Pause
"""Value that a process may yield to wait: an absolute instant [s], a SimPy event, or a pause."""

Course = Generator[Step, Any, Any]
"""A process: it yields steps, is sent the values of the events it waited for, may return a value."""


class MisstepError(TypeError):
    """A process has yielded a value that is not a step.

    Attributes
    ----------
    step
        The value.
    """

    def __init__(self, step: object) -> None:
        super().__init__(f"a process yielded {step!r}; it may yield from the cluster's verbs only")
        self.step = step


class Life(simpy.Event):
    """A process on a :class:`Clock`; as an event, it occurs when the process ends.

    The generator yields absolute instants or SimPy events, and is resumed at that instant or when the event
    has occurred. It starts at the current instant, after everything already due then.

    An exception that leaves the generator is passed to ``on_error``, which returns whether it has handled it;
    if not, it propagates to the process that waits for this one, and if there is none, it ends the run.
    """

    def __init__(
        self,
        clock: Clock,
        course: Course,
        *,
        on_end: Callable[[Any], None] | None = None,
        on_error: Callable[[Exception], bool] | None = None,
    ) -> None:
        super().__init__(clock)
        self._clock = clock
        self._go_on = course.send
        self._throw = course.throw
        self._on_end = on_end
        self._on_error = on_error
        self._news: Any = None
        self._bad_news: Exception | None = None
        clock.wake(self, clock.now)

    def move(self) -> Life:
        """Continue this process in a new object that waits for nothing; the old one becomes an empty shell.

        A sleeping process is itself on SimPy's heap and cannot be removed from it. The shell stays there
        until its instant and has no effect.
        """
        life = Life.__new__(Life)
        simpy.Event.__init__(life, self._clock)
        life.__dict__.update(
            {name: self.__dict__[name] for name in ("_clock", "_go_on", "_throw", "_on_end", "_on_error")}
        )
        life._news = life._bad_news = None
        life.callbacks, self.callbacks = self.callbacks, []
        self._ok, self._value = True, None
        return life

    def _on_event(self, event: simpy.Event) -> None:
        """Resume after the event that this process waited for has occurred or failed."""
        if event._ok:
            self._news = event._value
        else:
            event.defused = True
            self._bad_news = event._value
        if self._value is PENDING:  # else it is a shell
            self._clock.advance(self)

    def _end(self, value: Any) -> None:
        if self._on_end is not None:
            self._on_end(value)
        self.succeed(value)

    def _fail(self, error: Exception) -> None:
        if self._on_error is not None and self._on_error(error):
            self.succeed(None)
        else:
            self.fail(error)


class Clock(simpy.Environment):
    """A SimPy environment that also runs :class:`Life` processes.

    Events at one instant occur in the order of their priority (SimPy's ``URGENT`` before ``NORMAL``), then in
    the order in which they were scheduled.
    """

    def __init__(self) -> None:
        super().__init__()
        self._paused: deque[tuple[Life, Pause]] = deque()

    def wake(self, life: Life, at_s: float) -> None:
        """Schedule a process to continue at an instant that is not in the past."""
        heappush(self._queue, (at_s, NORMAL, next(self._eid), life))

    def call_at(self, at_s: float, function: Callable[[], None], priority: int = NORMAL) -> None:
        """Schedule a function call at an instant that is not in the past."""
        event = simpy.Event(self)
        event._ok, event._value = True, None
        event.callbacks.append(lambda _: function())
        heappush(self._queue, (at_s, EventPriority(priority), next(self._eid), event))

    def advance(self, life: Life) -> None:
        """Run a process up to its next wait."""
        news, life._news = life._news, None
        error, life._bad_news = life._bad_news, None
        try:
            step = life._go_on(news) if error is None else life._throw(error)
        except StopIteration as end:
            life._end(end.value)
        except Exception as error:  # the owner of a process decides about its exceptions
            life._fail(error)
        else:
            self._wait(life, step)

    def _wait(self, life: Life, step: Step) -> None:
        if isinstance(step, int | float):
            self.wake(life, max(float(step), self._now))
        elif isinstance(step, Pause):
            self._paused.append((life, step))
        elif not isinstance(step, simpy.Event):
            life._fail(MisstepError(step))
        elif step.callbacks is not None:
            step.callbacks.append(life._on_event)
        else:  # it has happened already
            life._on_event(step)

    def _happen(self, event: simpy.Event) -> None:
        callbacks, event.callbacks = event.callbacks, None  # type: ignore[assignment]
        for callback in callbacks:
            callback(event)
        if not event._ok and not event.defused:
            raise event._value

    def let_happen(self, event: simpy.Event) -> None:
        """Trigger an event at once, before anything else that is due now."""
        event._ok, event._value = True, None
        self._happen(event)

    def stop(self, at_s: float) -> None:
        """End the run at an instant, before anything else that is due then."""
        stop = simpy.Event(self)
        stop._ok, stop._value = True, None
        stop.callbacks.append(StopSimulation.callback)
        self.schedule(stop, URGENT, at_s - self._now)

    def is_left_with(self, *lives: Life) -> bool:
        """Whether the heap contains nothing but the next steps of these processes."""
        return all(event in lives for *_, event in self._queue)

    def step(self) -> None:
        """Process the next heap entry."""
        self._now, _, _, event = heappop(self._queue)
        if event.__class__ is Life and event._value is PENDING:
            self.advance(event)
        else:
            self._happen(event)

    def run(self, until: float | simpy.Event | None = None) -> Any:
        """Run until the heap is empty, or until an instant; entries due exactly then are not processed.

        This is :meth:`step` in a loop, inlined, and a process that goes to sleep is exchanged for the next
        one due in a single heap operation: a simulation spends its time in this loop. Both loops are endless,
        because CPython 3.11 specialises a running function's code only at unconditional backward jumps; with
        conditions, runs take a third longer until the eighth.
        """
        if isinstance(until, simpy.Event):
            raise TypeError("a Clock runs until an instant; wait for an event inside a process")
        if until is not None:
            self.stop(until)
        queue, sequence = self._queue, self._eid
        try:
            while True:
                if not queue:
                    break
                self._now, _, _, event = heappop(queue)
                while True:
                    if event.__class__ is not Life or event._value is not PENDING:
                        self._happen(event)
                        break
                    if (news := event._news) is not None:
                        event._news = None
                    try:
                        step = event._go_on(news)
                    except StopIteration as end:
                        event._end(end.value)
                        break
                    except Exception as error:  # as in advance()
                        event._fail(error)
                        break
                    if step.__class__ is not float:
                        self._wait(event, step)
                        break
                    if step < self._now:  # the verb had ended before it was waited for
                        step = self._now
                    self._now, _, _, event = heappushpop(queue, (step, NORMAL, next(sequence), event))
        except StopSimulation:
            pass
        return None

    def run_to_pause(self) -> Pause | None:
        """Run until a process pauses for an answer from outside; return None if the heap is empty.

        The run stops after the event that led to the pause, before anything else happens, and continues from
        exactly there (:meth:`resume`). If one event resumes several processes, those that do not pause take
        their step first.
        """
        try:
            while (pause := self._pause()) is None:
                if not self._queue:
                    return None
                self.step()
        except StopSimulation:
            return None
        return pause

    def _pause(self) -> Pause | None:
        """Return the pause to be answered first."""
        while self._paused:
            life, pause = self._paused[0]
            if life._value is PENDING:
                return pause
            self._paused.popleft()  # interrupted meanwhile: the process continues in another object
        return None

    def resume(self, answer: Any) -> None:
        """Resume the paused process with an answer."""
        life, _ = self._paused.popleft()
        life._news = answer
        self.advance(life)
