"""First come, first served."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from edgesim.world.discipline import Limits, ServingDiscipline

__all__ = ["FirstComeFirstServed"]


@dataclass(frozen=True, slots=True)
class FirstComeFirstServed(Limits, ServingDiscipline):
    """One pass at a time, first come, first served.

    All passes wait in one queue. The limits apply to a request's first pass on the device; its later passes
    are never rejected.
    """

    name: ClassVar[str] = "fifo"
    is_in_turn: ClassVar[bool] = True

    @property
    def is_default(self) -> bool:
        """Whether it has no limits."""
        return self.queue_limit is None and self.patience_s is None
