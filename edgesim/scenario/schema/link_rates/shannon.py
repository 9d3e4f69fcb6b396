"""Capacity with a gap."""

from __future__ import annotations

import math
from typing import Annotated

from pydantic import Field

from edgesim.fields import Decibels, NonNegativeDecibels
from edgesim.radio.adaptation.shannon import Shannon
from edgesim.scenario.schema.link_rate import Carrier, LinkRate

__all__ = ["ShannonEntry"]


class ShannonEntry(LinkRate):
    """Capacity with a gap: an ideal adaptation without a table of schemes."""

    gap_db: NonNegativeDecibels = Field(default=0.0, alias="gap")
    """By how much a better ratio is needed than capacity says; 0 dB is the bound."""
    cap: Annotated[float, Field(gt=0)] | None = None
    """Highest efficiency in bit/s/Hz; none if not given."""
    attenuation: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Factor on the logarithm; TR 36.942's truncated form is {attenuation: 0.6, cap: 4.4, floor: -10 dB}."""
    floor_db: Decibels | None = Field(default=None, alias="floor")
    """Ratio below which nothing is sent."""

    def interface(self, carrier: Carrier) -> Shannon:
        """Make the air interface, the same for any carrier."""
        return Shannon(
            gap_db=self.gap_db,
            cap=math.inf if self.cap is None else self.cap,
            attenuation=self.attenuation,
            floor_db=-math.inf if self.floor_db is None else self.floor_db,
        )
