"""Gamma gaps between arrivals."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from edgesim.fields import Hertz, refuse
from edgesim.scenario.schema.arrival_process import ArrivalProcess
from edgesim.workload.arrivals import Arrivals, Gamma

__all__ = ["GammaProcess"]

PositiveNumber = Annotated[float, Field(gt=0)]


class GammaProcess(ArrivalProcess):
    """Independent gamma gaps: burstier than Poisson, or more regular, at the same rate."""

    rate_hz: Hertz = Field(alias="rate")
    """Arrivals per second, all sources together."""
    burstiness: PositiveNumber | None = None
    """Shape of the gamma law: 1 is Poisson, below 1 arrivals clump."""
    cv: PositiveNumber | None = None
    """Instead of burstiness: the coefficient of variation of the gaps."""

    def law(self) -> Arrivals:
        """Make the law of arrivals."""
        if self.cv is not None and self.burstiness is None:
            return Gamma.from_cv(self.rate_hz, self.cv)
        if self.burstiness is not None and self.cv is None:
            return Gamma(self.rate_hz, self.burstiness)
        refuse("expected either 'burstiness' or 'cv'")
