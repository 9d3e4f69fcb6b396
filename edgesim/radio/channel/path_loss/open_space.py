"""Path loss without explicit obstacles: free space, and a power law of the distance."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from edgesim.errors import InputError
from edgesim.radio.channel.path_loss.environment import IsLos, Validity, at_least, distance_3d, log10
from edgesim.units import SPEED_OF_LIGHT_M_PER_S, FloatLike

__all__ = ["FreeSpace", "LogDistance"]


class _Open:
    """Base of models without obstacles: always in line of sight, no K-factor."""

    __slots__ = ()
    VALID: ClassVar[Validity] = Validity()

    @property
    def los_correlation_m(self) -> float:
        return math.inf

    def los_probability(
        self, distance_2d_m: FloatLike, *, station_height_m: float, terminal_height_m: float
    ) -> FloatLike:
        del station_height_m, terminal_height_m
        return distance_2d_m * 0.0 + 1.0

    def rician_k_db(self, is_los: bool) -> tuple[float, float] | None:
        del is_los
        return None


@dataclass(frozen=True, slots=True)
class FreeSpace(_Open):
    """Friis' transmission formula: (4 pi d f / c)^2 (ITU-R P.525), with d of at least 1 m; no shadowing."""

    def path_loss_db(
        self,
        distance_2d_m: FloatLike,
        *,
        carrier_hz: float,
        station_height_m: float,
        terminal_height_m: float,
        is_los: IsLos = True,
    ) -> FloatLike:
        del is_los
        distance_3d_m = distance_3d(distance_2d_m, station_height_m - terminal_height_m)
        return 20.0 * log10(at_least(distance_3d_m, 1.0)) + _friis_db(1.0, carrier_hz)

    def shadowing_db(self, is_los: bool = True, *, indoor: bool = False) -> float:
        del is_los, indoor
        return 0.0

    def correlation_m(self, is_los: bool = True, *, indoor: bool = False) -> float:
        del is_los, indoor
        return math.inf


@dataclass(frozen=True, slots=True, kw_only=True)
class LogDistance(_Open):
    """Loss that grows by 10 x exponent dB per decade of distance (Rappaport 2002, section 4.9).

    Parameters
    ----------
    exponent
        2 in free space, 2.7 to 3.5 in towns, 1.6 to 1.8 in line of sight indoors, 4 to 6 behind walls.
    reference_m
        Reference distance of the loss, and the shortest distance.
    reference_loss_db
        Loss at that distance; None: free-space loss.
    sigma_db
        Standard deviation of shadowing; 0 for none.
    shadowing_m
        Correlation distance of shadowing; the default is that of TR 38.901's UMi in line of sight.
    """

    exponent: float
    reference_m: float = 1.0
    reference_loss_db: float | None = None
    sigma_db: float = 0.0
    shadowing_m: float = 10.0

    def __post_init__(self) -> None:
        for name, value, good in (
            ("exponent", self.exponent, self.exponent > 0),
            ("reference_m", self.reference_m, self.reference_m > 0),
            ("shadowing_m", self.shadowing_m, self.shadowing_m > 0),
            ("sigma_db", self.sigma_db, self.sigma_db >= 0),
        ):
            if not (good and math.isfinite(value)):
                floor = "of at least 0" if name == "sigma_db" else "above 0"
                raise InputError(
                    f"propagation log-distance: {name} is {value:g}; expected a finite number {floor}"
                )

    def path_loss_db(
        self,
        distance_2d_m: FloatLike,
        *,
        carrier_hz: float,
        station_height_m: float,
        terminal_height_m: float,
        is_los: IsLos = True,
    ) -> FloatLike:
        del is_los
        distance_3d_m = distance_3d(distance_2d_m, station_height_m - terminal_height_m)
        reference_db = self.reference_loss_db
        if reference_db is None:
            reference_db = _friis_db(self.reference_m, carrier_hz)
        ratio = at_least(distance_3d_m, self.reference_m) / self.reference_m
        return 10.0 * self.exponent * log10(ratio) + reference_db

    def shadowing_db(self, is_los: bool = True, *, indoor: bool = False) -> float:
        del is_los, indoor
        return self.sigma_db

    def correlation_m(self, is_los: bool = True, *, indoor: bool = False) -> float:
        del is_los, indoor
        return self.shadowing_m


def _friis_db(distance_m: float, carrier_hz: float) -> float:
    return 20.0 * math.log10(4.0 * math.pi * distance_m * carrier_hz / SPEED_OF_LIGHT_M_PER_S)
