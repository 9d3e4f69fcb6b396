"""Where the data of one request lies: prompt, token ids, hidden states and KV caches, by device.

A request's data are kept relative to its pass in hand: the ids of that pass's token and of the one before,
hidden states of that pass by the number of blocks they have gone through, and for every block whether a
device has the keys and values of all earlier tokens. So the same point in the life of any request, and in the
decoding of any token, is the same value, and what may follow it is worked out once
(:mod:`edgesim.engine.ledger`).

Blocks and levels are bits of integers: bit b of ``whole`` is block b, bit l of ``levels`` is the hidden state
after l blocks, of which 0 is the embedding's.

Not modelled: which positions of a cache are missing (a device has all that were computed, or not), and of
which pass hidden states are that are older than the pass before the one in hand.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum
from typing import NamedTuple

from edgesim.model.architecture import Slice

__all__ = ["Contents", "Ids", "Place", "Whereabouts", "blocks_of", "complete"]


class Ids(IntEnum):
    """The newest token id that a device knows, as seen from the pass in hand; it knows the older ones."""

    NONE = 0
    OLDER = 1
    BEFORE = 2
    """Of the token before that in hand: what the embedding needs."""
    NOW = 3
    """Of the token in hand: its head has answered."""

    def after(self, n_tokens: int) -> Ids:
        """The same id, so many tokens later."""
        return self if self <= Ids.OLDER else Ids(max(Ids.OLDER, self - n_tokens))


class Place(NamedTuple):
    """What one device has of a request."""

    has_prompt: bool = False
    ids: Ids = Ids.NONE
    levels: int = 0
    parts: int = 0
    """Levels of which its hidden state is a shard's part, that must be summed with the others'."""
    whole: int = 0
    """Blocks of whose cache it has all positions before the pass in hand."""
    now: int = 0
    """Blocks of whose cache it has the positions of the pass in hand."""
    former: int = 0
    """Levels of hidden states that it has of the pass before that in hand, for what comes late."""
    older: int = 0
    """Levels of hidden states that it has had of any pass before that in hand."""
    exit: int = 0
    """Number of blocks after which an exit's head has answered here; 0 for none."""


class Contents(NamedTuple):
    """What a message carries."""

    has_prompt: bool = False
    ids: Ids = Ids.NONE
    levels: int = 0
    parts: int = 0
    whole: int = 0
    now: int = 0
    former: int = 0
    older: int = 0
    cache: int = 0
    """Blocks of whose cache it has all positions, those of the pass in hand included."""


