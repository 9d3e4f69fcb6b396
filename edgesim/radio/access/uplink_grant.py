"""First grant of an uplink after silence: scheduling request, answer, and duplex pattern.

A terminal with data and no grant waits for its next opportunity to send a scheduling request (TS 38.213
section 9.2.4 and TS 38.321 section 5.4.4). The station decodes it and answers in a slot of the downlink.
The terminal sends K2 slots after the answer (TS 38.214 section 6.1.2.1), or in the next slot after that
which the pattern gives to the uplink. With a configured grant (TS 38.321 section 5.8.2) it sends in the
next uplink slot without a request. Clauses were not re-read in the printed standards.

While a terminal is sending, its data carries buffer status reports and no request is needed. A message that
arrives while the last report would still be answered is included in that answer.

Not modelled: requests that are lost or meet a full control channel; a first grant with room for a buffer
status report alone (here it is as large as the message needs); random access of terminals without
opportunities; the terminal's own preparation before a configured grant.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from types import MappingProxyType

from edgesim.errors import InputError
from edgesim.radio.access.slots import Slots, in_time_s

__all__ = ["PERIODS_SLOTS", "UplinkGrant", "default_k2"]

PERIODS_SLOTS = (1, 2, 4, 5, 8, 10, 16, 20, 40, 80, 160, 320, 640)
"""Periods of a scheduling request in slots (TS 38.331, SchedulingRequestResourceConfig; not re-read)."""

_K2_BY_SLOT_US = MappingProxyType({1000: 1, 500: 1, 250: 2, 125: 3})


def default_k2(slot_s: float) -> int:
    """Return K2 of the default allocation's first row: j of TS 38.214 table 6.1.2.1.1-4 (not re-read).

    1, 1, 2 and 3 slots at 15, 30, 60 and 120 kHz. A terminal of capability 1 needs 10, 12, 23 and 36 symbols
    between a grant and its transmission (N2 of table 6.4-1), which is less.
    """
    return _K2_BY_SLOT_US[round(slot_s * 1e6)]


@dataclass(frozen=True, slots=True, kw_only=True)
class UplinkGrant:
    """Rules of an uplink's first grant after silence; times are in slots of the carrier.

    Parameters
    ----------
    period_slots
        From one opportunity for a scheduling request to the next; 0: a configured grant, without requests.
    processing_slots
        From the end of a request's slot to the first slot in which it may be answered. 1 is an estimate: the
        time that a terminal takes for its own processing, rounded up.
    k2_slots
        From the slot of the answer to the slot of the transmission.
    """

    period_slots: int = 20
    processing_slots: int = 1
    k2_slots: int = 1

    def __post_init__(self) -> None:
        if self.period_slots and self.period_slots not in PERIODS_SLOTS:
            raise InputError(
                f"scheduling request: a period of {self.period_slots} slots; TS 38.331 has "
                f"{', '.join(map(str, PERIODS_SLOTS))}: choose one of them, or 0 for a configured grant"
            )
        if self.processing_slots < 0 or self.k2_slots < 0:
            raise InputError(
                f"uplink grant: {self.processing_slots} slots of processing and a K2 of {self.k2_slots}; "
                "expected 0 or more"
            )

    @property
    def cycle_slots(self) -> int:
        """Slots after a terminal's last transmission during which its report would still be answered."""
        return self.processing_slots + self.k2_slots if self.period_slots else 0

    def offset(self, key: int, up: Slots) -> int:
        """Return a terminal's first opportunity: an uplink slot within a period, chosen by its key alone."""
        if not self.period_slots:
            return 0
        able = [slot for slot in range(self.period_slots) if up.slot(up.from_slot(slot)) == slot]
        return able[key % len(able)] if able else key % self.period_slots

    def first(self, at_s: float, offset: int, up: Slots, down: Slots) -> int:
        """Return the first uplink slot for a message that arrives at an instant while the uplink is silent.

        An opportunity in a slot that the pattern gives to the downlink is postponed to the next uplink slot.
        """
        if not self.period_slots:
            return up.next(at_s)
        slot_s, period = up.slot_s, self.period_slots
        turn = max(0, math.floor((at_s / slot_s - offset) / period))
        earliest_s = in_time_s(at_s)
        while (offset + turn * period) * slot_s < earliest_s:
            turn += 1
        asked = up.slot(up.from_slot(offset + turn * period))
        answered = down.slot(down.from_slot(asked + 1 + self.processing_slots))
        return up.from_slot(answered + self.k2_slots)

    def mean_s(self, up: Slots, down: Slots, *, uplink: bool) -> float:
        """Return the mean time from a random instant to the end of a short message's only slot.

        Parameters
        ----------
        up, down
            Slots of each direction.
        uplink
            Whether the message goes up, after silence.
        """
        way = up if uplink else down
        n_slots = math.lcm(way.n_pattern, self.period_slots or 1) if uplink else way.n_pattern
        offset, total_s = self.offset(0, up), 0.0
        for slot in range(1, n_slots + 1):  # all arrivals within the preceding slot get the same grant
            at_s = slot * way.slot_s
            number = self.first(at_s, offset, up, down) if uplink else way.next(at_s)
            total_s += way.end_s(number) - (slot - 0.5) * way.slot_s
        return total_s / n_slots
