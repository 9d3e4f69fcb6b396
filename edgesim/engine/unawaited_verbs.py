"""Verbs that were begun: detect those that are never waited for.

A verb returns an iterator that shows whether it has been exhausted. One that has not, and to which only this
record still refers, was called as a statement, without ``yield from``. (This is determined from CPython's
reference count; on other implementations it is detected when the request or the run ends.)
"""

from __future__ import annotations

from sys import getrefcount

from edgesim.engine.causality.begun_verb import INSTANT, Begun, Call
from edgesim.engine.causality.moves import Immediate
from edgesim.engine.process.clock import Course
from edgesim.engine.process.verb import Verb
from edgesim.engine.request import LiveRequest
from edgesim.errors import ContractError

__all__ = ["Attendance", "is_dropped", "unattended"]


class Attendance:
    """Verbs that belong to no request: sleeps, control traffic, and waits for several others.

    Attributes
    ----------
    strategy
        Name of the strategy that calls the verbs, for messages.
    """

    def __init__(self) -> None:
        self.strategy = "the strategy"
        self._begun: list[Begun] = []

    def note(self, call: Call, verb: Verb) -> Verb:
        """Track a verb; return the verb to wait for in its place."""
        self.check()
        begun = Begun(call, until_s=INSTANT)
        if not verb:
            begun.verb = Immediate()
            begun.verb.is_attended = False
        elif verb.__class__ is tuple:
            begun.verb = iter(verb)
        else:
            begun.until_s = None
            begun.verb = _attended(begun, verb)
        self._begun.append(begun)
        return begun.verb  # type: ignore[no-any-return]

    def check(self) -> None:
        """Raise ContractError for a verb that can no longer be waited for."""
        if self._begun:
            self._begun = [begun for begun in self._begun if not begun.is_attended]
            for begun in self._begun:
                if begun.is_dropped():
                    raise unattended(begun.call, self.strategy)

    def call_of(self, verb: object) -> Call | None:
        """Return how a verb was called; None if it is not tracked here."""
        return next((begun.call for begun in self._begun if begun.verb is verb), None)


def _attended(begun: Begun, verb: Verb) -> Course:
    begun.attend()
    return (yield from verb)


def is_dropped(request: LiveRequest) -> bool:
    """Whether a request's latest verb is not waited for and can no longer be."""
    return bool(request.trail.begun.__length_hint__()) and getrefcount(request.trail.begun) <= 2


def unattended(call: Call, strategy: str) -> ContractError:
    """Return the error for a verb that was begun and never waited for."""
    return ContractError(
        f"{strategy}: a verb was begun and never waited for: {call}; write 'yield from' before it, or pass "
        "it to 'together'"
    )