class Whereabouts(NamedTuple):
    """What all devices have of a request; that its source has the prompt goes without saying."""

    places: tuple[tuple[str, Place], ...] = ()
    made: int = 0
    """Blocks that tokens before the pass in hand have gone through, wherever."""
    now: int = 0
    """Blocks that the pass in hand has gone through, wherever."""
    left: int = 0
    """Number of blocks after which the token in hand may leave; 0 while it must pass them all."""
    is_afresh: bool = False
    """Whether the pass in hand computes all earlier positions anew."""
    is_long: bool = False
    """Whether more than one token goes through the pass in hand."""
    is_short: bool = False
    """Whether the pass in hand ends before the last position that its token needs; no head answers it."""
    has_skipped: bool = False
    """Whether a token has left early, so that later blocks lack its position."""

    def at(self, device: str) -> Place:
        """What a device has."""
        return dict(self.places).get(device, _NOTHING)

    def put(self, device: str, place: Place) -> Whereabouts:
        """The same but for one device."""
        places = dict(self.places)
        places[device] = place
        return self._replace(places=_in_order(places.items()))

    def without(self, device: str) -> Whereabouts:
        """The same without all that a device had."""
        return self._replace(places=_in_order(pair for pair in self.places if pair[0] != device))

    def opened(
        self, n_tokens: int, left: int, *, is_afresh: bool, is_long: bool, is_short: bool = False
    ) -> Whereabouts:
        """The same as the next pass begins, of a token so many further on."""
        places = []
        for device, place in self.places:
            before = place.now if self.is_afresh else (place.whole | ~self.made) & place.now
            whole = before | (place.whole & ~self.now)
            kept = Place(place.has_prompt, place.ids.after(n_tokens), whole=whole)
            places.append((device, kept._replace(former=place.levels, older=place.older | place.levels)))
        return Whereabouts(
            _in_order(places),
            self.made | self.now,
            0,
            left,
            is_afresh=is_afresh,
            is_long=is_long,
            is_short=is_short,
            has_skipped=self.has_skipped or bool(self.left) or bool(left),
        )

    def passed(self, device: str, part: Slice, level: int, n_blocks: int, *, is_part: bool) -> Whereabouts:
        """The same after a part of the model has been computed, to so many blocks' depth."""
        place, blocks = self.at(device), blocks_of(part)
        asks = part.head and level > 0 and not self.is_short
        answers = asks and level in (n_blocks, self.left)
        parts = place.parts
        if blocks or part.embedding:  # a bare head makes no hidden state
            parts = parts | 1 << level if is_part and blocks else parts & ~(1 << level)
        place = place._replace(
            levels=place.levels | 1 << level,
            parts=parts,
            now=place.now | blocks,
            ids=Ids.NOW if answers else place.ids,
            exit=level if asks and not answers else place.exit,
        )
        return self.put(device, place)._replace(now=self.now | blocks)

    def passed_late(self, device: str, part: Slice, level: int, ids: Ids) -> Whereabouts:
        """The same after a pass before the one in hand has been computed."""
        place, blocks = self.at(device), blocks_of(part)
        place = place._replace(
            whole=place.whole | blocks,
            ids=max(place.ids, ids),
            former=place.former | 1 << level,
            older=place.older | 1 << level,
        )
        return self.put(device, place)._replace(made=self.made | blocks)

    def arrived(self, device: str, contents: Contents) -> Whereabouts:
        """The same after a message has arrived."""
        place = self.at(device)
        levels = place.levels | contents.levels
        # Parts that come together are taken for their sum: a strategy may sum by messages of its own.
        parts = (place.parts & ~contents.levels) | (contents.parts & ~place.levels)
        return self.put(
            device,
            place._replace(
                has_prompt=place.has_prompt or contents.has_prompt,
                ids=max(place.ids, contents.ids),
                levels=levels,
                parts=parts,
                whole=place.whole | contents.whole,
                now=place.now | contents.now,
                former=place.former | contents.former,
                older=place.older | contents.older,
            ),
        )

    def summed(self, members: Iterable[str]) -> Whereabouts:
        """The same after members have summed their deepest hidden states."""
        there = self
        for device in members:
            place = there.at(device)
            summed = 1 << max(0, place.levels.bit_length() - 1)
            there = there.put(device, place._replace(parts=place.parts & ~summed))
        return there

    def leaving(self, level: int) -> Whereabouts:
        """The same once the token in hand may leave after so many blocks: exits' answers are its id."""
        there = self._replace(left=level)
        for device, place in self.places:
            if place.exit == level:
                there = there.put(device, place._replace(ids=Ids.NOW, exit=0))
        return there


_NOTHING = Place()


def blocks_of(part: Slice) -> int:
    """The blocks of a part, as bits."""
    return (1 << part.last) - (1 << part.first)


def complete(there: Whereabouts, place: Place) -> int:
    """Blocks of whose cache a device has every position that was computed."""
    earlier = place.now if there.is_afresh else place.whole | ~there.made
    return (place.now & earlier) | (place.whole & ~there.now)


def _in_order(places: Iterable[tuple[str, Place]]) -> tuple[tuple[str, Place], ...]:
    return tuple(sorted(pair for pair in places if pair[1] != _NOTHING))
