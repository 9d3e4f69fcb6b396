"""Whereabouts of one request's data: prompt, token ids, hidden states and KV caches, by device.

The data are recorded relative to the pass in hand: the ids of that pass's token and of the one before, hidden
states of that pass by the number of blocks passed, and for every block whether a device has the keys and
values of all earlier tokens. So the same point in the life of any request, and in the decoding of any token,
is the same value, and its possible successors are computed once (:mod:`edgesim.engine.ledger`).

Blocks and levels are bits of integers: bit b of ``whole`` is block b, bit l of ``levels`` is the hidden state
after l blocks, where 0 is the embedding's.

Positions of tokens that exited early are missing in later blocks; they are recorded separately
(:mod:`edgesim.engine.causality.skipped_positions`). Of the other positions, a device has all of a block or
none.

Not modelled: which of these others are missing if some are, and the pass of hidden states that are older than
the pass before the one in hand.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum
from typing import NamedTuple

from edgesim.engine.causality.skipped_positions import Waiting, forward, joined, taken_along
from edgesim.model.architecture import Slice

__all__ = ["Contents", "Ids", "Place", "Whereabouts", "blocks_of", "complete"]


class Ids(IntEnum):
    """The newest token id on a device, relative to the pass in hand; a device also has all older ids."""

    NONE = 0
    OLDER = 1
    BEFORE = 2
    """Of the token before that in hand: needed by the embedding."""
    NOW = 3
    """Of the token in hand: its head has computed it."""

    def after(self, n_tokens: int) -> Ids:
        """Return the same id relative to the pass a number of tokens later."""
        return self if self <= Ids.OLDER else Ids(max(Ids.OLDER, self - n_tokens))


class Place(NamedTuple):
    """The data of a request on one device."""

    has_prompt: bool = False
    ids: Ids = Ids.NONE
    levels: int = 0
    parts: int = 0
    """Levels at which its hidden state is a shard's part, to be summed with the others'."""
    whole: int = 0
    """Blocks whose cache it has at all positions before the pass in hand."""
    now: int = 0
    """Blocks whose cache it has at the positions of the pass in hand."""
    former: int = 0
    """Levels of hidden states that it has of the pass before the one in hand, for late passes."""
    older: int = 0
    """Levels of hidden states that it has had of any pass before the one in hand."""
    exit: int = 0
    """Number of blocks after which an exit's head has computed an id here; 0 for none."""


class Contents(NamedTuple):
    """The data in a message."""

    has_prompt: bool = False
    ids: Ids = Ids.NONE
    levels: int = 0
    parts: int = 0
    whole: int = 0
    now: int = 0
    former: int = 0
    older: int = 0
    cache: int = 0
    """Blocks whose cache is complete, including the positions of the pass in hand."""
    waiting_of: str = ""
    """The sender, if hidden states of tokens that exited early are included; else empty."""


