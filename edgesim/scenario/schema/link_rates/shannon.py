"""Link-rate model after Shannon: capacity with a gap."""

from __future__ import annotations

import math
from typing import Annotated

from pydantic import Field

from edgesim.fields import Decibels, NonNegativeDecibels
from edgesim.radio.adaptation.shannon import Shannon
from edgesim.scenario.schema.link_rate import Carrier, LinkRate

__all__ = ["ShannonEntry"]


class ShannonEntry(LinkRate):
    """Shannon capacity with a gap: ideal link adaptation without a table of schemes."""

    gap_db: NonNegativeDecibels = Field(default=0.0, alias="gap")
    """SINR gap to the Shannon bound; at 0 dB the bound is reached."""
    cap: Annotated[float, Field(gt=0)] | None = None
    """Highest spectral efficiency in bit/s/Hz; unlimited by default."""
    attenuation: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Factor on the logarithm of the capacity; TR 36.942's truncated form is {attenuation: 0.6, cap: 4.4,
    floor: -10 dB}."""
    floor_db: Decibels | None = Field(default=None, alias="floor")
    """SINR below which nothing is sent."""

    def interface(self, carrier: Carrier) -> Shannon:
        """Return the air interface; it does not depend on the carrier."""
        return Shannon(
            gap_db=self.gap_db,
            cap=math.inf if self.cap is None else self.cap,
            attenuation=self.attenuation,
            floor_db=-math.inf if self.floor_db is None else self.floor_db,
        )
