"""Grants of a slot's resource blocks: requests of terminals, their grants, and how long these hold.

A terminal requests the fewest resource blocks whose transport block carries its data (TS 38.214 section
5.1.3.2), at the scheme that its channel allows over just those: an uplink puts all its power into them.
Everything is computed for the beginning of a slot, which may be in the future; the only state is the order of
the terminals.

Not modelled: several transport blocks of a terminal in one slot, link adaptation that changes within a slot.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

from edgesim.engine.network.air.slot_sharing import Ask, Member, SlotSharing
from edgesim.engine.network.air.transfer import Transfer
from edgesim.radio.access.resource_grid import ResourceGrid
from edgesim.radio.access.slots import Slots
from edgesim.radio.radio_link import RadioState

__all__ = ["DUST_BITS", "Granting", "Part", "Queue", "Stretch"]

DUST_BITS = 1e-6
"""Rounding error of a message's remaining size [bit]."""

_ROUNDING = 1e-9
_MOST_SLOTS = 1e9
_MOST_IN_ONE_BITS = 1000.0  # more than a resource block carries at one layer

Look = Callable[[float, Transfer, float], tuple[RadioState, float]]
"""Evaluates a transfer's channel at an instant over a share of the band, and until when it is constant."""


class Part(NamedTuple):
    """A transfer's part of each slot of a stretch."""

    transfer: Transfer
    slot_bits: float
    """Of a whole slot."""
    tx_share: float
    rx_share: float


class Stretch(NamedTuple):
    """Consecutive slots with the same grants."""

    first: int
    end: int
    """The first slot after the stretch."""
    parts: tuple[Part, ...]
    senders: dict[str, float]
    """By sender, its part of the band; 1 for a terminal, which puts all its power into its part."""
    passed: Callable[[], None] | None
    """Updates the rule after the slot, if its grants are for one slot only."""


class Queue:
    """The transfers of a terminal in a direction.

    Attributes
    ----------
    offset
        For an uplink: its first opportunity to request a grant.
    granted
        First slot that it may use after it was silent.
    known_until_s
        Until when the station still grants data that are missing from its last report [s].
    """

    __slots__ = ("granted", "key", "known_until_s", "offset", "transfers", "weight")

    def __init__(self, key: Member, weight: float, offset: int) -> None:
        self.key, self.weight, self.offset = key, weight, offset
        self.transfers: dict[Transfer, None] = {}
        self.granted, self.known_until_s = 0, -math.inf


class _Wish(NamedTuple):
    """A terminal's request in a slot."""

    ask: Ask
    transfers: list[Transfer]
    share: float
    """The requested part of the band."""
    state: RadioState
    """Its channel over that part."""


