"""Saturated Wi-Fi cells as inputs of both simulators."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from edgesim.radio.access.edca import Edca
from edgesim.radio.access.wifi_mac import Aggregation, WifiMac
from edgesim.radio.access.wifi_phy import PpduFormat
from edgesim.radio.adaptation.wifi_rates import data_rate_bps

__all__ = ["PHYS", "WifiCase", "WifiPhy", "wifi_cases"]

_NEVER_GIVEN_UP = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class WifiPhy:
    """One rate of one 802.11 generation, over one spatial stream."""

    generation: Literal["n", "ac", "ax"]
    width_mhz: int
    mcs: int
    guard_s: float

    @property
    def rate_bps(self) -> float:
        """Data rate of the physical layer."""
        rate_bps = data_rate_bps(self.generation, self.mcs, self.width_mhz, guard_s=self.guard_s)
        assert rate_bps is not None
        return rate_bps


PHYS: tuple[WifiPhy, ...] = (
    WifiPhy(generation="n", width_mhz=20, mcs=7, guard_s=0.8e-6),
    WifiPhy(generation="ax", width_mhz=80, mcs=11, guard_s=0.8e-6),
)
"""One whose airtimes agree to the nanosecond in both simulators, and that of the shipped scenarios."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WifiCase:
    """Stations that always have frames for one receiver; frames are lost only by collisions.

    Best effort (AIFSN 3, windows 15 to 1023), a TXOP limit of 0 (one PPDU), no RTS, block acknowledgements of
    64 frames.

    Parameters
    ----------
    ampdu_bytes
        Longest aggregate; 0: no aggregation.
    seconds
        Simulated time, which gives a 95 % interval of about ±0.5 % with ten batches.
    """

    phy: WifiPhy
    n_stations: int
    payload_bytes: int
    ampdu_bytes: int = 0
    seconds: float = 5.0

    @property
    def n_attempts(self) -> int:
        """Attempts after which a frame is dropped: seven, but unlimited for an aggregate.

        ns-3 3.37 resets its count of failures on an acknowledgement but not on a block acknowledgement, and
        so drops every seventh aggregate that has collided.
        """
        return _NEVER_GIVEN_UP if self.ampdu_bytes else 7

    @property
    def mac(self) -> WifiMac:
        """MAC parameters of the case in the engine."""
        limits = Aggregation(most_frames=64, most_bytes=self.ampdu_bytes or None)
        return WifiMac(
            ppdu=PpduFormat(generation=self.phy.generation, guard_s=self.phy.guard_s),
            edca=Edca(txop_s=0.0),
            aggregation=limits if self.ampdu_bytes else Aggregation(most_frames=1),
            frame_bytes=self.payload_bytes,
        )

    @property
    def n_frames(self) -> int:
        """Frames in an exchange."""
        return self.mac.full_exchange(self.phy.rate_bps)[1]

    @property
    def name(self) -> str:
        """Description of the case, unique among cases."""
        phy = self.phy
        stations = "1 station" if self.n_stations == 1 else f"{self.n_stations} stations"
        return (
            f"802.11{phy.generation} {phy.width_mhz} MHz MCS {phy.mcs}, {stations}, "
            f"{self.n_frames} x {self.payload_bytes} B"
        )


def wifi_cases() -> list[WifiCase]:
    """Return all cases that are compared with ns-3."""
    n, ax = PHYS
    grid: tuple[tuple[WifiPhy, int, int, dict[int, float]], ...] = (
        (n, 0, 1500, {1: 4, 2: 6, 5: 8, 10: 10}),
        (ax, 0, 100, {1: 2, 3: 4}),
        (ax, 0, 1500, {1: 2, 2: 4, 5: 6, 10: 8}),
        (ax, 16_383, 1500, {1: 2, 2: 8, 5: 12, 10: 12}),
        (ax, 65_535, 300, {1: 2}),
        (ax, 65_535, 1500, {1: 2}),
    )
    return [
        WifiCase(
            phy=phy, n_stations=n_stations, payload_bytes=payload, ampdu_bytes=ampdu_bytes, seconds=seconds
        )
        for phy, ampdu_bytes, payload, stations in grid
        for n_stations, seconds in stations.items()
    ]
