"""What a verb of the cluster returns, and how a verb ends in vain."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from functools import partial
from typing import Any

import simpy

from edgesim.engine.clock import Clock, Course, Life, Step

__all__ = ["DONE", "RequestFailed", "Verb", "all_of", "heard"]

Verb = Iterable[Step] | Generator[Step, Any, Any]
"""What a verb returns, for ``yield from``."""

DONE: tuple[Step, ...] = ()
"""The verb that has nothing to wait for."""


class RequestFailed(Exception):  # noqa: N818  # an outcome on its way to the engine, not an error
    """A request has failed; the message is the reason that goes into the trace."""


def heard(event: simpy.Event) -> Course:
    """Wait for an event, as a verb; its value is the verb's."""
    return (yield event)


def all_of(clock: Clock, verbs: Iterable[Verb]) -> Verb:
    """Wait for several verbs, all of them begun; their values in order, or the first failure at once."""
    courses = [_course(verb) for verb in verbs]
    values: list[Any] = [None] * len(courses)
    settled = clock.event()
    settled.defused = True  # it reaches whoever waits, now or later
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
    """A verb as a process of its own."""
    return (yield from verb)
