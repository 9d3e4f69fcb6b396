"""Poisson arrival process."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from edgesim.fields import Hertz
from edgesim.scenario.schema.arrival_process import ArrivalProcess
from edgesim.workload.arrivals import Arrivals, Poisson

__all__ = ["PoissonProcess"]


class PoissonProcess(ArrivalProcess):
    """A Poisson process with a constant rate."""

    short: ClassVar[str] = "rate"

    rate_hz: Hertz = Field(alias="rate")
    """Arrivals per second, all sources together."""

    def law(self) -> Arrivals:
        """Return the arrival law."""
        return Poisson(self.rate_hz)
