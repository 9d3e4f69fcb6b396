"""Processor sharing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from edgesim.world.discipline import ServingDiscipline

__all__ = ["ProcessorSharing"]


@dataclass(frozen=True, slots=True)
class ProcessorSharing(ServingDiscipline):
    """All passes at once, each at an equal share of the speed.

    A model of threads on one processor; no pass waits.

    Not modelled: the cost of switching between passes.
    """

    name: ClassVar[str] = "processor-sharing"
