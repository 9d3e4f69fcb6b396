"""Arrival process of regular bursts."""

from __future__ import annotations

from pydantic import Field

from edgesim.fields import PositiveSeconds, Seconds
from edgesim.scenario.schema.arrival_process import ArrivalProcess
from edgesim.scenario.schema.topology import Count
from edgesim.workload.arrivals import Arrivals, Bursts

__all__ = ["BurstsProcess"]


class BurstsProcess(ArrivalProcess):
    """Bursts of requests at regular intervals, the first at time zero."""

    requests: Count
    """Requests in a burst."""
    every_s: PositiveSeconds = Field(alias="every")
    """Time from the start of one burst to the start of the next."""
    spacing_s: Seconds = Field(default=0.0, alias="spacing")
    """Time between requests inside a burst."""

    def law(self) -> Arrivals:
        """Return the arrival law."""
        return Bursts(self.requests, self.every_s, self.spacing_s)
