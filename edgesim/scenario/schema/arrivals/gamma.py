"""Arrival process with gamma-distributed interarrival times."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from edgesim.fields import Hertz, refuse
from edgesim.scenario.schema.arrival_process import ArrivalProcess
from edgesim.workload.arrivals import Arrivals, Gamma

__all__ = ["GammaProcess"]

PositiveNumber = Annotated[float, Field(gt=0)]


class GammaProcess(ArrivalProcess):
    """Gamma-distributed interarrival times: burstier or more regular than Poisson at the same rate."""

    rate_hz: Hertz = Field(alias="rate")
    """Arrivals per second, all sources together."""
    burstiness: PositiveNumber | None = None
    """Shape of the gamma law: 1 is Poisson; below 1 arrivals are clustered."""
    cv: PositiveNumber | None = None
    """Coefficient of variation of the interarrival times, instead of `burstiness`."""

    def law(self) -> Arrivals:
        """Return the arrival law."""
        if self.cv is not None and self.burstiness is None:
            return Gamma.from_cv(self.rate_hz, self.cv)
        if self.burstiness is not None and self.cv is None:
            return Gamma(self.rate_hz, self.burstiness)
        refuse("expected either 'burstiness' or 'cv'")
