"""Arrival process with a rate for every hour."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from edgesim.fields import Quantity, Seconds
from edgesim.scenario.schema.arrival_process import ArrivalProcess
from edgesim.units import FREQUENCY
from edgesim.workload.arrivals import Arrivals
from edgesim.workload.diurnal import Hourly

__all__ = ["HourlyProcess"]

HertzOrNone = Annotated[float, Quantity(FREQUENCY, "zero or more")]


class HourlyProcess(ArrivalProcess):
    """A Poisson process with a constant rate in each hour."""

    rates_hz: tuple[HertzOrNone, ...] = Field(alias="rates", min_length=1)
    """Arrivals per second, hour by hour, all sources together; the table repeats after its last hour."""
    start_s: Seconds = Field(default=0.0, alias="start")
    """Position of time zero in the table, such as 8 h."""

    def law(self) -> Arrivals:
        """Return the arrival law."""
        return Hourly(rates_hz=self.rates_hz, start_s=self.start_s)
