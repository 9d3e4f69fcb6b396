"""How those who send at the same time share a band: fixed shares, turns, and slot-by-slot schedulers.

Shares are for processor sharing: they hold until somebody joins or leaves. Schedulers are pure steps: who
has the next slot, and the state after it. Members are named by any hashable value, so that they may join
and leave between steps.

Resource blocks within a slot are another matter: :mod:`edgesim.radio.access.grants`.

Not modelled: control channels, a limit to how many may be scheduled in a slot, delay- or size-aware
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
    """Equal shares of a band for n members (FDMA, OFDMA)."""
    return (1.0 / n,) * n


def weighted(weights: Sequence[float]) -> tuple[float, ...]:
    """Shares of a band in proportion to weights, 1 in all.

    Parameters
    ----------
    weights
        One for each member, positive and finite.
    """
    for place, weight in enumerate(weights):
        if not 0.0 < weight < math.inf:
            raise InputError(
                f"sharing: weight {weight:g} of member {place}; expected a finite number above 0: "
                "a member that is to have nothing does not take part"
            )
    total = math.fsum(weights)
    return tuple(weight / total for weight in weights)


@dataclass(frozen=True, slots=True)
class Tdma:
    """Frames of one slot for each of n members, from instant 0 on: the whole band, 1/n of the time.

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
        """Share of time that a member has."""
        return 1.0 / self.n

    @property
    def mean_wait_s(self) -> float:
        """Mean time until a member's own slot, from an instant that knows nothing of the frame.

        The gap of n - 1 slots is met with probability (n - 1) / n, and waited out for half of it on average.
        """
        return 0.5 * (self.n - 1) ** 2 * self.slot_s / self.n

    def next_s(self, member: int, at_s: float) -> float:
        """First instant, not before the given one, within a member's slot."""
        return max(at_s, self._slot(member, at_s) * self.slot_s)

    def finish_s(self, member: int, start_s: float, airtime_s: float) -> float:
        """When a member's transmission of so much airtime ends, if it begins as soon as it may.

        It pauses during others' slots. Of no airtime, it ends when its slot comes.
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
        """Number of a member's first slot that ends after an instant."""
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
    """Give the next slot to whoever waits and has waited longest for a turn.

    Parameters
    ----------
    order
        Members, whose turn it is first. Who joins goes to the end; who leaves is left out.
    waiting
        Those of them that have something to send.

    Returns
    -------
    tuple
        Who has the slot (None if nobody waits), and the order for the next one.
    """
    for place, member in enumerate(order):
        if member in waiting:
            return member, (*order[:place], *order[place + 1 :], member)
    return None, tuple(order)


def max_rate(rates: Mapping[Member, float]) -> Member | None:
    """Give the next slot to whoever has the highest rate: most bits in all, and nothing for those far away.

    Parameters
    ----------
    rates
        What a slot would carry, or a rate, of each member that waits. The first of equals is chosen.

    Returns
    -------
    Member or None
        Who has the slot; None where no rate is above 0.
    """
    return max((m for m, rate in rates.items() if rate > 0), key=rates.__getitem__, default=None)


def proportional_fair(
    rates: Mapping[Member, float], averages: Mapping[Member, float], window: float = 100.0
) -> tuple[Member | None, dict[Member, float]]:
    """Give the next slot to whoever has the highest rate over its average: the best moment of each.

    Averages are exponentially weighted, with the weight 1/window for the newest slot. In the long run this
    maximises the sum of the logarithms of goodputs (Kelly's proportional fairness). Source: Jalali, Padovani
    and Pankaj 2000, "Data throughput of CDMA-HDR", VTC Spring; Viswanath, Tse and Laroia 2002, IEEE
    Transactions on Information Theory 48(6). Whoever has had nothing yet comes first, at the highest rate.

    Parameters
    ----------
    rates
        Rate of each member that waits; 0 where it is out of reach.
    averages
        Averages after the last slot, of all members; one that is missing is 0. Members that do not wait are
        kept, and fall.
    window
        Length of the average in slots, at least 1.

    Returns
    -------
    tuple
        Who has the slot (None where no rate is above 0), and the averages after it.
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
