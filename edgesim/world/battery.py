"""Battery parameters."""

from __future__ import annotations

import math
from dataclasses import dataclass

from edgesim.errors import InputError

__all__ = ["TOLERANCE", "Battery"]

TOLERANCE = 1e-9
"""Share of its capacity at which a battery counts as empty; limits the precision of that instant."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Battery:
    """Battery of a device; when it is empty, the device is down permanently.

    Not modelled: charging, ageing, temperature, self-discharge, a usable capacity that decreases with the
    power drawn (Peukert's law), a voltage that decreases with the charge.

    Parameters
    ----------
    capacity_j
        Energy of the full battery [J]; 1 Wh is 3600 J.
    charge
        State of charge at time zero, as a share of the capacity.
    """

    capacity_j: float
    charge: float = 1.0

    def __post_init__(self) -> None:
        if not 0.0 < self.capacity_j < math.inf:
            raise InputError(f"battery: found a capacity of {self.capacity_j:g} J; expected one above 0")
        if not 0.0 < self.charge <= 1.0:
            raise InputError(f"battery: found a charge of {self.charge:g}; expected above 0, up to 1")

    @property
    def initial_j(self) -> float:
        """Energy at time zero [J]."""
        return self.charge * self.capacity_j
