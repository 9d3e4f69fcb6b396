"""Where a station stands: what the run gives to every station that serves a device."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from edgesim.engine.device.work import Pass, Record, SpeedAt
from edgesim.engine.process.clock import Clock
from edgesim.engine.recording import Recording

__all__ = ["Site"]


@dataclass(frozen=True, slots=True)
class Site:
    """What a station is made of, beside its discipline.

    Attributes
    ----------
    clock, recording
        Of the run.
    record
        Records a pass, or an iteration's part of it.
    speed_at
        By what the times of passes are divided that begin at an instant.
    make_room
        Where caches grow: takes room for the tokens of passes that wait, and preempts requests for it.
    cuts_prompts
        Whether the model can compute a prompt in chunks.
    """

    clock: Clock
    recording: Recording
    record: Record
    speed_at: SpeedAt
    make_room: Callable[[list[Pass]], None]
    cuts_prompts: bool
