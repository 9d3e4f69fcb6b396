"""Sharing of a band among simultaneous senders: fixed shares, TDMA frames, and slot-by-slot schedulers.

Shares are for processor sharing: they stay constant until a member joins or leaves. Schedulers are pure
steps: they return the member that has the next slot, and the state after it. Members are identified by any
hashable value, so that they may join and leave between steps.

The division of resource blocks within a slot is in :mod:`edgesim.radio.access.grants`.

Not modelled: control channels, a limit on how many members may be scheduled in a slot, delay- or size-aware
schedulers.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from edgesim.errors import InputError

__all__ = ["Tdma", "equal", "max_rate", "proportional_fair", "round_robin", "weighted"]

Member = TypeVar("Member", bound=Hashable)


def equal(n: int) -> tuple[float, ...]:
    """Return equal shares of a band for n members (FDMA, OFDMA)."""
    return (1.0 / n,) * n


def weighted(weights: Sequence[float]) -> tuple[float, ...]:
    """Return shares of a band in proportion to weights; they sum to 1.

    Parameters
    ----------
    weights
        One for each member, positive and finite.
    """
    for place, weight in enumerate(weights):
        if not 0.0 < weight < math.inf:
            raise InputError(
                f"sharing: weight {weight:g} of member {place}; expected a finite number above 0: "
                "leave out members that are to have no share"
            )
    total = math.fsum(weights)
    return tuple(weight / total for weight in weights)


@dataclass(frozen=True, slots=True)
class Tdma:
    """Time-division multiple access: frames of one slot for each of n members, from instant 0 on.

    In its slot a member has the whole band, which is 1/n of the time.

    Parameters
    ----------
    n
        Members, numbered from 0 in the order of their slots.
    slot_s
        Length of a slot.
    """

    n: int
    slot_s: float

    def __post_init__(self) -> None:
        if self.n < 1 or not 0.0 < self.slot_s < math.inf:
            raise InputError(
                f"tdma: {self.n} members in slots of {self.slot_s:g} s; expected at least 1, "
                "and slots longer than 0 s: correct them"
            )

    @property
    def share(self) -> float:
        """Share of time that a member has the band."""
        return 1.0 / self.n

    @property
    def mean_wait_s(self) -> float:
        """Mean time until a member's own slot, from an instant independent of the frame.

        The gap of n - 1 slots is hit with probability (n - 1) / n, and half of it is left on average.
        """
        return 0.5 * (self.n - 1) ** 2 * self.slot_s / self.n

    def next_s(self, member: int, at_s: float) -> float:
        """Return the first instant, not before the given one, within a member's slot."""
        return max(at_s, self._slot(member, at_s) * self.slot_s)

    def finish_s(self, member: int, start_s: float, airtime_s: float) -> float:
        """Return when a member's transmission of the given airtime ends, if it begins as soon as it may.

        It pauses during the other members' slots. With an airtime of 0 it ends when the member's slot begins.
        """
        slot = self._slot(member, start_s)
        at_s = max(start_s, slot * self.slot_s)
        rest_s = (slot + 1) * self.slot_s - at_s
        if airtime_s <= rest_s:
            return at_s + airtime_s
        left_s = airtime_s - rest_s
        n_whole = math.ceil(left_s / self.slot_s) - 1  # slots filled after the first, all but the last
        return (slot + (n_whole + 1) * self.n) * self.slot_s + (left_s - n_whole * self.slot_s)

    def _slot(self, member: int, at_s: float) -> int:
        """Return the number of a member's first slot that ends after an instant."""
        if not 0 <= member < self.n:
            raise InputError(f"tdma: member {member} of {self.n}; expected 0 to {self.n - 1}: correct it")
        slot = math.floor(at_s / self.slot_s)
        if slot * self.slot_s > at_s:  # the quotient is rounded
            slot -= 1
        elif (slot + 1) * self.slot_s <= at_s:
            slot += 1
        return slot + (member - slot) % self.n


def round_robin(
    order: Sequence[Member], waiting: Collection[Member]
) -> tuple[Member | None, tuple[Member, ...]]:
    """Give the next slot to the first waiting member in order, and move it to the end.

    Parameters
    ----------
    order
        Members, the next to be served first. A member that joins is put at the end; one that leaves is
        removed.
    waiting
        Members that have something to send.

    Returns
    -------
    tuple
        Member that has the slot (None if none waits), and the order for the next slot.
    """
    for place, member in enumerate(order):
        if member in waiting:
            return member, (*order[:place], *order[place + 1 :], member)
    return None, tuple(order)


def max_rate(rates: Mapping[Member, float]) -> Member | None:
    """Give the next slot to the member with the highest rate: most bits in total, but distant members starve.

    Parameters
    ----------
    rates
        Rate (or bits per slot) of each member that waits. Of equal ones the first is chosen.

    Returns
    -------
    Member or None
        Member that has the slot; None if no rate is above 0.
    """
    return max((m for m, rate in rates.items() if rate > 0), key=rates.__getitem__, default=None)


def proportional_fair(
    rates: Mapping[Member, float], averages: Mapping[Member, float], window: float = 100.0
) -> tuple[Member | None, dict[Member, float]]:
    """Give the next slot to the member with the highest ratio of rate to average rate.

    Averages are exponentially weighted, with the weight 1/window for the newest slot. In the long run this
    maximises the sum of the logarithms of goodputs (Kelly's proportional fairness). Source: Jalali, Padovani
    and Pankaj 2000, "Data throughput of CDMA-HDR", VTC Spring; Viswanath, Tse and Laroia 2002, IEEE
    Transactions on Information Theory 48(6). Members with an average of 0 come first, the highest rate first.

    Parameters
    ----------
    rates
        Rate of each member that waits; 0 if it is out of reach.
    averages
        Averages after the last slot, of all members; a missing one counts as 0. Averages of members that do
        not wait are kept, and decay.
    window
        Length of the average in slots, at least 1.

    Returns
    -------
    tuple
        Member that has the slot (None if no rate is above 0), and the averages after it.
    """
    if not window >= 1.0:
        raise InputError(
            f"proportional-fair: a window of {window:g} slots; expected at least 1: usual are 100 to 1000"
        )

    def merit(member: Member) -> tuple[float, float]:
        average = averages.get(member, 0.0)
        return (rates[member] / average if average > 0 else math.inf, rates[member])

    chosen = max((m for m, rate in rates.items() if rate > 0), key=merit, default=None)
    newest = 1.0 / window
    after = {member: (1.0 - newest) * average for member, average in averages.items()}
    for member in rates:
        after.setdefault(member, 0.0)
    if chosen is not None:
        after[chosen] += newest * rates[chosen]
    return chosen, after
