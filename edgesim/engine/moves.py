"""Moves: from where a request's data lie, by one verb, to where they lie then; each examined once."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import Any

from edgesim.engine.causality import Effect
from edgesim.engine.whereabouts import Whereabouts

__all__ = ["ATTENDED", "UNBEGUN", "Move"]


class Move:
    """A lawful verb, and what may lawfully follow it.

    What may follow is known by what the verb finds anyway: the price of a pass, the hop of a message, ...

    Attributes
    ----------
    there
        Where the data lie when the verb has ended.
    meanwhile
        Where they lie while it is under way.
    effect
        What it leaves; None if nothing.
    name, arguments
        The verb as it was called, but for the request.
    size_bytes
        Of a message, the size for which it was examined; negative where a request's own says that.
    after
        Moves that may follow: passes of the token in hand, messages, sums.
    opens
        Passes that may follow, of the next token.
    tells
        By device from which tokens may leave: how far the first of them may be behind the one in hand.
    keeps
        Passes for which the station may be kept.
    leaves
        Where the data lie once the token in hand may leave, by the number of blocks after which.
    """

    __slots__ = (
        "after",
        "arguments",
        "effect",
        "keeps",
        "leaves",
        "meanwhile",
        "name",
        "opens",
        "size_bytes",
        "tells",
        "there",
    )

    def __init__(self, there: Whereabouts, tells: dict[str, int]) -> None:
        self.there = self.meanwhile = there
        self.tells = tells
        self.effect: Effect | None = None
        self.name = ""
        self.arguments: tuple[object, ...] = ()
        self.size_bytes = -1.0
        self.after: dict[Hashable, Move] = {}
        self.opens: dict[Hashable, Move] = {}
        self.keeps: set[Hashable] = set()
        self.leaves: dict[int, Move] = {}

    def led_by(
        self, name: str, arguments: tuple[object, ...], meanwhile: Whereabouts, effect: Effect | None
    ) -> Move:
        """A verb that leads here, after which may follow what may follow here anyway."""
        move = Move.__new__(Move)
        move.there, move.tells, move.after, move.opens = self.there, self.tells, self.after, self.opens
        move.keeps, move.leaves = self.keeps, self.leaves
        move.name, move.arguments, move.meanwhile, move.effect = name, arguments, meanwhile, effect
        move.size_bytes = -1.0
        return move


UNBEGUN = Move(Whereabouts(), {})
"""Of a request that nothing has been done for, or of which several verbs are under way: nothing is known."""

ATTENDED: Iterator[Any] = iter(())
"""A verb that was waited for, and has ended."""
