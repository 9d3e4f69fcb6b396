"""Median range of a cell, for maps; runs do not use it."""

from __future__ import annotations

import math

from edgesim.radio.channel.large_scale import LargeScale
from edgesim.radio.motion.mobility import Static
from edgesim.radio.radio_link import RadioLink

__all__ = ["reach_m"]

_NEAREST_M, _FARTHEST_M = 1.0, 100e3
_N_COARSE = 51  # tenths of a decade; one crossing, as path loss increases with distance
_N_HALVINGS = 12  # halvings of a tenth of a decade: a precision of 0.006 %


def reach_m(link: RadioLink) -> float | None:
    """Return the largest distance at which both directions of a link have a positive rate, in the median.

    The terminal is moved away from its station, with the path loss of the link's environment, heights and
    walls, line of sight if its probability is above one half, and the whole band, but without shadowing,
    fading and interference.

    Returns
    -------
    float or None
        Range in metres. None if even 100 km are in range, as with Shannon's formula, which has no minimum
        rate.
    """
    distances_m = [
        _NEAREST_M * (_FARTHEST_M / _NEAREST_M) ** (step / (_N_COARSE - 1)) for step in range(_N_COARSE)
    ]
    within_m = 0.0
    for distance_m in distances_m:
        if not _carries(link, distance_m):
            break
        within_m = distance_m
    else:
        return None
    if not within_m:
        return 0.0
    beyond_m = distance_m
    for _ in range(_N_HALVINGS):
        middle_m = math.sqrt(within_m * beyond_m)
        if _carries(link, middle_m):
            within_m = middle_m
        else:
            beyond_m = middle_m
    return within_m


class _Steady:
    """Fading process with constant gain 1."""

    def gain(self, at_s: float) -> float:
        return 1.0

    def until_s(self, at_s: float) -> float:
        return math.inf


def _carries(link: RadioLink, distance_m: float) -> bool:
    large = link.large_scale
    there = LargeScale(
        large.environment,
        Static((distance_m, 0.0)),
        Static((0.0, 0.0)),
        carrier_hz=large.carrier_hz,
        terminal_height_m=large.terminal_height_m,
        station_height_m=large.station_height_m,
        is_los=large.is_los,
        extra_loss_db=large.extra_loss_db,
    )
    moved = RadioLink(
        there,
        terminal=link.terminal,
        station=link.station,
        air=link.air,
        bandwidth_hz=link.bandwidth_hz(uplink=False),
        uplink_bandwidth_hz=link.bandwidth_hz(uplink=True),
        fading=_Steady(),
    )
    return all(moved.state(0.0, uplink=uplink).rate_bps > 0.0 for uplink in (True, False))
