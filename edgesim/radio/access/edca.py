"""Enhanced distributed channel access (EDCA) of 802.11: timing and backoff of each access category.

Sources: IEEE 802.11-2020 clause 10.23.2 (EDCA), table 9-155 (defaults of a station), clauses 10.3.2.3.7
(EIFS) and 10.3.2.11 (acknowledgement timeout). Not re-read in the printed standard.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from edgesim.errors import InputError
from edgesim.radio.access.wifi_phy import ACK_BYTES, LOWEST_CONTROL_BPS, SIFS_S, SLOT_S, control_s
from edgesim.rng import keyed_uniform

__all__ = [
    "ACCESS_CATEGORIES",
    "RESPONSE_TIMEOUT_S",
    "AccessCategory",
    "Edca",
    "backoff_slots",
    "first_boundary",
    "slots_passed",
]

AccessCategory = Literal["background", "best-effort", "video", "voice"]

RESPONSE_TIMEOUT_S = SIFS_S + SLOT_S + 20e-6
"""AckTimeout and CTSTimeout: SIFS, a slot and aRxPHYStartDelay of the OFDM PHY; responses begin within it."""

_EDGE = 1e-4  # of a slot: instants that differ by less are taken as equal


@dataclass(frozen=True, slots=True, kw_only=True)
class Edca:
    """EDCA parameters of an access category.

    Parameters
    ----------
    aifsn
        Idle slots to wait after SIFS.
    cw_min, cw_max
        Contention windows: a backoff is 0 … cw slots, and cw grows to 2 cw + 1 with each failure.
    txop_s
        Longest exchange, acknowledgement included; a single frame may take longer. 0: one PPDU, either a
        frame or an aggregate, of any length that its format allows (10.23.2.9).
    """

    aifsn: int = 3
    cw_min: int = 15
    cw_max: int = 1023
    txop_s: float = 2.528e-3

    def __post_init__(self) -> None:
        if not (1 <= self.aifsn <= 15 and 0 <= self.cw_min <= self.cw_max <= 32767 and self.txop_s >= 0):
            raise InputError(
                f"EDCA: found AIFSN {self.aifsn}, windows of {self.cw_min} to {self.cw_max} slots and a TXOP "
                f"of {self.txop_s:g} s; expected 1 to 15, 0 to 32767 in this order, and 0 s or more"
            )

    @property
    def aifs_s(self) -> float:
        """Idle time before the first slot (AIFS) [s]."""
        return SIFS_S + self.aifsn * SLOT_S

    @property
    def eifs_s(self) -> float:
        """Idle time after an undecodable frame: EIFS - DIFS + AIFS, with room for an acknowledgement [s]."""
        return SIFS_S + control_s(ACK_BYTES, LOWEST_CONTROL_BPS) + self.aifs_s

    @property
    def after_failure_s(self) -> float:
        """Time from the end of a station's unanswered frame to its first slot (10.23.2.4, boundary c) [s]."""
        return RESPONSE_TIMEOUT_S + self.aifs_s

    def next_cw(self, cw: int) -> int:
        """Return the contention window after one more failure."""
        return min(2 * cw + 1, self.cw_max)


ACCESS_CATEGORIES: MappingProxyType[AccessCategory, Edca] = MappingProxyType(
    {
        "background": Edca(aifsn=7),
        "best-effort": Edca(aifsn=3),
        "video": Edca(aifsn=2, cw_min=7, cw_max=15, txop_s=4.096e-3),
        "voice": Edca(aifsn=2, cw_min=3, cw_max=7, txop_s=2.080e-3),
    }
)
"""802.11-2020 table 9-155, OFDM PHYs, aCWmin 15 and aCWmax 1023."""


def backoff_slots(key: int, instant: int, cw: int) -> int:
    """Draw a backoff of 0 … cw slots, as a function of the station's key and the instant alone."""
    return int(keyed_uniform(key ^ instant, 0) * (cw + 1))


def slots_passed(anchor_s: float, busy_at_s: float) -> int:
    """Return how many slot boundaries a station has counted down before it detects a transmission.

    The boundaries are at ``anchor_s`` and every slot after it. At a boundary a station sends or counts down
    by one. It has then detected what began a slot or more ago: a slot is the time that detection,
    propagation and turnaround take (clause 10.3.7).
    """
    return max(0, math.ceil((busy_at_s - anchor_s) / SLOT_S + 1.0 - _EDGE))


def first_boundary(anchor_s: float, from_s: float) -> int:
    """Return the number of the first slot boundary not before an instant; ``anchor_s`` is number 0."""
    return max(0, math.ceil((from_s - anchor_s) / SLOT_S - _EDGE))
