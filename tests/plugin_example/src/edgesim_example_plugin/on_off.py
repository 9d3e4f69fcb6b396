"""An arrival process: a source that is awake for a while, and then asleep."""

from __future__ import annotations

from itertools import count
from typing import Annotated

from pydantic import Field

from edgesim import ArrivalProcess, Hertz, PositiveSeconds, Seconds

__all__ = ["OnOff"]


class OnOff(ArrivalProcess):
    """A Poisson process that is switched on and off in turns, on at time zero."""

    awake_rate_hz: Annotated[Hertz, Field(alias="rate")]
    """Arrivals per second while it is on, all sources together."""
    on_s: Annotated[PositiveSeconds, Field(alias="on")]
    """How long it is on."""
    off_s: Annotated[Seconds, Field(alias="off")]
    """How long it is then off."""

    @property
    def rate_hz(self):
        return self.awake_rate_hz * self.on_s / (self.on_s + self.off_s)

    def instants(self, rng):
        for period in count():
            start_s = period * (self.on_s + self.off_s)
            n = rng.poisson(self.awake_rate_hz * self.on_s)
            yield from (start_s + self.on_s * share for share in sorted(rng.random(n)))
