"""The trail of a request: the latest of its verbs, where its data lie, and what is under way."""

from __future__ import annotations

import math
from typing import Any

from edgesim.engine.causality.begun import Begun
from edgesim.engine.causality.moves import ATTENDED, UNBEGUN, Immediate, Move
from edgesim.engine.causality.whereabouts import Whereabouts
from edgesim.engine.token import Token
from edgesim.model.answers.exit_paths import CacheFill
from edgesim.model.architecture import Slice

__all__ = ["Trail"]


class Trail:
    """How far one attempt at a request has come: a new one has the prompt at the source, and nothing done.

    Attributes
    ----------
    move
        The latest verb, and where it leads.
    begun
        What that verb returned.
    until_s
        When it ends.
    in_hand
        The newest pass that was begun.
    immediate
        What the latest verb with nothing to wait for returned.
    under_way
        Verbs, where several are; None where `move` says it all.
    there
        Where the data lie, while several verbs are under way.
    kept
        Work for which a station is kept (device, part, pass), and until when.
    left
        By token, after how many blocks it has left.
    caches
        How later blocks get the keys and values of tokens that have left; None before the first has.
    gone
        Devices that have failed with data of this request.
    """

    __slots__ = (
        "begun",
        "caches",
        "gone",
        "immediate",
        "in_hand",
        "kept",
        "left",
        "move",
        "there",
        "under_way",
        "until_s",
    )

    def __init__(self) -> None:
        self.move: Move = UNBEGUN
        self.begun: Any = ATTENDED
        self.until_s = math.inf
        self.in_hand: Token | None = None
        self.immediate = Immediate()
        self.under_way: list[Begun] | None = None
        self.there: Whereabouts = UNBEGUN.there
        self.kept: tuple[str, Slice, Token, float] | None = None
        self.left: dict[int, int] = {}
        self.caches: CacheFill | None = None
        self.gone: set[str] = set()
