"""Site: the arguments from the run for every station that serves a device."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from edgesim.engine.device.work import Pass, Record, SpeedAt
from edgesim.engine.process.clock import Clock
from edgesim.engine.recording import Recording

__all__ = ["Site"]


@dataclass(frozen=True, slots=True)
class Site:
    """Arguments of a station, apart from its discipline.

    Attributes
    ----------
    clock, recording
        Those of the run.
    record
        Records a pass, or an iteration's part of it.
    speed_at
        Divisor of the times of passes that begin at an instant.
    make_room
        Where caches grow: reserves memory for the tokens of waiting passes, and preempts requests for it.
    cuts_prompts
        Whether the model can compute a prompt in chunks.
    """

    clock: Clock
    recording: Recording
    record: Record
    speed_at: SpeedAt
    make_room: Callable[[list[Pass]], None]
    cuts_prompts: bool