class Whereabouts(NamedTuple):
    """The data of a request on all devices; the prompt at its source is implied."""

    places: tuple[tuple[str, Place], ...] = ()
    made: int = 0
    """Blocks that tokens before the pass in hand have passed, on any device."""
    now: int = 0
    """Blocks that the pass in hand has passed, on any device."""
    left: int = 0
    """Number of blocks after which the token in hand exits; 0 while it must pass them all."""
    is_afresh: bool = False
    """Whether the pass in hand recomputes all earlier positions."""
    is_long: bool = False
    """Whether the pass in hand has more than one token."""
    is_short: bool = False
    """Whether the pass in hand ends before the last position that its token needs; no head answers it."""
    waiting: Waiting = ()
    """Tokens that exited early, oldest first, whose positions later blocks lack."""
    path: int = 0
    """Number of blocks after which all tokens exit; 0 if they may exit at different blocks."""

    def at(self, device: str) -> Place:
        """Return the data on a device."""
        return dict(self.places).get(device, _NOTHING)

    def put(self, device: str, place: Place) -> Whereabouts:
        """Return the whereabouts with one device's data replaced."""
        places = dict(self.places)
        places[device] = place
        return self._replace(places=_in_order(places.items()))

    def without(self, device: str) -> Whereabouts:
        """Return the whereabouts without any data on a device."""
        waiting = tuple(one.without(device) for one in self.waiting)
        places = _in_order(pair for pair in self.places if pair[0] != device)
        return self._replace(places=places, waiting=waiting)

    def opened(
        self,
        n_tokens: int,
        left: int,
        *,
        is_afresh: bool,
        is_long: bool,
        is_short: bool = False,
        n_blocks: int = 0,
        n_before: int = 0,
        n_dropped: int = 0,
    ) -> Whereabouts:
        """Return the whereabouts when the next pass begins, whose token is `n_tokens` later.

        Parameters
        ----------
        n_blocks
            Number of blocks of the model; 0 where it does not matter.
        n_before
            Positions of the pass in hand so far, which may have exited early.
        n_dropped
            Number of the newest positions that the next pass computes again.
        """
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
            waiting=() if is_afresh else self._waiting_next(n_before, n_dropped, n_blocks),
            path=0 if is_afresh else self.path,
        )

    def _waiting_next(self, n_before: int, n_dropped: int, n_blocks: int) -> Waiting:
        """Return the skipped positions, including the token in hand if it has gone no further."""
        if not self.left or self.path:
            return joined(self.waiting, n_before, None, (), n_dropped)
        # The token may have continued beyond the exit that answered it; count the blocks passed without a
        # gap.
        passed = max(self.left, (~self.now & (self.now + 1)).bit_length() - 1)
        if 0 < n_blocks <= passed:
            return joined(self.waiting, n_before, None, (), n_dropped)
        devices = tuple(device for device, place in self.places if place.levels >> passed & 1)
        return joined(self.waiting, n_before, passed, devices, n_dropped)

    def caught_up(self, device: str, part: Slice, n_blocks: int) -> Whereabouts:
        """Return the whereabouts after the skipped positions before a part have passed it with the token."""
        waiting = taken_along(self.waiting, part, device, n_blocks)
        return self._alone_whole(device, part)._replace(waiting=waiting)

    def filled(self, device: str, part: Slice, n_blocks: int) -> Whereabouts:
        """Return the whereabouts after the missing keys and values in a part were computed on a device."""
        waiting, blocks = forward(self.waiting, part, n_blocks), blocks_of(part)
        place = self.at(device)
        there = self.put(device, place._replace(whole=place.whole | (blocks & ~self.made)))
        return there._alone_whole(device, part)._replace(waiting=waiting, made=self.made | blocks)

    def _alone_whole(self, device: str, part: Slice) -> Whereabouts:
        """Return the whereabouts if no other device has all positions of a part's blocks."""
        blocks, places = blocks_of(part), []
        for other, place in self.places:
            kept = place if other == device else place._replace(whole=place.whole & ~blocks)
            places.append((other, kept))
        return self._replace(places=_in_order(places))

    def passed(self, device: str, part: Slice, level: int, n_blocks: int, *, is_part: bool) -> Whereabouts:
        """Return the whereabouts after a part of the model has been computed, up to `level` blocks."""
        place, blocks = self.at(device), blocks_of(part)
        asks = part.head and level > 0 and not self.is_short
        answers = asks and level in (n_blocks, self.left)
        parts = place.parts
        if blocks or part.embedding:  # a bare head produces no hidden state
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
        """Return the whereabouts after a pass before the one in hand has been computed."""
        place, blocks = self.at(device), blocks_of(part)
        place = place._replace(
            whole=place.whole | blocks,
            ids=max(place.ids, ids),
            former=place.former | 1 << level,
            older=place.older | 1 << level,
        )
        return self.put(device, place)._replace(made=self.made | blocks)

    def arrived(self, device: str, contents: Contents) -> Whereabouts:
        """Return the whereabouts after a message has arrived."""
        place = self.at(device)
        levels = place.levels | contents.levels
        # Parts that are combined are assumed to be summed: a strategy may sum by messages of its own.
        parts = (place.parts & ~contents.levels) | (contents.parts & ~place.levels)
        there = self
        if contents.waiting_of:
            sender, deepest = contents.waiting_of, contents.levels.bit_length() - 1
            there = self._replace(waiting=tuple(one.sent(sender, device, deepest) for one in self.waiting))
        return there.put(
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
        """Return the whereabouts after members have summed their deepest hidden states."""
        there = self
        for device in members:
            place = there.at(device)
            summed = 1 << max(0, place.levels.bit_length() - 1)
            there = there.put(device, place._replace(parts=place.parts & ~summed))
        return there

    def leaving(self, level: int, *, keeps: bool = False) -> Whereabouts:
        """Return the whereabouts when the token in hand exits after `level` blocks, with that exit's id.

        Parameters
        ----------
        keeps
            Whether all later tokens exit there, too.
        """
        there = self._replace(left=level, path=level if keeps else self.path)
        for device, place in self.places:
            if place.exit == level:
                there = there.put(device, place._replace(ids=Ids.NOW, exit=0))
        return there


_NOTHING = Place()


def blocks_of(part: Slice) -> int:
    """Return the blocks of a part, as bits."""
    return (1 << part.last) - (1 << part.first)


def complete(there: Whereabouts, place: Place) -> int:
    """Return the blocks whose cache a device has at every position computed so far."""
    earlier = place.now if there.is_afresh else place.whole | ~there.made
    return (place.now & earlier) | (place.whole & ~there.now)


def _in_order(places: Iterable[tuple[str, Place]]) -> tuple[tuple[str, Place], ...]:
    return tuple(sorted(pair for pair in places if pair[1] != _NOTHING))
