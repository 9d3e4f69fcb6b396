"""Who has the resource blocks of a slot: a rule for each kind of access, in whole blocks and whole slots.

A rule is asked at the beginning of a slot, whenever something may have changed, and only while two or more
have something to send; it may be asked of one slot several times. Grants that are steady hold until
somebody's need or channel changes; others are of one slot, and the rule is told when that has passed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Protocol

from edgesim.radio.access.grants import in_turn, side_by_side
from edgesim.world.medium import Access

__all__ = ["Ask", "Member", "SlotSharing", "slot_sharing"]

Member = tuple[str, bool]
"""A terminal, and whether it is to send."""


class Ask(NamedTuple):
    """What a terminal with something to send brings to a slot."""

    n_prb: int
    """Resource blocks that it can use: the fewest that carry what it has, at most those of the carrier."""
    weight: float
    """Its part under ``weighted``, relative to the others'."""
    whole_bits: float
    """What it would send in a slot with all that it can use of the carrier."""


class SlotSharing(Protocol):
    """A rule by which terminals share slots."""

    def grants(self, asks: Mapping[Member, Ask], n_prb: int) -> tuple[dict[Member, int], bool]:
        """Resource blocks of those that have any in this slot; whether the next slot would be the same."""
        ...

    def passed(self, asks: Mapping[Member, Ask], granted: Mapping[Member, int], n_prb: int) -> None:
        """Hear that a slot with these grants has passed; not of steady ones."""
        ...

    def forget(self, member: Member) -> None:
        """Hear that a terminal has nothing to send any more."""
        ...


class _Turns:
    """Whose turn it is: who has had a slot goes to the end."""

    def __init__(self) -> None:
        self._order: tuple[Member, ...] = ()

    def order(self, asks: Mapping[Member, Ask]) -> tuple[Member, ...]:
        """Those that ask, whose turn is next first."""
        known = set(self._order)
        self._order = (*self._order, *(member for member in asks if member not in known))
        return tuple(member for member in self._order if member in asks)

    def passed(self, asks: Mapping[Member, Ask], granted: Mapping[Member, int], n_prb: int) -> None:
        """Send those to the end that have had this slot."""
        del asks, n_prb
        waiting = [member for member in self._order if member not in granted]
        self._order = (*waiting, *(member for member in self._order if member in granted))

    def forget(self, member: Member) -> None:
        """Leave a terminal out."""
        if self._order:
            self._order = tuple(one for one in self._order if one != member)


class _InFrequency(_Turns):
    """Parts of the band side by side, by equal or by given weights; in turns where blocks are fewer."""

    def __init__(self, *, is_weighted: bool) -> None:
        super().__init__()
        self._is_weighted = is_weighted

    def grants(self, asks: Mapping[Member, Ask], n_prb: int) -> tuple[dict[Member, int], bool]:
        if len(asks) > n_prb:
            return dict.fromkeys(self.order(asks)[:n_prb], 1), False
        wants = {member: ask.n_prb for member, ask in asks.items()}
        weights = {member: ask.weight if self._is_weighted else 1.0 for member, ask in asks.items()}
        return side_by_side(wants, weights, n_prb), True


class _InTime(_Turns):
    """A slot each in turn, the whole band of it."""

    def grants(self, asks: Mapping[Member, Ask], n_prb: int) -> tuple[dict[Member, int], bool]:
        del n_prb  # what the owner of a slot does not need of it stays empty
        member = self.order(asks)[0]
        return {member: asks[member].n_prb}, False


class _RoundRobin(_Turns):
    """As much of a slot as it can use to the one whose turn it is, then to the next."""

    def grants(self, asks: Mapping[Member, Ask], n_prb: int) -> tuple[dict[Member, int], bool]:
        wants = {member: ask.n_prb for member, ask in asks.items()}
        return in_turn(wants, self.order(asks), n_prb), False


class _ToTheBest:
    """As much of a slot as it can use to the best channel, then to the next."""

    def grants(self, asks: Mapping[Member, Ask], n_prb: int) -> tuple[dict[Member, int], bool]:
        best = sorted(asks, key=lambda member: -asks[member].whole_bits)
        return in_turn({member: ask.n_prb for member, ask in asks.items()}, best, n_prb), True

    def passed(self, asks: Mapping[Member, Ask], granted: Mapping[Member, int], n_prb: int) -> None:
        """Nothing to remember."""

    def forget(self, member: Member) -> None:
        """Nothing to forget."""


class _ProportionalFair:
    """As much of a slot as it can use to the best channel over its average, then to the next.

    Averages are exponentially weighted over slots in which anybody had to share, as in
    :func:`edgesim.radio.access.sharing.proportional_fair`; what a terminal is counted to have sent is its
    part of what it could have.
    """

    def __init__(self, window: float) -> None:
        self._newest = 1.0 / window
        self._averages: dict[Member, float] = {}

    def grants(self, asks: Mapping[Member, Ask], n_prb: int) -> tuple[dict[Member, int], bool]:
        def merit(member: Member) -> tuple[float, float]:
            average, rate = self._averages.get(member, 0.0), asks[member].whole_bits
            return (-rate / average if average > 0.0 else -float("inf"), -rate)

        order = sorted(asks, key=merit)
        return in_turn({member: ask.n_prb for member, ask in asks.items()}, order, n_prb), False

    def passed(self, asks: Mapping[Member, Ask], granted: Mapping[Member, int], n_prb: int) -> None:
        """Go on with the averages."""
        after = {member: (1.0 - self._newest) * average for member, average in self._averages.items()}
        for member, ask in asks.items():
            sent_bits = ask.whole_bits * granted.get(member, 0) / n_prb
            after[member] = after.get(member, 0.0) + self._newest * sent_bits
        self._averages = after

    def forget(self, member: Member) -> None:
        self._averages.pop(member, None)


def slot_sharing(access: Access, window: float) -> SlotSharing:
    """The rule of an access; ``dcf`` has no slots that a station could give."""
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
