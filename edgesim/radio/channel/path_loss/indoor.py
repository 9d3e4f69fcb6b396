"""Indoor cells of 3GPP TR 38.901: InH and InF.

Tables: see :mod:`edgesim.radio.channel.path_loss.environments`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from edgesim.errors import InputError
from edgesim.nearest import suggest
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

__all__ = ["IndoorFactory", "IndoorOffice"]


@dataclass(frozen=True, slots=True)
class IndoorOffice:
    """TR 38.901 InH: stations under the ceiling of an office, 1 to 150 m.

    Parameters
    ----------
    variant
        ``mixed``: offices and corridors; ``open``: an open floor, with a higher line-of-sight probability.
    """

    variant: str = "mixed"
    SHORTEST_M: ClassVar[float] = 1.0
    VALID: ClassVar[Validity] = Validity(150.0, (0.5e9, 100e9))
    VARIANTS: ClassVar[tuple[str, ...]] = ("mixed", "open")

    def __post_init__(self) -> None:
        _check_variant("3gpp-inh", self.variant, self.VARIANTS)

    @property
    def los_correlation_m(self) -> float:
        return 10.0

    def path_loss_db(
        self,
        distance_2d_m: FloatLike,
        *,
        carrier_hz: float,
        station_height_m: float,
        terminal_height_m: float,
        is_los: IsLos,
    ) -> FloatLike:
        near_m = at_least(distance_2d_m, self.SHORTEST_M)
        log_m = log10(distance_3d(near_m, station_height_m - terminal_height_m))
        log_ghz = math.log10(carrier_hz / 1e9)
        los_db = 32.4 + 17.3 * log_m + 20.0 * log_ghz
        return choose(is_los, los_db, larger(los_db, 38.3 * log_m + 17.3 + 24.9 * log_ghz))

    def los_probability(
        self, distance_2d_m: FloatLike, *, station_height_m: float, terminal_height_m: float
    ) -> FloatLike:
        del station_height_m, terminal_height_m
        if self.variant == "open":
            far = 0.54 * exp(-(distance_2d_m - 49.0) / 211.7)
            near = exp(-at_least(distance_2d_m - 5.0, 0.0) / 70.8)
            return choose(distance_2d_m <= 49.0, near, far)
        far = 0.32 * exp(-(distance_2d_m - 6.5) / 32.6)
        near = exp(-at_least(distance_2d_m - 1.2, 0.0) / 4.7)
        return choose(distance_2d_m < 6.5, near, far)

    def shadowing_db(self, is_los: bool, *, indoor: bool = False) -> float:
        del indoor  # both ends are inside
        return 3.0 if is_los else 8.03

    def correlation_m(self, is_los: bool, *, indoor: bool = False) -> float:
        del indoor
        return 10.0 if is_los else 6.0

    def rician_k_db(self, is_los: bool) -> tuple[float, float] | None:
        return (7.0, 4.0) if is_los else None


@dataclass(frozen=True, slots=True)
class IndoorFactory:
    """TR 38.901 InF: a factory hall, 1 to 600 m.

    The clutter's defaults are those of the report's calibration (table 7.8-7).

    Parameters
    ----------
    variant
        Clutter sparse or dense, stations low (within the clutter) or high (above it): ``sl``, ``dl``,
        ``sh`` or ``dh``.
    clutter_density
        Share of the floor that clutter covers: 0.2 if sparse, 0.6 if dense.
    clutter_size_m
        Typical size of machines: 10 m if sparse, 2 m if dense.
    clutter_height_m
        Effective height of machines: 2 m if sparse, 6 m if dense. Used for high stations only.
    """

    variant: str = "sl"
    clutter_density: float | None = None
    clutter_size_m: float | None = None
    clutter_height_m: float | None = None
    SHORTEST_M: ClassVar[float] = 1.0
    VALID: ClassVar[Validity] = Validity(600.0, (0.5e9, 100e9))
    VARIANTS: ClassVar[tuple[str, ...]] = ("sl", "dl", "sh", "dh")

    def __post_init__(self) -> None:
        _check_variant("3gpp-inf", self.variant, self.VARIANTS)
        density, size_m, height_m = self._clutter
        for name, value, good, expected in (
            ("clutter_density", density, 0 < density < 1, "a share between 0 and 1"),
            ("clutter_size_m", size_m, 0 < size_m < math.inf, "a length above 0"),
            ("clutter_height_m", height_m, 0 <= height_m < math.inf, "a length of at least 0"),
        ):
            if not good:
                raise InputError(
                    f"propagation 3gpp-inf: {name} is {value:g}; expected {expected}: correct it"
                )

    @property
    def _clutter(self) -> tuple[float, float, float]:
        """Density, size and height of the clutter, with the defaults filled in."""
        usual = (0.2, 10.0, 2.0) if self.variant[0] == "s" else (0.6, 2.0, 6.0)
        given = (self.clutter_density, self.clutter_size_m, self.clutter_height_m)
        density, size_m, height_m = (u if g is None else g for u, g in zip(usual, given, strict=True))
        return density, size_m, height_m

    @property
    def los_correlation_m(self) -> float:
        return self._clutter[1] / 2.0

    def path_loss_db(
        self,
        distance_2d_m: FloatLike,
        *,
        carrier_hz: float,
        station_height_m: float,
        terminal_height_m: float,
        is_los: IsLos,
    ) -> FloatLike:
        near_m = at_least(distance_2d_m, self.SHORTEST_M)
        log_m = log10(distance_3d(near_m, station_height_m - terminal_height_m))
        log_ghz = math.log10(carrier_hz / 1e9)
        los_db = 31.84 + 21.5 * log_m + 19.0 * log_ghz
        if self.variant == "sh":
            nlos_db = larger(los_db, 32.4 + 23.0 * log_m + 20.0 * log_ghz)
        elif self.variant == "dh":
            nlos_db = larger(los_db, 33.63 + 21.9 * log_m + 20.0 * log_ghz)
        else:
            nlos_db = larger(los_db, 33.0 + 25.5 * log_m + 20.0 * log_ghz)
            if self.variant == "dl":
                nlos_db = larger(nlos_db, 18.6 + 35.7 * log_m + 20.0 * log_ghz)
        return choose(is_los, los_db, nlos_db)

    def los_probability(
        self, distance_2d_m: FloatLike, *, station_height_m: float, terminal_height_m: float
    ) -> FloatLike:
        density, size_m, height_m = self._clutter
        decay_m = -size_m / math.log1p(-density)
        if self.variant in ("sh", "dh"):
            if not station_height_m > max(height_m, terminal_height_m):
                raise InputError(
                    f"propagation 3gpp-inf: the station's antenna is at {station_height_m:g} m; expected it "
                    f"above the clutter ({height_m:g} m) and the terminal ({terminal_height_m:g} m), as "
                    f"variant '{self.variant}' has it: raise it, or choose '{self.variant[0]}l'"
                )
            if terminal_height_m >= height_m:  # the ray between the antennas passes above the clutter
                return distance_2d_m * 0.0 + 1.0
            decay_m *= (station_height_m - terminal_height_m) / (height_m - terminal_height_m)
        return exp(-distance_2d_m / decay_m)

    def shadowing_db(self, is_los: bool, *, indoor: bool = False) -> float:
        # In line of sight public implementations use 4.0 or 4.3; Sionna uses 4.3, from release 19.
        del indoor
        return 4.3 if is_los else {"sl": 5.7, "dl": 7.2, "sh": 5.9, "dh": 4.0}[self.variant]

    def correlation_m(self, is_los: bool, *, indoor: bool = False) -> float:
        del is_los, indoor
        return 10.0

    def rician_k_db(self, is_los: bool) -> tuple[float, float] | None:
        return (7.0, 8.0) if is_los else None


def _check_variant(model: str, variant: str, known: tuple[str, ...]) -> None:
    if variant not in known:
        raise InputError(
            f"propagation {model}: variant is {variant!r}; expected one of {', '.join(known)}: "
            f"{suggest(variant, known)}"
        )
