"""Urban cells of 3GPP TR 38.901: UMi and UMa.

Tables: see :mod:`edgesim.radio.channel.path_loss.environments`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from edgesim.radio.channel.path_loss.environment import (
    IsLos,
    Validity,
    at_least,
    choose,
    distance_3d,
    exp,
    larger,
    log10,
)
from edgesim.units import FloatLike

__all__ = ["UrbanMacro", "UrbanMicro"]

O2I_SIGMA_DB, O2I_CORRELATION_M = 7.0, 7.0
"""Shadowing of an indoor terminal seen from outdoors (TR 38.901, columns O2I of table 7.5-6)."""

_URBAN = Validity(5000.0, (0.5e9, 100e9), (1.5, 22.5))  # table 7.4.1-1; carriers: the report's scope


@dataclass(frozen=True, slots=True)
class UrbanMicro:
    """TR 38.901 UMi, street canyon: stations at 10 m, below roofs; 10 m to 5 km, terminals up to 22.5 m."""

    SHORTEST_M: ClassVar[float] = 10.0
    VALID: ClassVar[Validity] = _URBAN

    @property
    def los_correlation_m(self) -> float:
        return 50.0

    def path_loss_db(
        self,
        distance_2d_m: FloatLike,
        *,
        carrier_hz: float,
        station_height_m: float,
        terminal_height_m: float,
        is_los: IsLos,
    ) -> FloatLike:
        height_m = station_height_m - terminal_height_m
        near_m = at_least(distance_2d_m, self.SHORTEST_M)
        log_m, log_ghz = log10(distance_3d(near_m, height_m)), math.log10(carrier_hz / 1e9)
        break_m = _break_point(station_height_m, terminal_height_m, carrier_hz)
        los_db = choose(
            near_m <= break_m,
            32.4 + 21.0 * log_m + 20.0 * log_ghz,
            32.4 + 40.0 * log_m + 20.0 * log_ghz - 9.5 * math.log10(break_m**2 + height_m**2),
        )
        nlos_db = 35.3 * log_m + 22.4 + 21.3 * log_ghz - 0.3 * (terminal_height_m - 1.5)
        return choose(is_los, los_db, larger(los_db, nlos_db))

    def los_probability(
        self, distance_2d_m: FloatLike, *, station_height_m: float, terminal_height_m: float
    ) -> FloatLike:
        del station_height_m, terminal_height_m
        far_m = at_least(distance_2d_m, 18.0)
        return 18.0 / far_m + exp(-far_m / 36.0) * (1.0 - 18.0 / far_m)

    def shadowing_db(self, is_los: bool, *, indoor: bool = False) -> float:
        return O2I_SIGMA_DB if indoor else 4.0 if is_los else 7.82

    def correlation_m(self, is_los: bool, *, indoor: bool = False) -> float:
        return O2I_CORRELATION_M if indoor else 10.0 if is_los else 13.0

    def rician_k_db(self, is_los: bool) -> tuple[float, float] | None:
        return (9.0, 5.0) if is_los else None


@dataclass(frozen=True, slots=True)
class UrbanMacro:
    """TR 38.901 UMa: stations at 25 m, above roofs; 10 m to 5 km, terminals up to 22.5 m."""

    SHORTEST_M: ClassVar[float] = 10.0
    VALID: ClassVar[Validity] = _URBAN

    @property
    def los_correlation_m(self) -> float:
        return 50.0

    def path_loss_db(
        self,
        distance_2d_m: FloatLike,
        *,
        carrier_hz: float,
        station_height_m: float,
        terminal_height_m: float,
        is_los: IsLos,
    ) -> FloatLike:
        height_m = station_height_m - terminal_height_m
        near_m = at_least(distance_2d_m, self.SHORTEST_M)
        log_m, log_ghz = log10(distance_3d(near_m, height_m)), math.log10(carrier_hz / 1e9)
        break_m = _break_point(station_height_m, terminal_height_m, carrier_hz)
        los_db = choose(
            near_m <= break_m,
            28.0 + 22.0 * log_m + 20.0 * log_ghz,
            28.0 + 40.0 * log_m + 20.0 * log_ghz - 9.0 * math.log10(break_m**2 + height_m**2),
        )
        nlos_db = 13.54 + 39.08 * log_m + 20.0 * log_ghz - 0.6 * (terminal_height_m - 1.5)
        return choose(is_los, los_db, larger(los_db, nlos_db))

    def los_probability(
        self, distance_2d_m: FloatLike, *, station_height_m: float, terminal_height_m: float
    ) -> FloatLike:
        del station_height_m
        far_m = at_least(distance_2d_m, 18.0)
        probability = 18.0 / far_m + exp(-far_m / 63.0) * (1.0 - 18.0 / far_m)
        if terminal_height_m <= 13.0:
            return probability
        high = math.pow((terminal_height_m - 13.0) / 10.0, 1.5)
        lifted = probability * (1.0 + high * 1.25 * (far_m / 100.0) ** 3 * exp(-far_m / 150.0))
        return choose(distance_2d_m <= 18.0, far_m * 0.0 + 1.0, lifted)

    def shadowing_db(self, is_los: bool, *, indoor: bool = False) -> float:
        return O2I_SIGMA_DB if indoor else 4.0 if is_los else 6.0

    def correlation_m(self, is_los: bool, *, indoor: bool = False) -> float:
        return O2I_CORRELATION_M if indoor else 37.0 if is_los else 50.0

    def rician_k_db(self, is_los: bool) -> tuple[float, float] | None:
        return (9.0, 3.5) if is_los else None


def _break_point(station_height_m: float, terminal_height_m: float, carrier_hz: float) -> float:
    """Return the break point distance of ground reflection; table 7.4.1-1, note 1, with its c = 3e8 m/s."""
    return 4.0 * (station_height_m - 1.0) * (terminal_height_m - 1.0) * carrier_hz / 3.0e8
