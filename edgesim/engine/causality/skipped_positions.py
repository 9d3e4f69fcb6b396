"""Positions of tokens that exited early: which blocks lack their keys and values, and where their states are.

Since a pass through a block needs the keys and values of all earlier positions there, any deeper pass first
fills those that older tokens lack. So the older a token, the more blocks have its keys and values, and a
block lacks only the newest positions before the pass in hand: their number is sufficient.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from edgesim.model.architecture import Slice

__all__ = ["SkippedPositions", "Waiting", "forward", "joined", "lacking", "states", "taken_along"]


class SkippedPositions(NamedTuple):
    """Adjacent positions that exited early and have been handled alike since."""

    n_positions: int
    level: int
    """Number of blocks that their hidden states have passed."""
    filled: int
    """Number of blocks that have their keys and values: `level`, or more if these were propagated."""
    devices: tuple[str, ...]
    """Devices that have their hidden states."""

    def without(self, device: str) -> SkippedPositions:
        """Return these positions without a device that has failed."""
        return self._replace(devices=tuple(one for one in self.devices if one != device))

    def sent(self, sender: str, receiver: str, deepest: int) -> SkippedPositions:
        """Return these positions after a message with the states that wait before a block, or earlier."""
        if sender not in self.devices or receiver in self.devices or (0 <= deepest < self.filled):
            return self
        return self._replace(devices=tuple(sorted({*self.devices, receiver})))


Waiting = tuple[SkippedPositions, ...]
"""Skipped positions from oldest to newest; the newest are just before the pass in hand."""


def lacking(waiting: Waiting, block: int) -> int:
    """Number of positions that a block lacks."""
    return sum(one.n_positions for one in waiting if one.filled <= block)


def states(waiting: Waiting, device: str, deepest: int) -> int:
    """Number of states on a device that wait before a block, or earlier; a negative block means all."""
    return sum(
        one.n_positions for one in waiting if device in one.devices and (deepest < 0 or one.filled <= deepest)
    )


def joined(
    waiting: Waiting, n_new: int, level: int | None, devices: tuple[str, ...], n_dropped: int
) -> Waiting:
    """Return the skipped positions after one more pass.

    Parameters
    ----------
    n_new
        Number of positions of the pass.
    level
        Number of blocks after which they exited; None if they pass all blocks.
    devices
        Devices that have their states.
    n_dropped
        Number of the newest positions that are computed again.
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
    """Return the skipped positions after those before a part have passed it on a device."""
    to = {"level": part.last, "filled": part.last, "devices": (device,)}
    return _moved(waiting, part, n_blocks, to)


def forward(waiting: Waiting, part: Slice, n_blocks: int) -> Waiting:
    """Return the skipped positions after those before a part have keys and values in it."""
    return _moved(waiting, part, n_blocks, {"filled": part.last})


def _moved(waiting: Waiting, part: Slice, n_blocks: int, to: Mapping[str, Any]) -> Waiting:
    moved = (one._replace(**to) if one.filled == part.first else one for one in waiting)
    return _merged(one for one in moved if one.filled < n_blocks)


def _merged(groups: Iterable[SkippedPositions]) -> Waiting:
    """Merge adjacent groups that have been handled alike."""
    found: list[SkippedPositions] = []
    for one in groups:
        if found and found[-1][1:] == one[1:]:
            one = one._replace(n_positions=found.pop().n_positions + one.n_positions)
        found.append(one)
    return tuple(found)
