"""A rate for every hour."""

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
    """A Poisson process whose rate is stated for every hour, and constant within it."""

    rates_hz: tuple[HertzOrNone, ...] = Field(alias="rates", min_length=1)
    """Arrivals per second, hour by hour; after the last hour comes the first."""
    start_s: Seconds = Field(default=0.0, alias="start")
    """Where in the table time zero lies, such as 8 h."""

    def law(self) -> Arrivals:
        """Make the law of arrivals."""
        return Hourly(rates_hz=self.rates_hz, start_s=self.start_s)
