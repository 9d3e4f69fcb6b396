"""Parts of the model, as compute spans name them."""

from __future__ import annotations

import re

from edgesim.model.architecture import Slice

__all__ = ["FILL", "SHARD", "part_of"]

SHARD = "shard of "
"""Begins the name of what the members of a group but its root hold; the root's name stands for all of it."""

FILL = "keys and values of "
"""Begins the name of what leaves earlier tokens' keys and values in a part, and takes nothing through it."""

_PART = re.compile(r"(embedding)?\+?(\d{1,9}(-\d{1,9})?)?\+?(head)?")


def part_of(via: str | None, n_blocks: int | None) -> Slice | None:
    """The part that a name stands for; None if no model of so many blocks (None: of any) has such a part."""
    name = (via or "").removeprefix(SHARD).removeprefix(FILL)
    if not _PART.fullmatch(name):
        return None
    try:
        part = Slice.parse(name)
    except ValueError:  # its last block comes before its first
        return None
    is_within = n_blocks is None or part.last <= n_blocks
    return part if is_within and str(part) == name else None
