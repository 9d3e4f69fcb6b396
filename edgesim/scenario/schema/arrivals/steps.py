"""Arrival process with a stepwise rate."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from edgesim.scenario.schema.arrival_process import ArrivalProcess
from edgesim.scenario.schema.steps import NOT_EMPTY, ArrivalStep
from edgesim.scenario.schema.steps import steps as in_order
from edgesim.workload.arrivals import Arrivals
from edgesim.workload.stepwise import Stepwise

__all__ = ["StepsProcess"]


class StepsProcess(ArrivalProcess):
    """A Poisson process whose rate changes at given instants."""

    short: ClassVar[str] = "steps"

    steps: tuple[ArrivalStep, ...] = Field(json_schema_extra=NOT_EMPTY)
    """Steps of the rate, ordered by time."""

    def law(self) -> Arrivals:
        """Return the arrival law."""
        return Stepwise(in_order([(step.from_s, step.rate_hz) for step in self.steps]))
