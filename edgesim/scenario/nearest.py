"""What the user may have meant: the nearest known name."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = ["suggest"]

N_LISTED = 12


def suggest(name: object, known: Iterable[str]) -> str:
    """Say which known name is nearest, or list the known ones: ``did you mean 'edge'?``."""
    names = list(known)
    folded = {candidate.casefold(): candidate for candidate in names}
    near = difflib.get_close_matches(str(name).casefold(), folded, n=1)
    if near:
        return f"did you mean '{folded[near[0]]}'?"
    if not names:
        return "there are none"
    more = ", ..." if len(names) > N_LISTED else ""
    return f"known are {', '.join(names[:N_LISTED])}{more}"
