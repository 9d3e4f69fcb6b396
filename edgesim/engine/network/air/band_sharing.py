"""Band sharing between the transfers on the air: one rule for each kind of access.

A rule is applied whenever something has changed: it evaluates each transfer's channel over its part of the
band, and sets its rate. Scheduled access keeps the owner of the slot, and the order of the next ones.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Collection
from typing import Protocol

from edgesim.engine.network.air.transfer import Transfer
from edgesim.radio.access.sharing import max_rate, proportional_fair, round_robin
from edgesim.world.medium import Medium

__all__ = [
    "BandSharing",
    "InFrequency",
    "InSlots",
    "InTime",
    "Look",
    "ToTheBest",
    "band_sharing",
]

Look = Callable[[Transfer, float], float]
"""Evaluates a transfer's channel over a share of the band; returns until when it is constant."""


class BandSharing(Protocol):
    """A rule by which transfers share a band."""

    def share(self, active: Collection[Transfer], now_s: float, look: Look) -> float:
        """Set every transfer's rate; return until when the rates hold."""
        ...

    def forget(self, transfer: Transfer) -> None:
        """Remove a transfer that has left."""
        ...


class _Memoryless:
    """Base of the rules without state."""

    def forget(self, transfer: Transfer) -> None:
        """Do nothing: the rule has no state."""


class InFrequency(_Memoryless):
    """A part of the band for each transfer, all the time: OFDMA and FDMA, with equal or given weights.

    Each transfer of a terminal gets a fraction of the terminal's part: the terminal sends with one power. If
    both directions share the band, each has it for its weight's share of the time. Transfers out of reach get
    no part.
    """

    def __init__(self, *, is_weighted: bool) -> None:
        self._is_weighted = is_weighted

    def share(self, active: Collection[Transfer], now_s: float, look: Look) -> float:
        """Set every transfer's rate; return until when the rates hold."""
        ways: dict[bool, float] = defaultdict(float)
        own: dict[tuple[str, bool], float] = defaultdict(float)
        for transfer in active:
            carrier, weight = transfer.carrier, self._weight(transfer)
            ways[carrier.is_uplink] += weight
            own[carrier.channel.terminal, carrier.is_uplink] += weight
        total, until_s = sum(ways.values()), math.inf
        for transfer in active:
            carrier = transfer.carrier
            mine, way = own[carrier.channel.terminal, carrier.is_uplink], ways[carrier.is_uplink]
            until_s = min(until_s, look(transfer, mine / way))
            part = self._weight(transfer) / mine * (way / total)
            transfer.rate_bps = transfer.state.rate_bps * part
            # A terminal is busy throughout, a station in proportion to the part of the band.
            at_station = part * mine / way
            transfer.tx_share, transfer.rx_share = (
                (part, at_station) if carrier.is_uplink else (at_station, part)
            )
        reached = [transfer for transfer in active if transfer.rate_bps > 0.0]
        if len(reached) == len(active):
            return until_s
        for transfer in active:
            transfer.give_time(0.0)
        return min(until_s, self.share(reached, now_s, look)) if reached else until_s

    def _weight(self, transfer: Transfer) -> float:
        return transfer.carrier.channel.weight if self._is_weighted else 1.0


class InTime(_Memoryless):
    """The whole band for an equal share of the time; transfers out of reach get no slot."""

    def share(self, active: Collection[Transfer], now_s: float, look: Look) -> float:
        """Set every transfer's rate; return until when the rates hold."""
        until_s = min(look(transfer, 1.0) for transfer in active)
        n_reached = sum(transfer.state.rate_bps > 0.0 for transfer in active)
        for transfer in active:
            transfer.give_time(1.0 / max(1, n_reached))
        return until_s


class ToTheBest(_Memoryless):
    """The whole band for the transfer with the best rate, until that changes."""

    def share(self, active: Collection[Transfer], now_s: float, look: Look) -> float:
        """Set every transfer's rate; return until when the rates hold."""
        until_s = min(look(transfer, 1.0) for transfer in active)
        chosen = max_rate({transfer: transfer.state.rate_bps for transfer in active})
        for transfer in active:
            transfer.give_time(1.0 if transfer is chosen else 0.0)
        return until_s


class InSlots:
    """The whole band, a slot at a time: round robin, or proportionally fair.

    A slot belongs to its owner until its end, unless the owner is done or out of reach earlier.

    Parameters
    ----------
    window
        Slots over which proportional fairness averages; None: round robin.
    slot_end_s
        Returns the end of a slot that begins at an instant.
    """

    def __init__(self, window: float | None, slot_end_s: Callable[[float], float]) -> None:
        self._window, self._slot_end_s = window, slot_end_s
        self._order: tuple[Transfer, ...] = ()
        self._averages: dict[Transfer, float] = {}
        self._owner: Transfer | None = None
        self._until_s = -math.inf

    def share(self, active: Collection[Transfer], now_s: float, look: Look) -> float:
        """Set every transfer's rate; return until when the rates hold."""
        until_s = min(look(transfer, 1.0) for transfer in active)
        rates = {transfer: transfer.state.rate_bps for transfer in active}
        if now_s >= self._until_s or self._owner is None or rates[self._owner] <= 0.0:
            self._owner, self._until_s = self._next(rates), self._slot_end_s(now_s)
        for transfer in active:
            transfer.give_time(1.0 if transfer is self._owner else 0.0)
        return until_s if self._owner is None else min(until_s, self._until_s)

    def forget(self, transfer: Transfer) -> None:
        """Remove a transfer that has left."""
        self._averages.pop(transfer, None)
        self._order = tuple(one for one in self._order if one is not transfer)
        if self._owner is transfer:
            self._owner = None

    def _next(self, rates: dict[Transfer, float]) -> Transfer | None:
        if self._window is not None:
            chosen, self._averages = proportional_fair(rates, self._averages, self._window)
            return chosen
        known = set(self._order)
        self._order = (*self._order, *(transfer for transfer in rates if transfer not in known))
        chosen, self._order = round_robin(self._order, [one for one, rate in rates.items() if rate > 0.0])
        return chosen


def band_sharing(medium: Medium, slot_end_s: Callable[[float], float]) -> BandSharing:
    """Return the sharing rule of a medium's access."""
    match medium.access:
        case "equal" | "weighted":
            return InFrequency(is_weighted=medium.access == "weighted")
        case "tdma":
            return InTime()
        case "max-rate":
            return ToTheBest()
        case _:
            return InSlots(medium.window if medium.access == "proportional-fair" else None, slot_end_s)
