"""The trail of a request: its latest verb, the whereabouts of its data, and the verbs under way."""

from __future__ import annotations

import math
from typing import Any

from edgesim.engine.causality.begun_verb import Begun
from edgesim.engine.causality.data_locations import Whereabouts
from edgesim.engine.causality.moves import ATTENDED, UNBEGUN, Immediate, Move
from edgesim.engine.token import Token
from edgesim.model.answers.exit_paths import CacheFill
from edgesim.model.architecture import Slice

__all__ = ["Trail"]


class Trail:
    """Progress of one attempt at a request; initially the prompt is at the source, and nothing has been done.

    Attributes
    ----------
    move
        The latest verb, and the move that it makes.
    begun
        The return value of that verb.
    until_s
        When it ends.
    in_hand
        The newest pass that was begun.
    immediate
        The return value of the latest verb with nothing to wait for.
    under_way
        Verbs under way if there are several; None if `move` describes the state.
    there
        Whereabouts of the data while several verbs are under way.
    kept
        Work for which a station is reserved (device, part, pass), and until when.
    left
        By token, the number of blocks after which it exited.
    caches
        How later blocks get the keys and values of tokens that exited; None before the first exit.
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
