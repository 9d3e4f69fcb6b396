"""Link-rate model of IEEE 802.11: rates and frame errors."""

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
    """IEEE 802.11's rates and frame error rates."""

    only_for: ClassVar[str] = "wifi"

    streams: Streams = 1
    """Number of spatial streams, each with the link's SINR."""
    guard_s: PositiveSeconds | None = Field(default=None, alias="guard")
    """Guard interval; by default the generation's shortest."""
    curve: Literal["sensitivity", "nist"] = "sensitivity"
    """Frame error rates: `sensitivity`, by the standard's minimum sensitivities; `nist`, the
    unmodified NIST model."""
    frame_bytes: Annotated[int, Field(strict=True, ge=1, le=LONGEST_FRAME_BYTES)] = 1500
    """Message bytes in one MAC frame, headers excluded; a frame is retransmitted as a whole."""

    @property
    def rounded_guard_s(self) -> float | None:
        """Guard interval rounded to a nanosecond; 0.8 us as parsed then equals the standard's value."""
        return None if self.guard_s is None else round(self.guard_s, 9)

    def interface(self, carrier: Carrier) -> Wifi:
        """Return the 802.11 air interface for a carrier, which must have a generation."""
        if carrier.generation is None:
            raise InputError("Wi-Fi needs a 'generation', and this radio has none")
        return Wifi(
            carrier.generation,
            carrier.bandwidth_hz,
            n_streams=self.streams,
            guard_s=self.rounded_guard_s,
            mpdu_bytes=self.frame_bytes,
            curve=self.curve,
        )
