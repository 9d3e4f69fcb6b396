"""Cells on one channel: whose transfers disturb whose, and by how much.

What is received from others is taken over all of the band, without their fast fading. A station that is
active sends with all its power; a terminal that has a part of the band puts all its power into that part,
which over the band comes to the same. Who has the band for a share of the time counts with that share, and a
5G station with the share of resource blocks that it sends in.

Not modelled: interference between uplink and downlink (cells on one channel keep one pattern), coordination.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Protocol

from edgesim.engine.network.air.transfer import Carrier
from edgesim.world.medium import Medium

__all__ = ["Band", "Cell"]


class Cell(Protocol):
    """What a band asks of a cell at work in it: a pool of transfers, or a Wi-Fi channel."""

    medium: Medium
    terminals: dict[str, None]

    @property
    def is_uplink(self) -> bool | None:
        """The direction; None for both."""
        ...

    @property
    def is_idle(self) -> bool:
        """Whether nothing is on the air."""
        ...

    def refresh(self) -> None:
        """Work out the rates anew: something outside has changed."""
        ...

    def sending(self, *, is_uplink: bool) -> dict[str, float]:
        """Ids of those who send in a direction at present, with the share of time for which they do."""
        ...


class Band:
    """The pools of cells on one channel."""

    def __init__(self) -> None:
        self._pools: list[Cell] = []
        self._others: dict[Cell, list[Cell]] = {}

    def add(self, pool: Cell) -> None:
        """Take in a pool."""
        self._pools.append(pool)
        # Whose directions meet: which pools can hear of one another.
        self._others = {
            one: [other for other in self._pools if other is not one and _meet(one, other)]
            for one in self._pools
        }

    def tell(self, changed: Cell) -> None:
        """Let the others of a direction know that a pool's activity has changed."""
        if changed.medium.load is not None:
            return  # as loaded as before
        for pool in self._others[changed]:
            if not pool.is_idle:
                pool.refresh()

    def is_silent_but_for(self, one: Cell) -> bool:
        """Whether no other pool's activity could change what a pool meets, or be changed by it."""
        for pool in self._others[one]:  # noqa: SIM110  # asked for every message: a generator would be slower
            if not pool.is_idle:
                return False
        return True

    def disturbance(self, own: Cell, carrier: Carrier, now_s: float) -> tuple[float, float]:
        """Power that other cells bring to a receiver, over all of the band [W]; until when it stays so."""
        received_w, until_s = 0.0, math.inf
        for pool in self._others[own]:
            if pool.medium.load is None and pool.is_idle:
                continue
            if carrier.is_uplink:  # other cells' terminals, at this station
                for terminal, share in _terminals(pool).items():
                    link = own.medium.across.get(terminal)
                    if link is not None and terminal != carrier.channel.terminal:
                        received_w += share * link.mean_received_w(now_s, uplink=True)
                        until_s = min(until_s, link.large_scale.at(now_s).until_s)
            elif share := _station(pool):  # another station, at this terminal
                link = pool.medium.across.get(carrier.channel.terminal)
                if link is not None:
                    received_w += share * link.mean_received_w(now_s, uplink=False)
                    until_s = min(until_s, link.large_scale.at(now_s).until_s)
        return received_w, until_s


def _meet(one: Cell, other: Cell) -> bool:
    """Whether two pools have a direction in common."""
    return one.is_uplink == other.is_uplink or one.is_uplink is None or other.is_uplink is None


def _terminals(pool: Cell) -> Mapping[str, float]:
    """A cell's terminals that send, with the share of time (of full buffers: all of them, in turns)."""
    if pool.medium.load is not None:
        return dict.fromkeys(pool.terminals, pool.medium.load / max(1, len(pool.terminals)))
    return pool.sending(is_uplink=True)


def _station(pool: Cell) -> float:
    """Share of time for which a cell's station sends."""
    if pool.medium.load is not None:
        return pool.medium.load
    return sum(pool.sending(is_uplink=False).values())
