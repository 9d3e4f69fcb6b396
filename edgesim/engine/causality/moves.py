"""Moves: from where a request's data lie, by one verb, to where they lie then; each examined once."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import Any

from edgesim.engine.causality.needs import Effect
from edgesim.engine.causality.whereabouts import Whereabouts
from edgesim.model.architecture import Slice

__all__ = ["ATTENDED", "UNBEGUN", "Immediate", "Move"]


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
    known
        Moves that may follow, by what they do.
    after, opens, sends
        Those of them that a verb can book at once: passes of the token in hand and of the next one, by
        device, and messages over one hop, by receiver.
    tells
        By device from which tokens may leave: how far the first of them may be behind the one in hand.
    device, is_held
        Of a pass, where it runs and whether the request must hold a cache there; of a message, whence.
    place
        Among which of the former's moves this one can be booked at once; None for none.
    part, host, price, hop
        Of a pass on a device of its own, and of a message over one hop: what they are booked with.
    kept, kept_next
        The latest pass for which the station was kept then, of the token in hand and of the next: what may
        follow until it.
    then
        Where a station is kept: the pass for which it is.
    leaves
        Where the data lie once the token in hand may leave, by the number of blocks after which, and whether
        all later tokens are to leave there.
    n_along
        Of a pass, how many earlier positions it takes along that left early.
    """

    __slots__ = (
        "after",
        "arguments",
        "device",
        "effect",
        "hop",
        "host",
        "is_held",
        "kept",
        "kept_next",
        "known",
        "leaves",
        "meanwhile",
        "n_along",
        "name",
        "opens",
        "part",
        "place",
        "price",
        "sends",
        "size_bytes",
        "tells",
        "then",
        "there",
    )

    def __init__(
        self,
        there: Whereabouts,
        tells: dict[str, int],
        name: str = "",
        arguments: tuple[object, ...] = (),
        device: str = "",
        meanwhile: Whereabouts | None = None,
        effect: Effect | None = None,
    ) -> None:
        self.there, self.tells = there, tells
        self.name, self.arguments, self.device, self.effect = name, arguments, device, effect
        self.meanwhile = there if meanwhile is None else meanwhile
        self.size_bytes, self.is_held, self.n_along = -1.0, False, 0
        self.host: Any = None
        self.price: Any = None
        self.hop: Any = None
        self.part: Slice | None = None
        self.then: Move | None = None
        self.kept: Move | None = None
        self.kept_next: Move | None = None
        self.place: dict[str, Move] | None = None
        self.known: dict[Hashable, Move] = {}
        self.after: dict[str, Move] = {}
        self.opens: dict[str, Move] = {}
        self.sends: dict[str, Move] = {}
        self.leaves: dict[tuple[int, bool], Move] = {}

    def led_by(
        self,
        name: str,
        arguments: tuple[object, ...],
        device: str,
        meanwhile: Whereabouts,
        effect: Effect | None,
    ) -> Move:
        """A verb that leads here, after which may follow what may follow here anyway."""
        move = Move(self.there, self.tells, name, arguments, device, meanwhile, effect)
        move.known, move.leaves = self.known, self.leaves
        move.after, move.opens, move.sends = self.after, self.opens, self.sends
        return move

    def keeping(self) -> Move:
        """The same where the station is kept: no other pass is known to follow."""
        return Move(
            self.there, self.tells, self.name, self.arguments, self.device, self.meanwhile, self.effect
        )

    def forget(self) -> list[Move]:
        """Let go of what may follow, in which moves lead back to one another; returns that."""
        single = (self.then, self.kept, self.kept_next)
        following = [move for move in single if move is not None]
        for known in (self.known, self.after, self.opens, self.sends, self.leaves):
            following += known.values()
            known.clear()
        self.then = self.kept = self.kept_next = self.place = None
        return following


class Immediate:
    """A verb that has nothing to wait for, and notes that it was waited for all the same.

    Attributes
    ----------
    call
        How it was called: of ``emit``, the token.
    """

    __slots__ = ("call", "is_attended")

    def __init__(self) -> None:
        self.call: object = None
        self.is_attended = True

    def __iter__(self) -> Iterator[Any]:
        self.is_attended = True
        return ATTENDED


ATTENDED: Iterator[Any] = iter(())
"""A verb that was waited for, and has ended."""

UNBEGUN = Move(Whereabouts(), {})
"""Of a request that nothing has been done for, or of which several verbs are under way: nothing is known."""
