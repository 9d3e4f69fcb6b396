"""Outdoor to indoor: loss of a building's wall and interior, added to the path loss of an urban cell.

TR 38.901, section 7.4.3: the wall (table 7.4.3-2 with the materials of table 7.4.3-1, or the fixed 20 dB
of table 7.4.3-3 below 6 GHz), half a decibel per metre inside, and a random part per terminal.
Shadowing then uses the O2I columns of table 7.5-6: ``indoor=True`` in a propagation model's methods.

Not modelled: car penetration, floors, and angles of incidence.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from edgesim.errors import InputError
from edgesim.nearest import suggest
from edgesim.rng import keyed_normals

__all__ = ["Facade"]

INDOOR_DB_PER_M = 0.5
# Loss in dB at f GHz: the first number plus the second times f. Infrared-reflecting glass has the values of
# releases 14 to 18; release 19 has 25.4 + 0.11 f (as read in a public implementation).
MATERIALS_DB = {"glass": (2.0, 0.2), "irr-glass": (23.0, 0.3), "concrete": (5.0, 4.0)}


@dataclass(frozen=True, slots=True)
class Facade:
    """Outer wall of a building, between an indoor terminal and its station.

    Parameters
    ----------
    kind
        ``simple``: 20 dB, below 6 GHz; ``low-loss``: 30 % of plain glass, the rest concrete; ``high-loss``:
        70 % of infrared-reflecting glass, the rest concrete.
    """

    kind: str = "low-loss"
    KINDS: ClassVar[tuple[str, ...]] = ("simple", "low-loss", "high-loss")

    def __post_init__(self) -> None:
        if self.kind not in self.KINDS:
            raise InputError(
                f"propagation: facade is {self.kind!r}; expected one of {', '.join(self.KINDS)}: "
                f"{suggest(self.kind, self.KINDS)}"
            )

    @property
    def sigma_db(self) -> float:
        """Standard deviation of the random part; a terminal has one draw for all its stations."""
        return {"simple": 0.0, "low-loss": 4.4, "high-loss": 6.5}[self.kind]

    def wall_db(self, carrier_hz: float) -> float:
        """Return the median loss of the wall."""
        if self.kind == "simple":
            return 20.0
        glass, share = ("glass", 0.3) if self.kind == "low-loss" else ("irr-glass", 0.7)
        passed = share * _passed(glass, carrier_hz) + (1.0 - share) * _passed("concrete", carrier_hz)
        return 5.0 - 10.0 * math.log10(passed)

    def loss_db(self, depth_m: float, *, carrier_hz: float, key: int | None = None) -> float:
        """Return the loss that is added to the path loss of a terminal inside the building.

        Parameters
        ----------
        depth_m
            Horizontal distance from the wall, at least 0; the report draws it up to 25 m.
        carrier_hz
            Carrier frequency.
        key
            Key of the terminal, for its random part; None: the median.
        """
        median_db = self.wall_db(carrier_hz) + INDOOR_DB_PER_M * depth_m
        if key is None:
            return median_db
        return median_db + self.sigma_db * float(keyed_normals(key, np.zeros(1, dtype=np.int64))[0])


def _passed(material: str, carrier_hz: float) -> float:
    base_db, per_ghz_db = MATERIALS_DB[material]
    return math.pow(10.0, -(base_db + per_ghz_db * carrier_hz / 1e9) / 10.0)
