"""Names of model parts in compute spans."""

from __future__ import annotations

import re

from edgesim.model.architecture import Slice

__all__ = ["FILL", "SHARD", "part_of"]

SHARD = "shard of "
"""Prefix in the spans of a group's members other than the root; the root's span names the whole part."""

FILL = "keys and values of "
"""Prefix in spans that only compute a part's keys and values for earlier tokens, without an output."""

_PART = re.compile(r"(embedding)?\+?(\d{1,9}(-\d{1,9})?)?\+?(head)?")


def part_of(via: str | None, n_blocks: int | None) -> Slice | None:
    """Parse a part's name; return None if no model with `n_blocks` (None: any number) has such a part."""
    name = (via or "").removeprefix(SHARD).removeprefix(FILL)
    if not _PART.fullmatch(name):
        return None
    try:
        part = Slice.parse(name)
    except ValueError:  # its last block is before its first
        return None
    is_within = n_blocks is None or part.last <= n_blocks
    return part if is_within and str(part) == name else None
