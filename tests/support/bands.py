"""Bands of a station with a few phones in a row, for tests of sums over the air."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

from edgesim.radio.adaptation.shannon import Shannon
from edgesim.radio.channel.fading import BlockFading
from edgesim.radio.channel.fading_law import NoFading
from edgesim.radio.channel.large_scale import LargeScale
from edgesim.radio.channel.mimo import RicianMatrices
from edgesim.radio.channel.path_loss.environments import PATH_LOSSES
from edgesim.radio.collective.band import CollectiveBand, Member
from edgesim.radio.motion.mobility import Static, Track
from edgesim.radio.radio_link import RadioLink, Transceiver


@dataclass(frozen=True)
class Straight:
    """A track along the x axis from a place, at one speed."""

    start_m: float
    speed_m_per_s: float

    @property
    def moves(self) -> bool:
        return True

    def position(self, at_s: float) -> tuple[float, float]:
        return (self.start_m + self.speed_m_per_s * at_s, 0.0)

    def speed(self, at_s: float) -> float:
        return self.speed_m_per_s


def link(distance_m: float, power_dbm: float, track: Track | None = None) -> RadioLink:
    large = LargeScale(
        PATH_LOSSES["log-distance"](exponent=3.0),
        track or Static((distance_m, 0.0)),
        Static((0.0, 0.0)),
        carrier_hz=3.5e9,
        terminal_height_m=1.5,
        station_height_m=10.0,
        key=None,
        is_los=True,
    )
    return RadioLink(
        large,
        terminal=Transceiver(power_dbm=power_dbm),
        station=Transceiver(power_dbm=30.0, noise_figure_db=5.0),
        air=Shannon(),
        bandwidth_hz=40e6,
        fading=BlockFading(NoFading(), 1, math.inf),
    )


def band(
    n: int = 3,
    *,
    n_streams: int = 2,
    n_station: int = 6,
    n_terminal: int = 3,
    coherence_s: float = 0.01,
    power_dbm: float = 20.0,
    tracks: tuple[Track, ...] = (),
    **changes: Any,
) -> CollectiveBand:
    """Phones at 20 m, 30 m, ... from a station, all of them heard well."""
    members = {}
    for i in range(n):
        matrices = RicianMatrices(key=100 + i, n_receive=n_station, n_transmit=n_terminal, k_db=0.0)
        members[f"phone-{i}"] = Member(
            link=link(20.0 + 10.0 * i, power_dbm, tracks[i] if tracks else None),
            matrices=matrices,
            errors=replace(matrices, key=900 + i, k_db=-math.inf),
        )
    whole: dict[str, Any] = {"bandwidth_hz": 10e6, "n_streams": n_streams, "coherence_s": coherence_s}
    return CollectiveBand(station="station", members=members, **(whole | changes))
