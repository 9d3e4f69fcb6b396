"""Suggestions for misspelt names: the nearest known name."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = ["nearest", "suggest"]

N_LISTED = 12
_MOST_CHARS = 100


def nearest(name: object, known: Iterable[str]) -> str | None:
    """Return the known name most similar to `name`, ignoring case, or None if none is similar."""
    folded = {candidate.casefold(): candidate for candidate in known}
    # The comparison takes quadratic time, and no known name is longer.
    near = difflib.get_close_matches(str(name)[:_MOST_CHARS].casefold(), folded, n=1)
    return folded[near[0]] if near else None


def suggest(name: object, known: Iterable[str]) -> str:
    """Return a hint for a message: the nearest known name (``did you mean 'edge'?``), or a list of them."""
    names = list(known)
    near = nearest(name, names)
    if near is not None:
        return f"did you mean '{near}'?"
    if not names:
        return "there are none"
    more = ", ..." if len(names) > N_LISTED else ""
    return f"known are {', '.join(names[:N_LISTED])}{more}"
