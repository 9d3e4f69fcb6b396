"""A verb that was begun: how it was called, and whether it is waited for."""

from __future__ import annotations

import math
from sys import getrefcount
from typing import Any, NamedTuple

from edgesim.engine.causality.moves import Immediate, Move
from edgesim.engine.causality.needs import Effect
from edgesim.engine.token import Token

__all__ = ["INSTANT", "Begun", "Call"]


INSTANT = -math.inf
"""End of a verb that takes no time: the clock cannot show whether it was waited for."""


class Call(NamedTuple):
    """A verb as it was called, for messages."""

    verb: str
    arguments: tuple[object, ...]
    request: int | None = None

    def __str__(self) -> str:
        own = [] if self.request is None else [f"request {self.request}"]
        return f"{self.verb}({', '.join([*own, *map(_written, self.arguments)])})"


class Begun:
    """A verb that is under way, or has not been waited for yet.

    Attributes
    ----------
    call
        How the verb was called.
    verb
        Iterator that shows whether the verb is waited for.
    until_s
        When it ends; None if not known in advance, :data:`INSTANT` if it takes no time.
    effect, token
        Its effect when it ends, and the pass in hand when it was begun.
    move
        The move that results if nothing else happens meanwhile.
    is_over
        Whether it has ended and its effect has been applied.
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
        """Whether the verb is, or was, waited for."""
        if isinstance(self.verb, Immediate):
            return self.verb.is_attended
        return self._is_attended if self.until_s is None else not self.verb.__length_hint__()

    def has_ended(self, now_s: float) -> bool:
        """Whether the verb has ended; if it takes no time, whether it was waited for."""
        if self.until_s is None:
            return self.is_over
        return self.is_attended if self.until_s == INSTANT else self.until_s <= now_s

    def is_dropped(self) -> bool:
        """Whether the verb is not waited for and can no longer be."""
        return not self.is_attended and getrefcount(self.verb) <= 2

    def attend(self) -> None:
        """Record that the verb is waited for."""
        self._is_attended = True


def _written(argument: object) -> str:
    if isinstance(argument, Token):
        return f"token {argument.index}"
    return repr(argument) if isinstance(argument, str) else str(argument)
