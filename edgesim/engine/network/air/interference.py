"""Interference between the transfers of cells on one channel.

Power received from other cells is taken over the whole band, without their fast fading. An active station
sends with all its power; a terminal with a part of the band puts all its power into that part, which over the
whole band gives the same total. A sender that has the band for a share of the time is weighted with that
share, and a 5G station with the share of resource blocks that it sends in.

Not modelled: interference between uplink and downlink (cells on one channel have the same pattern),
coordination.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Protocol

from edgesim.engine.network.air.transfer import Carrier
from edgesim.world.medium import Medium

__all__ = ["Band", "Cell"]


class Cell(Protocol):
    """Interface of a cell in a band: a pool of transfers, or a Wi-Fi channel."""

    medium: Medium
    terminals: dict[str, None]

    @property
    def is_uplink(self) -> bool | None:
        """The direction; None for both."""
        ...

    @property
    def is_idle(self) -> bool:
        """Whether there is no transfer on the air."""
        ...

    def refresh(self) -> None:
        """Recompute the rates after a change outside the cell."""
        ...

    def sending(self, *, is_uplink: bool) -> dict[str, float]:
        """Return the devices that send in a direction now, with the share of time for which they do."""
        ...

    def glance(self, *, is_uplink: bool) -> dict[str, float]:
        """Like :meth:`sending`, without changing anything."""
        ...


class Band:
    """The pools of cells on one channel."""

    def __init__(self) -> None:
        self._pools: list[Cell] = []
        self._others: dict[Cell, list[Cell]] = {}

    def add(self, pool: Cell) -> None:
        """Add a pool."""
        self._pools.append(pool)
        # Pools interfere if they have a direction in common.
        self._others = {
            one: [other for other in self._pools if other is not one and _meet(one, other)]
            for one in self._pools
        }

    def notify(self, changed: Cell) -> None:
        """Refresh the other pools of a direction after a change of one pool's activity."""
        if changed.medium.load is not None:
            return  # its load is constant
        for pool in self._others[changed]:
            if not pool.is_idle:
                pool.refresh()

    def is_silent_but_for(self, one: Cell) -> bool:
        """Whether no other pool's activity could affect this pool, or be affected by it."""
        for pool in self._others[one]:  # noqa: SIM110  # called for every message: a generator is slower
            if not pool.is_idle:
                return False
        return True

    def disturbance(
        self, own: Cell, carrier: Carrier, now_s: float, *, glances: bool = False
    ) -> tuple[float, float]:
        """Return the power of other cells at a receiver, over the band [W], and until when it is constant.

        Parameters
        ----------
        glances
            Whether to leave the other cells unchanged, as an observer must.
        """
        received_w, until_s = 0.0, math.inf
        for pool in self._others[own]:
            if pool.medium.load is None and pool.is_idle:
                continue
            if carrier.is_uplink:  # other cells' terminals, received at this station
                for terminal, share in _terminals(pool, glances=glances).items():
                    link = own.medium.across.get(terminal)
                    if link is not None and terminal != carrier.channel.terminal:
                        received_w += share * link.mean_received_w(now_s, uplink=True)
                        until_s = min(until_s, link.large_scale.at(now_s).until_s)
            elif share := _station(pool, glances=glances):  # another station, received at this terminal
                link = pool.medium.across.get(carrier.channel.terminal)
                if link is not None:
                    received_w += share * link.mean_received_w(now_s, uplink=False)
                    until_s = min(until_s, link.large_scale.at(now_s).until_s)
        return received_w, until_s


def _meet(one: Cell, other: Cell) -> bool:
    """Whether two pools have a direction in common."""
    return one.is_uplink == other.is_uplink or one.is_uplink is None or other.is_uplink is None


def _terminals(pool: Cell, *, glances: bool) -> Mapping[str, float]:
    """Return a cell's sending terminals with their shares of time; with a load, all terminals alternate."""
    if pool.medium.load is not None:
        return dict.fromkeys(pool.terminals, pool.medium.load / max(1, len(pool.terminals)))
    return pool.glance(is_uplink=True) if glances else pool.sending(is_uplink=True)


def _station(pool: Cell, *, glances: bool) -> float:
    """Share of time for which a cell's station sends."""
    if pool.medium.load is not None:
        return pool.medium.load
    shares = pool.glance(is_uplink=False) if glances else pool.sending(is_uplink=False)
    return sum(shares.values())
