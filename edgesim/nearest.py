"""What the user may have meant: the nearest known name."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = ["nearest", "suggest"]

N_LISTED = 12
_MOST_CHARS = 100


def nearest(name: object, known: Iterable[str]) -> str | None:
    """Find the known name that is nearest, if any comes near."""
    folded = {candidate.casefold(): candidate for candidate in known}
    # What is compared takes time with the square of its length, and no name is so long.
    near = difflib.get_close_matches(str(name)[:_MOST_CHARS].casefold(), folded, n=1)
    return folded[near[0]] if near else None


def suggest(name: object, known: Iterable[str]) -> str:
    """Say which known name is nearest, or list the known ones: ``did you mean 'edge'?``."""
    names = list(known)
    near = nearest(name, names)
    if near is not None:
        return f"did you mean '{near}'?"
    if not names:
        return "there are none"
    more = ", ..." if len(names) > N_LISTED else ""
    return f"known are {', '.join(names[:N_LISTED])}{more}"
