"""Verbs that were begun: which of them are waited for, and which never will be.

What a verb returns is an iterator that tells whether it has been gone through. One that has not, and that
only the book-keeper still holds, was called as a statement, without ``yield from``. (That is read from the
count of references in CPython; elsewhere it comes to light when the request, or the run, ends.)
"""

from __future__ import annotations

import math
from sys import getrefcount
from typing import Any, NamedTuple

from edgesim.engine.causality import Effect
from edgesim.engine.clock import Course
from edgesim.engine.moves import Move, Told
from edgesim.engine.request import LiveRequest, Token
from edgesim.engine.verb import Verb
from edgesim.errors import ContractError

__all__ = ["INSTANT", "Attendance", "Begun", "Call", "is_dropped", "unattended"]

INSTANT = -math.inf
"""End of a verb that takes no time: whether it was waited for, the clock does not tell."""


class Call(NamedTuple):
    """A verb as it was called, for messages."""

    verb: str
    arguments: tuple[object, ...]
    request: int | None = None

    def __str__(self) -> str:
        own = [] if self.request is None else [f"request {self.request}"]
        return f"{self.verb}({', '.join([*own, *map(_written, self.arguments)])})"


class Begun:
    """A verb that is under way, or waits to be waited for.

    Attributes
    ----------
    call
        How it was called.
    verb
        What tells whether it is waited for.
    until_s
        When it ends; None where only itself will know, :data:`INSTANT` where it takes no time.
    effect, token
        What it leaves when it ends, and the pass in hand when it was begun.
    move
        Where that leads if nothing else happens meanwhile.
    is_over
        Whether it has ended and left its effect.
    """

    __slots__ = ("_is_attended", "call", "effect", "is_over", "move", "token", "until_s", "verb")

    def __init__(
        self,
        call: Call,
        verb: Any = None,
        until_s: float | None = None,
        effect: Effect | None = None,
        token: Token | None = None,
        move: Move | None = None,
    ) -> None:
        self.call, self.verb, self.until_s = call, verb, until_s
        self.effect, self.token, self.move = effect, token, move
        self.is_over = self._is_attended = False

    @property
    def is_attended(self) -> bool:
        """Whether it is, or was, waited for."""
        if isinstance(self.verb, Told):
            return self.verb.is_attended
        return self._is_attended if self.until_s is None else not self.verb.__length_hint__()

    def has_ended(self, now_s: float) -> bool:
        """Whether it has ended; of one that takes no time, whether it was waited for."""
        if self.until_s is None:
            return self.is_over
        return self.is_attended if self.until_s == INSTANT else self.until_s <= now_s

    def is_dropped(self) -> bool:
        """Whether it is not waited for and never will be."""
        return not self.is_attended and getrefcount(self.verb) <= 2

    def attend(self) -> None:
        """Note that it is waited for."""
        self._is_attended = True


class Attendance:
    """Verbs that belong to no request: pauses, control traffic, and waits for several others.

    Attributes
    ----------
    strategy
        Whose verbs they are, for messages.
    """

    def __init__(self) -> None:
        self.strategy = "the strategy"
        self._begun: list[Begun] = []

    def note(self, call: Call, verb: Verb) -> Verb:
        """Have a verb looked after; what is to be waited for in its place."""
        self.check()
        begun = Begun(call, until_s=INSTANT)
        if not verb:
            begun.verb = Told()
            begun.verb.is_attended = False
        elif verb.__class__ is tuple:
            begun.verb = iter(verb)
        else:
            begun.until_s = None
            begun.verb = _attended(begun, verb)
        self._begun.append(begun)
        return begun.verb  # type: ignore[no-any-return]

    def check(self) -> None:
        """Raise ContractError for a verb that never will be waited for."""
        if self._begun:
            self._begun = [begun for begun in self._begun if not begun.is_attended]
            for begun in self._begun:
                if begun.is_dropped():
                    raise unattended(begun.call, self.strategy)

    def call_of(self, verb: object) -> Call | None:
        """How a verb was called; None if it is not one of these."""
        return next((begun.call for begun in self._begun if begun.verb is verb), None)


def _attended(begun: Begun, verb: Verb) -> Course:
    begun.attend()
    return (yield from verb)


def is_dropped(request: LiveRequest) -> bool:
    """Whether a request's latest verb is not waited for and never will be."""
    return bool(request.begun.__length_hint__()) and getrefcount(request.begun) <= 2


def unattended(call: Call, strategy: str) -> ContractError:
    """The error of a verb that was begun and never waited for."""
    return ContractError(
        f"{strategy}: a verb was begun and never waited for: {call}; write 'yield from' before it, or hand "
        "it to 'together'"
    )


def _written(argument: object) -> str:
    if isinstance(argument, Token):
        return f"token {argument.index}"
    return repr(argument) if isinstance(argument, str) else str(argument)
