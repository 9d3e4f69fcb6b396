"""Arrival process with a rate that follows the time of day."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from edgesim.fields import Hertz, PositiveSeconds, Seconds
from edgesim.scenario.schema.arrival_process import ArrivalProcess
from edgesim.workload.arrivals import Arrivals
from edgesim.workload.diurnal import DAY_S, Diurnal

__all__ = ["DiurnalProcess"]

Share = Annotated[float, Field(ge=0, le=1)]


class DiurnalProcess(ArrivalProcess):
    """A Poisson process whose rate follows a cosine around its mean, with a period of a day."""

    mean_hz: Hertz = Field(alias="mean")
    """Arrivals per second, averaged over a period, all sources together."""
    swing: Share
    """Amplitude of the rate as a share of its mean; at 1 the rate falls to zero once a period."""
    peak_s: Seconds = Field(alias="peak")
    """Time of day at which the rate is highest, such as 14 h."""
    start_s: Seconds = Field(default=0.0, alias="start")
    """Time of day at simulation time zero."""
    period_s: PositiveSeconds = Field(default=DAY_S, alias="period")
    """Time from peak to peak; by default a day."""

    def law(self) -> Arrivals:
        """Return the arrival law."""
        return Diurnal(
            mean_hz=self.mean_hz,
            swing=self.swing,
            peak_at_s=self.peak_s - self.start_s,
            period_s=self.period_s,
        )
