"""Moves: transitions between whereabouts of a request's data by one verb; each is checked once."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import Any

from edgesim.engine.causality.data_locations import Whereabouts
from edgesim.engine.causality.needs import Effect
from edgesim.model.architecture import Slice

__all__ = ["ATTENDED", "UNBEGUN", "Immediate", "Move"]


class Move:
    """A verb that satisfies causality, and the moves cached as its successors.

    Successors are cached under keys that the verb has at hand: the part of a pass, the receiver of a message,
    ...

    Attributes
    ----------
    there
        Whereabouts of the data when the verb has ended.
    meanwhile
        Whereabouts while it is under way.
    effect
        Effect of the verb; None if none.
    name, arguments
        The verb as it was called, without the request.
    size_bytes
        For a message, the size for which it was checked; negative if that is the request's own size.
    known
        Successors by key.
    after, opens, sends
        Successors that a verb can book directly: passes of the token in hand and of the next one, by device,
        and messages over one hop, by receiver.
    lags
        By device that may emit tokens: how many tokens its newest one is before the one in hand.
    device, has_cache
        For a pass, where it runs and whether the request must have a cache there; for a message, its sender.
    place
        The dictionary of directly bookable successors to which this move belongs; None for none.
    part, host, price, hop
        For a pass on an unshared device, and for a message over one hop: what they are booked with.
    service_s
        For a message over a hop of a constant rate: its transmission time [s]; else None.
    kept, kept_next
        The latest passes for which the station was reserved after this move, of the token in hand and of the
        next.
    then
        If the station is reserved: the pass for which it is.
    leaves
        Successors after an early exit of the token in hand, by the number of blocks passed and whether all
        later tokens exit there.
    n_along
        For a pass, the number of earlier positions that it includes because they exited early.
    """

    __slots__ = (
        "after",
        "arguments",
        "device",
        "effect",
        "has_cache",
        "hop",
        "host",
        "kept",
        "kept_next",
        "known",
        "lags",
        "leaves",
        "meanwhile",
        "n_along",
        "name",
        "opens",
        "part",
        "place",
        "price",
        "sends",
        "service_s",
        "size_bytes",
        "then",
        "there",
    )

    def __init__(
        self,
        there: Whereabouts,
        lags: dict[str, int],
        name: str = "",
        arguments: tuple[object, ...] = (),
        device: str = "",
        meanwhile: Whereabouts | None = None,
        effect: Effect | None = None,
    ) -> None:
        self.there, self.lags = there, lags
        self.name, self.arguments, self.device, self.effect = name, arguments, device, effect
        self.meanwhile = there if meanwhile is None else meanwhile
        self.size_bytes, self.has_cache, self.n_along = -1.0, False, 0
        self.host: Any = None
        self.price: Any = None
        self.hop: Any = None
        self.service_s: float | None = None
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
        """Return a verb that leads here; it shares its successors with this move."""
        move = Move(self.there, self.lags, name, arguments, device, meanwhile, effect)
        move.known, move.leaves = self.known, self.leaves
        move.after, move.opens, move.sends = self.after, self.opens, self.sends
        return move

    def keeping(self) -> Move:
        """Return the same move with the station reserved: without other successors."""
        return Move(
            self.there, self.lags, self.name, self.arguments, self.device, self.meanwhile, self.effect
        )

    def forget(self) -> list[Move]:
        """Clear and return the successors, whose references to one another form cycles."""
        single = (self.then, self.kept, self.kept_next)
        following = [move for move in single if move is not None]
        for known in (self.known, self.after, self.opens, self.sends, self.leaves):
            following += known.values()
            known.clear()
        self.then = self.kept = self.kept_next = self.place = None
        return following


class Immediate:
    """A verb with nothing to wait for, which records that it was waited for.

    Attributes
    ----------
    call
        How it was called; for ``emit``, the token.
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
"""Move of a request with no verb so far, or with several under way: no successor is known."""
