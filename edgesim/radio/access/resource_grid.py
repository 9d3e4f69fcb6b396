"""The grid of a 5G carrier: slots in time, resource blocks in frequency, and the rules of uplink grants."""

from __future__ import annotations

from dataclasses import dataclass, field

from edgesim.errors import InputError
from edgesim.radio.access.duplex import Duplex, Fdd
from edgesim.radio.access.slots import Slots, slots_of
from edgesim.radio.access.uplink_grant import UplinkGrant

__all__ = ["ResourceGrid"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceGrid:
    """Time-frequency grid of a carrier; the smallest grant is one resource block for one slot.

    Parameters
    ----------
    slot_s
        Length of a slot.
    n_prb
        Resource blocks of the carrier.
    duplex
        When each direction is open.
    uplink
        Rules of an uplink's first grant after silence.

    Attributes
    ----------
    up, down
        Slots of each direction.
    """

    slot_s: float
    n_prb: int
    duplex: Duplex = field(default_factory=Fdd)
    uplink: UplinkGrant = field(default_factory=UplinkGrant)
    up: Slots = field(init=False, repr=False, compare=False)
    down: Slots = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.n_prb < 1:
            raise InputError(f"resource grid: {self.n_prb} resource blocks; expected at least 1")
        object.__setattr__(self, "up", slots_of(self.duplex, self.slot_s, uplink=True))
        object.__setattr__(self, "down", slots_of(self.duplex, self.slot_s, uplink=False))

    def slots(self, *, uplink: bool) -> Slots:
        """Return the slots of a direction."""
        return self.up if uplink else self.down

    def share(self, *, uplink: bool) -> float:
        """Return the share of time in which a direction carries data."""
        slots = self.slots(uplink=uplink)
        return slots.parts(0, len(slots.places)) / slots.n_pattern

    def mean_wait_s(self, *, uplink: bool) -> float:
        """Return the mean time from a message's arrival to the end of its first slot, on an idle carrier."""
        return self.uplink.mean_s(self.up, self.down, uplink=uplink)
