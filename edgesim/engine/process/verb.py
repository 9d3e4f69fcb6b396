"""Return values of the cluster's verbs, and the exceptions that end them."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from functools import partial
from typing import Any

import simpy

from edgesim.engine.process.clock import Clock, Course, Life, Step

__all__ = [
    "DONE",
    "DeviceDown",
    "MessageLost",
    "RequestFailed",
    "Verb",
    "WorkLost",
    "all_of",
    "begun",
    "wait_for",
]

Verb = Iterable[Step] | Generator[Step, Any, Any]
"""Return type of a verb, for ``yield from``."""

DONE: tuple[Step, ...] = ()
"""A verb with nothing to wait for."""


class RequestFailed(Exception):  # noqa: N818  # an outcome passed to the engine, not an error
    """A request has failed; the message is the reason recorded in the trace."""


class WorkLost(RequestFailed):
    """Work or data of a request are lost; the scenario's ``retry`` policy may serve the request again."""


class DeviceDown(WorkLost):
    """A device is down, or has failed with work, a message or a cache of this request on it.

    Attributes
    ----------
    device
        Id of the device.
    """

    def __init__(self, device: str, cause: str = "") -> None:
        super().__init__(f"device down: {device}" + (f" ({cause})" if cause else ""))
        self.device = device


class MessageLost(WorkLost):
    """A message has not reached the other end of a link.

    Attributes
    ----------
    via
        The link's name: its two ends, in alphabetical order.
    """

    def __init__(self, via: str, cause: str = "") -> None:
        super().__init__(f"message lost: {via}" + (f" ({cause})" if cause else ""))
        self.via = via


def wait_for(event: simpy.Event) -> Course:
    """Wait for an event, as a verb; return the event's value."""
    return (yield event)


def begun(course: Course) -> Course:
    """Start a process as a verb: take its first step now, the others while it is waited for."""
    try:
        step = next(course)
    except StopIteration as end:
        return _over(end.value)
    return _go_on(step, course)


def _go_on(step: Step, course: Course) -> Course:
    try:
        while True:
            try:
                news = yield step
            except Exception as error:  # passed on to the process that waited
                step = course.throw(error)
            else:
                step = course.send(news)
    except StopIteration as end:
        return end.value


def _over(value: Any) -> Course:
    """A process that has already ended."""
    return value
    yield


def all_of(clock: Clock, verbs: Iterable[Verb]) -> Verb:
    """Wait for several verbs, all begun; return their values in order, or raise the first failure at once."""
    courses = [_course(verb) for verb in verbs]
    values: list[Any] = [None] * len(courses)
    settled = clock.event()
    settled.defused = True  # the failure is raised in the waiting process, now or later
    left = set(range(len(courses)))

    def end(number: int, value: Any) -> None:
        values[number] = value
        left.discard(number)
        if not left and not settled.triggered:
            settled.succeed(values)

    def fail(error: Exception) -> bool:
        if not settled.triggered:
            settled.fail(error)
        return True

    for number, course in enumerate(courses):
        Life(clock, course, on_end=partial(end, number), on_error=fail)
    if not courses:
        settled.succeed(values)
    return wait_for(settled)


def _course(verb: Verb) -> Course:
    """Run a verb as a separate process.

    Not with ``yield from``, which closes the verb when this process is closed: in a run that ended halfway,
    the garbage collector may close this process while it closes the verb, and a generator cannot be closed
    twice at once.
    """
    steps = iter(verb)
    try:
        step = next(steps)
        while True:
            try:
                news = yield step
            except Exception as error:  # passed on to the process that waited
                if not isinstance(steps, Generator):
                    raise
                step = steps.throw(error)
            else:
                step = steps.send(news) if isinstance(steps, Generator) else next(steps)
    except StopIteration as end:
        return end.value
