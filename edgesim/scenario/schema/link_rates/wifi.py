"""Rates and frame errors of 802.11."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from edgesim.errors import InputError
from edgesim.fields import PositiveSeconds
from edgesim.radio.access.wifi_mac import LONGEST_FRAME_BYTES
from edgesim.radio.adaptation.wifi import Wifi
from edgesim.scenario.schema.link_rate import Carrier, LinkRate

__all__ = ["WifiEntry"]

Streams = Annotated[int, Field(strict=True, ge=1, le=8)]


class WifiEntry(LinkRate):
    """802.11's rates and frame errors, where they differ from the defaults."""

    only_for: ClassVar[str] = "wifi"

    streams: Streams = 1
    """Spatial streams, each at the ratio of the link."""
    guard_s: PositiveSeconds | None = Field(default=None, alias="guard")
    """Guard interval; the generation's shortest if not given."""
    curve: Literal["sensitivity", "nist"] = "sensitivity"
    """Frame errors: by the standard's minimum sensitivities, or the NIST model as it stands."""
    frame_bytes: Annotated[int, Field(strict=True, ge=1, le=LONGEST_FRAME_BYTES)] = 1500
    """Bytes of a message that a MAC frame carries, headers not counted: what is repeated together."""

    @property
    def rounded_guard_s(self) -> float | None:
        """To a nanosecond: 0.8 us in text and in the standard's table are the same number then."""
        return None if self.guard_s is None else round(self.guard_s, 9)

    def interface(self, carrier: Carrier) -> Wifi:
        """Make the air interface of a channel of its generation."""
        if carrier.generation is None:
            raise InputError("Wi-Fi has a 'generation', and this radio states none")
        return Wifi(
            carrier.generation,
            carrier.bandwidth_hz,
            n_streams=self.streams,
            guard_s=self.rounded_guard_s,
            mpdu_bytes=self.frame_bytes,
            curve=self.curve,
        )
