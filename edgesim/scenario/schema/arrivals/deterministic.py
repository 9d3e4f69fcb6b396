"""Arrival process with evenly spaced arrivals."""

from __future__ import annotations

from pydantic import Field

from edgesim.fields import Hertz, PositiveSeconds, refuse
from edgesim.scenario.schema.arrival_process import ArrivalProcess
from edgesim.workload.arrivals import Arrivals, Deterministic

__all__ = ["DeterministicProcess"]


class DeterministicProcess(ArrivalProcess):
    """Evenly spaced arrivals, the first at time zero."""

    rate_hz: Hertz | None = Field(default=None, alias="rate")
    """Arrivals per second, all sources together."""
    every_s: PositiveSeconds | None = Field(default=None, alias="every")
    """Time between arrivals, instead of a rate."""

    def law(self) -> Arrivals:
        """Return the arrival law."""
        if self.every_s is not None and self.rate_hz is None:
            return Deterministic(1 / self.every_s)
        if self.rate_hz is not None and self.every_s is None:
            return Deterministic(self.rate_hz)
        refuse("expected either 'rate' or 'every'")
