"""Collective operations as rounds of messages: senders, receivers and sizes, round by round."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from edgesim.engine.process.clock import Course
from edgesim.engine.process.verb import DONE, Verb
from edgesim.errors import ContractError

__all__ = ["Messages", "all_reduce_rounds", "in_rounds"]

Messages = list[tuple[str, str, float]]
"""Messages of one round, sent concurrently: sender, receiver, size [bytes]."""


def all_reduce_rounds(group: Iterable[str], size_bytes: float, via: str) -> list[Messages]:
    """Return the rounds that sum a tensor over a group of devices.

    Parameters
    ----------
    size_bytes
        Size of the whole tensor, which every member stores before and after.
    via
        ``ring``: reduce-scatter and all-gather around the group, 2(N-1) rounds of size/N each (Patarasuk and
        Yuan 2009). ``star``: all members send to the first, which sends the sum back.
    """
    members = tuple(group)
    if via == "ring":
        share_bytes = size_bytes / len(members)
        ring = list(zip(members, (*members[1:], members[0]), strict=True))
        return [[(a, b, share_bytes) for a, b in ring]] * (2 * (len(members) - 1))
    if via == "star":
        root, *others = members
        return [
            [(other, root, size_bytes) for other in others],
            [(root, other, size_bytes) for other in others],
        ]
    raise ContractError(f"all_reduce: via={via!r} is not known; there are 'ring' and 'star'")


def in_rounds(rounds: list[Messages], begin: Callable[[Messages], Verb]) -> Verb:
    """Send round after round, the first one now; messages add no error, so the variance is 0."""

    def go_on(first: Verb) -> Course:
        yield from first
        for messages in rounds[1:]:
            yield from begin(messages)
        return 0.0

    return go_on(begin(rounds[0]) if rounds else DONE)
