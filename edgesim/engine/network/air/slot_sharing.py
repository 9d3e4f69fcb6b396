"""Sharing of a slot's resource blocks: a rule for each kind of access, in whole blocks and whole slots.

A rule is applied at the beginning of a slot, whenever something may have changed, and only while two or more
terminals have data to send; it may be applied to one slot several times. Steady grants hold until a
terminal's need or channel changes; others are for one slot, and the rule is updated when that slot has
passed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Protocol

from edgesim.radio.access.grants import grant_by_weight, grant_in_order
from edgesim.world.medium import Access

__all__ = ["Ask", "Member", "SlotSharing", "slot_sharing"]

Member = tuple[str, bool]
"""A terminal, and whether it is to send."""


class Ask(NamedTuple):
    """The request of a terminal with data to send in a slot."""

    n_prb: int
    """Resource blocks that it can use: the fewest that carry its data, at most those of the carrier."""
    weight: float
    """Its weight under ``weighted``, relative to the others'."""
    whole_bits: float
    """Bits that it would send in a slot with all resource blocks that it can use."""


class SlotSharing(Protocol):
    """A rule by which terminals share slots."""

    def grants(self, asks: Mapping[Member, Ask], n_prb: int) -> tuple[dict[Member, int], bool]:
        """Return the resource blocks granted in this slot, and whether the next slot would have the same."""
        ...

    def passed(self, asks: Mapping[Member, Ask], granted: Mapping[Member, int], n_prb: int) -> None:
        """Update the rule after a slot with these grants; not called for steady grants."""
        ...

    def forget(self, member: Member) -> None:
        """Remove a terminal that has no more data to send."""
        ...


class _Turns:
    """Round-robin order: terminals that have had a slot go to the end."""

    def __init__(self) -> None:
        self._order: tuple[Member, ...] = ()

    def order(self, asks: Mapping[Member, Ask]) -> tuple[Member, ...]:
        """Return the requesting terminals, the next one first."""
        known = set(self._order)
        self._order = (*self._order, *(member for member in asks if member not in known))
        return tuple(member for member in self._order if member in asks)

    def passed(self, asks: Mapping[Member, Ask], granted: Mapping[Member, int], n_prb: int) -> None:
        """Move the terminals that had this slot to the end."""
        del asks, n_prb
        waiting = [member for member in self._order if member not in granted]
        self._order = (*waiting, *(member for member in self._order if member in granted))

    def forget(self, member: Member) -> None:
        """Remove a terminal from the order."""
        if self._order:
            self._order = tuple(one for one in self._order if one != member)


class _InFrequency(_Turns):
    """Parts of the band side by side, with equal or given weights; in rotation if blocks are fewer."""

    def __init__(self, *, is_weighted: bool) -> None:
        super().__init__()
        self._is_weighted = is_weighted

    def grants(self, asks: Mapping[Member, Ask], n_prb: int) -> tuple[dict[Member, int], bool]:
        if len(asks) > n_prb:
            return dict.fromkeys(self.order(asks)[:n_prb], 1), False
        wants = {member: ask.n_prb for member, ask in asks.items()}
        weights = {member: ask.weight if self._is_weighted else 1.0 for member, ask in asks.items()}
        return grant_by_weight(wants, weights, n_prb), True


class _InTime(_Turns):
    """One slot at a time for each terminal, with the whole band."""

    def grants(self, asks: Mapping[Member, Ask], n_prb: int) -> tuple[dict[Member, int], bool]:
        del n_prb  # blocks that the owner of a slot does not need stay empty
        member = self.order(asks)[0]
        return {member: asks[member].n_prb}, False


class _RoundRobin(_Turns):
    """As much of a slot as it can use to the next terminal in the order, then to the one after it."""

    def grants(self, asks: Mapping[Member, Ask], n_prb: int) -> tuple[dict[Member, int], bool]:
        wants = {member: ask.n_prb for member, ask in asks.items()}
        return grant_in_order(wants, self.order(asks), n_prb), False


class _ToTheBest:
    """As much of a slot as it can use to the terminal with the best channel, then to the next best."""

    def grants(self, asks: Mapping[Member, Ask], n_prb: int) -> tuple[dict[Member, int], bool]:
        best = sorted(asks, key=lambda member: -asks[member].whole_bits)
        return grant_in_order({member: ask.n_prb for member, ask in asks.items()}, best, n_prb), True

    def passed(self, asks: Mapping[Member, Ask], granted: Mapping[Member, int], n_prb: int) -> None:
        """Do nothing: the rule has no state."""

    def forget(self, member: Member) -> None:
        """Do nothing: the rule has no state."""


class _ProportionalFair:
    """As much of a slot as it can use to the terminal with the best rate over average, then to the next.

    Averages are exponentially weighted over slots in which terminals had to share, as in
    :func:`edgesim.radio.access.sharing.proportional_fair`; the bits counted for a terminal are its granted
    fraction of what it could send.
    """

    def __init__(self, window: float) -> None:
        self._newest = 1.0 / window
        self._averages: dict[Member, float] = {}

    def grants(self, asks: Mapping[Member, Ask], n_prb: int) -> tuple[dict[Member, int], bool]:
        def merit(member: Member) -> tuple[float, float]:
            average, rate = self._averages.get(member, 0.0), asks[member].whole_bits
            return (-rate / average if average > 0.0 else -float("inf"), -rate)

        order = sorted(asks, key=merit)
        return grant_in_order({member: ask.n_prb for member, ask in asks.items()}, order, n_prb), False

    def passed(self, asks: Mapping[Member, Ask], granted: Mapping[Member, int], n_prb: int) -> None:
        """Update the averages."""
        after = {member: (1.0 - self._newest) * average for member, average in self._averages.items()}
        for member, ask in asks.items():
            sent_bits = ask.whole_bits * granted.get(member, 0) / n_prb
            after[member] = after.get(member, 0.0) + self._newest * sent_bits
        self._averages = after

    def forget(self, member: Member) -> None:
        self._averages.pop(member, None)


def slot_sharing(access: Access, window: float) -> SlotSharing:
    """Return the rule of an access; ``dcf`` has no slots for a station to grant."""
    match access:
        case "tdma":
            return _InTime()
        case "round-robin":
            return _RoundRobin()
        case "proportional-fair":
            return _ProportionalFair(window)
        case "max-rate":
            return _ToTheBest()
        case _:
            return _InFrequency(is_weighted=access == "weighted")
