"""Tokens that have left early: which blocks lack their keys and values, and where their states wait.

Since a pass through a block needs the keys and values of all earlier positions there, whatever goes deeper
fills first what older tokens lack. So the older a token, the more blocks have its keys and values, and what a
block lacks are the newest positions before the pass in hand: how many, says all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from edgesim.model.architecture import Slice

__all__ = ["SkippedPositions", "Waiting", "forward", "joined", "lacking", "states", "taken_along"]


class SkippedPositions(NamedTuple):
    """Neighbouring positions that have left early and gone the same way since."""

    n_positions: int
    level: int
    """Number of blocks that their hidden states have passed."""
    filled: int
    """Number of blocks that have their keys and values: as many, or more where these were propagated."""
    devices: tuple[str, ...]
    """Where their hidden states are."""

    def without(self, device: str) -> SkippedPositions:
        """The same where a device has failed."""
        return self._replace(devices=tuple(one for one in self.devices if one != device))

    def sent(self, sender: str, receiver: str, deepest: int) -> SkippedPositions:
        """The same after a message with the states that wait before a block, or earlier."""
        if sender not in self.devices or receiver in self.devices or (0 <= deepest < self.filled):
            return self
        return self._replace(devices=tuple(sorted({*self.devices, receiver})))


Waiting = tuple[SkippedPositions, ...]
"""From the oldest positions to the newest, which are those just before the pass in hand."""


def lacking(waiting: Waiting, block: int) -> int:
    """How many positions a block lacks."""
    return sum(one.n_positions for one in waiting if one.filled <= block)


def states(waiting: Waiting, device: str, deepest: int) -> int:
    """How many states are on a device that wait before a block, or earlier; a negative block: all."""
    return sum(
        one.n_positions for one in waiting if device in one.devices and (deepest < 0 or one.filled <= deepest)
    )


def joined(
    waiting: Waiting, n_new: int, level: int | None, devices: tuple[str, ...], n_dropped: int
) -> Waiting:
    """What waits after one more pass.

    Parameters
    ----------
    n_new
        Its positions.
    level
        After how many blocks they have left; None if they pass all.
    devices
        Where their states are.
    n_dropped
        Of the newest positions, how many are computed again.
    """
    if level is None:
        n_dropped = max(0, n_dropped - n_new)
    elif n_new:
        waiting = _merged((*waiting, SkippedPositions(n_new, level, level, devices)))
    while n_dropped and waiting:
        *older, newest = waiting
        n_left = newest.n_positions - n_dropped
        n_dropped = max(0, -n_left)
        waiting = (*older, newest._replace(n_positions=n_left)) if n_left > 0 else tuple(older)
    return waiting


def taken_along(waiting: Waiting, part: Slice, device: str, n_blocks: int) -> Waiting:
    """What waits after those before a part have passed it on a device."""
    to = {"level": part.last, "filled": part.last, "devices": (device,)}
    return _moved(waiting, part, n_blocks, to)


def forward(waiting: Waiting, part: Slice, n_blocks: int) -> Waiting:
    """What waits after those before a part have got keys and values in it."""
    return _moved(waiting, part, n_blocks, {"filled": part.last})


def _moved(waiting: Waiting, part: Slice, n_blocks: int, to: Mapping[str, Any]) -> Waiting:
    moved = (one._replace(**to) if one.filled == part.first else one for one in waiting)
    return _merged(one for one in moved if one.filled < n_blocks)


def _merged(groups: Iterable[SkippedPositions]) -> Waiting:
    """The same with neighbours that have gone the same way as one group."""
    found: list[SkippedPositions] = []
    for one in groups:
        if found and found[-1][1:] == one[1:]:
            one = one._replace(n_positions=found.pop().n_positions + one.n_positions)
        found.append(one)
    return tuple(found)
