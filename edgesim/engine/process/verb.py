"""What a verb of the cluster returns, and how a verb ends in vain."""

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
    "heard",
]

Verb = Iterable[Step] | Generator[Step, Any, Any]
"""What a verb returns, for ``yield from``."""

DONE: tuple[Step, ...] = ()
"""The verb that has nothing to wait for."""


class RequestFailed(Exception):  # noqa: N818  # an outcome on its way to the engine, not an error
    """A request has failed; the message is the reason that goes into the trace."""


class WorkLost(RequestFailed):
    """Something that a request needs is lost, and it may be served again: the scenario's ``retry`` does."""


class DeviceDown(WorkLost):
    """A device is down, or has died with work, a message or a cache of this request on it.

    Attributes
    ----------
    device
        Which.
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


def heard(event: simpy.Event) -> Course:
    """Wait for an event, as a verb; its value is the verb's."""
    return (yield event)


def begun(course: Course) -> Course:
    """A process as a verb that has begun: its first step is taken now, the others while it is waited for."""
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
            except Exception as error:  # on its way to the process that waited
                step = course.throw(error)
            else:
                step = course.send(news)
    except StopIteration as end:
        return end.value


def _over(value: Any) -> Course:
    """A process that has ended already."""
    return value
    yield


def all_of(clock: Clock, verbs: Iterable[Verb]) -> Verb:
    """Wait for several verbs, all of them begun; their values in order, or the first failure at once."""
    courses = [_course(verb) for verb in verbs]
    values: list[Any] = [None] * len(courses)
    settled = clock.event()
    settled.defused = True  # it reaches what waits for it, now or later
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
    return heard(settled)


def _course(verb: Verb) -> Course:
    """A verb as a process of its own.

    Not ``yield from``, which closes the verb when this is closed: in a run that ended halfway, the garbage
    collector may come here because it is closing the verb, which cannot be done twice at once.
    """
    steps = iter(verb)
    try:
        step = next(steps)
        while True:
            try:
                news = yield step
            except Exception as error:  # on its way to the process that waited
                if not isinstance(steps, Generator):
                    raise
                step = steps.throw(error)
            else:
                step = steps.send(news) if isinstance(steps, Generator) else next(steps)
    except StopIteration as end:
        return end.value