class Granting:
    """Grant the resource blocks of a cell's slots in a direction.

    Attributes
    ----------
    until_s
        When a channel changes that was evaluated for the last grants.
    stalled
        Transfers found out of reach for the last grants, and not before.
    """

    def __init__(self, grid: ResourceGrid, slots: Slots, rule: SlotSharing, look: Look) -> None:
        self._grid, self._slots, self._rule, self._look_at = grid, slots, rule, look
        self.until_s = math.inf
        self.stalled: list[Transfer] = []

    def decide(self, active: Mapping[Transfer, Queue], number: int) -> Stretch | None:
        """Grant the resource blocks of a slot, and of as many after it as have the same grants.

        None if no transfer that may be sent is in reach.
        """
        slots = self._slots
        at_s, part, n_prb = slots.begin_s(number), slots.part(number), self._grid.n_prb
        self.until_s, self.stalled = math.inf, []
        if len(active) == 1:
            ((only, its),) = active.items()
            return None if only.slot > number else self._alone(only, its, number, at_s, part)
        waiting: dict[Queue, list[Transfer]] = {}
        later: list[int] = []
        for transfer, queue in active.items():
            if transfer.slot > number:
                later.append(transfer.slot)
            elif queue in waiting:
                waiting[queue].append(transfer)
            else:
                waiting[queue] = [transfer]
        wishes: dict[Member, _Wish] = {}
        for queue, own in waiting.items():
            wish = self._wish(queue, own, at_s, part)
            if wish is not None:
                wishes[queue.key] = wish
        if not wishes:
            return None
        passed: Callable[[], None] | None = None
        if len(wishes) == 1:
            granted, steady = {key: wish.ask.n_prb for key, wish in wishes.items()}, True
        else:
            asks = {key: wish.ask for key, wish in wishes.items()}
            granted, steady = self._rule.grants(asks, n_prb)
            if not steady:
                passed = partial(self._rule.passed, asks, granted, n_prb)
        parts: list[Part] = []
        senders: dict[str, float] = {}
        for key, n_granted in granted.items():
            self._grant(wishes[key], n_granted, at_s, part, parts, senders)
        if not parts:
            return None
        end = self._end(number, parts, later) if steady else number + 1
        return Stretch(number, end, tuple(parts), senders, passed)

    def _alone(self, only: Transfer, queue: Queue, number: int, at_s: float, part: float) -> Stretch | None:
        """Grant a slot to the only transfer: the same result, computed faster."""
        least = self._least(only, number, at_s, part)
        if least is not None:
            return least
        wish = self._wish(queue, [only], at_s, part)
        if wish is None:
            return None
        parts: list[Part] = []
        senders: dict[str, float] = {}
        self._grant(wish, wish.ask.n_prb, at_s, part, parts, senders)
        return Stretch(number, self._end(number, parts, ()), tuple(parts), senders, None) if parts else None

    def _least(self, only: Transfer, number: int, at_s: float, part: float) -> Stretch | None:
        """Grant one resource block if all data fit into it, without evaluating the whole band; else None."""
        n_bits = min(only.left_bits, only.attempt_left_bits) if only.is_begun else only.n_bits
        if n_bits > _MOST_IN_ONE_BITS:
            return None
        share = 1.0 / self._grid.n_prb
        state = self._look(at_s, only, share)
        if state.grant.block_bits * part < n_bits:  # 0 if out of reach
            return None
        only.stalled_at_s = None
        carrier = only.carrier
        self._begin(only, state, share, at_s)
        n_bits = min(only.left_bits, only.attempt_left_bits) / part
        if carrier.is_uplink:
            return Stretch(number, number + 1, (Part(only, n_bits, 1.0, share),), {carrier.sender: 1.0}, None)
        return Stretch(number, number + 1, (Part(only, n_bits, share, 1.0),), {carrier.sender: share}, None)

    @staticmethod
    def _begin(transfer: Transfer, state: RadioState, share: float, at_s: float) -> None:
        """Set a transfer's channel state; cut it into blocks if this is its first."""
        transfer.state, transfer.band_share = state, share
        if not transfer.is_begun:
            transfer.is_begun, transfer.begins_s = True, at_s
            transfer.carrier.in_reach(transfer)
            transfer.attempt_left_bits = transfer.attempt_bits

    def _end(self, number: int, parts: Sequence[Part], later: Iterable[int]) -> int:
        """Return the first slot whose grants may differ: a need, a channel or the set of transfers changes.

        A transfer whose last bit left as another event ended the stretch early needs nothing of the next
        slot, and is removed at that slot's end.
        """
        most = min(
            min(transfer.left_bits, transfer.attempt_left_bits) / slot_bits if slot_bits else 0.0
            for transfer, slot_bits, _, _ in parts
        )
        if most < 2.0:
            return number + 1
        end = min([number + int(min(most, _MOST_SLOTS) + _ROUNDING), *later])
        return end if self.until_s == math.inf else max(number + 1, min(end, self._slots.next(self.until_s)))

    def _wish(self, queue: Queue, own: list[Transfer], at_s: float, part: float) -> _Wish | None:
        """Return what a terminal can use of a slot; None if it is out of reach."""
        n_prb, n_bits = self._grid.n_prb, 0.0
        for one in own:
            n_bits += min(one.left_bits, one.attempt_left_bits) if one.is_begun else one.n_bits
        whole = self._look(at_s, own[0], 1.0)
        if whole.grant.mcs < 0:
            for one in own:
                if one.stalled_at_s is None:
                    one.stalled_at_s = at_s
                    self.stalled.append(one)
            return None
        for one in own:
            one.stalled_at_s = None
        most = max(1, int(n_prb * whole.used_share + 1e-6))
        whole_bits = whole.grant.block_bits * part
        if n_bits >= whole_bits:
            return _Wish(Ask(most, queue.weight, whole_bits), own, 1.0, whole)
        uplink, channel = own[0].carrier.is_uplink, own[0].carrier.channel
        fewest = min(most, channel.link.fewest_prb(whole, n_bits / part, uplink=uplink))
        if fewest == n_prb:
            return _Wish(Ask(fewest, queue.weight, whole_bits), own, 1.0, whole)
        share = fewest / n_prb
        return _Wish(Ask(fewest, queue.weight, whole_bits), own, share, self._look(at_s, own[0], share))

    def _grant(
        self,
        wish: _Wish,
        n_granted: int,
        at_s: float,
        part: float,
        parts: list[Part],
        senders: dict[str, float],
    ) -> None:
        """Divide a terminal's grant among its transfers."""
        n_prb, first = self._grid.n_prb, wish.transfers[0]
        state, share = wish.state, wish.share
        if n_granted < wish.ask.n_prb:
            share = n_granted / n_prb
            state = self._look(at_s, first, share)
        if state.grant.mcs < 0:
            return
        used = max(1, int(n_prb * share * state.used_share + 1e-6)) / n_prb
        slot_bits = float(state.grant.block_bits)
        for transfer in wish.transfers:
            self._begin(transfer, state, share, at_s)
        is_uplink, sender = first.carrier.is_uplink, first.carrier.sender
        senders[sender] = 1.0 if is_uplink else senders.get(sender, 0.0) + used
        if len(wish.transfers) == 1:
            n_bits = min(first.left_bits, first.attempt_left_bits) / part
            ends = (1.0, used) if is_uplink else (used, 1.0)
            parts.append(Part(first, min(n_bits, slot_bits), *ends))
            return
        needs = [min(one.left_bits, one.attempt_left_bits) / part for one in wish.transfers]
        total = math.fsum(needs)
        sent = needs if total <= slot_bits else _equally(needs, slot_bits)
        total = math.fsum(sent)
        for transfer, n_bits in zip(wish.transfers, sent, strict=True):
            if n_bits > 0.0:
                of_grant = n_bits / total
                ends = (of_grant, of_grant * used) if is_uplink else (of_grant * used, of_grant)
                parts.append(Part(transfer, n_bits, *ends))

    def _look(self, at_s: float, transfer: Transfer, band_share: float) -> RadioState:
        state, until_s = self._look_at(at_s, transfer, band_share)
        self.until_s = min(self.until_s, until_s)
        return state


def _equally(needs: list[float], n_bits: float) -> list[float]:
    """Divide a number of bits equally, and distribute what some do not need among the others."""
    parts, left = [0.0] * len(needs), n_bits
    order = sorted(range(len(needs)), key=needs.__getitem__)
    for rank, place in enumerate(order):
        parts[place] = min(needs[place], left / (len(needs) - rank))
        left -= parts[place]
    return parts
