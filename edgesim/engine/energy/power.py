"""Energy drawn by devices: busy times of their stations, times power, exact up to any instant."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from edgesim.engine.device.host import Host
from edgesim.engine.failure.uptime import Uptime
from edgesim.engine.network.hop import Hop

__all__ = ["Drawn", "drawn", "most_w"]


class Drawn(NamedTuple):
    """Energy that a device has drawn [J], by purpose; active energy is in addition to idle energy."""

    compute_j: float
    tx_j: float
    rx_j: float
    idle_j: float

    @property
    def total_j(self) -> float:
        """Total energy [J]."""
        return self.compute_j + self.tx_j + self.rx_j + self.idle_j


def drawn(host: Host, out: Iterable[Hop], into: Iterable[Hop], uptime: Uptime | None, at_s: float) -> Drawn:
    """Compute the energy that a device has drawn since time zero.

    Parameters
    ----------
    out, into
        The hops on which it sends and receives.
    uptime
        Its uptime; None if it was always up.
    at_s
        The present instant, or the end of the run [s].
    """
    power = host.device.power
    tx_j = rx_j = 0.0
    for hop in out:
        tx_j += hop.tx_until(at_s) * power.tx_w
    for hop in into:
        rx_j += hop.rx_until(at_s) * power.rx_w
    if host.holds is not None:
        tx_j += host.holds.tx_until(at_s) * power.tx_w
        rx_j += host.holds.rx_until(at_s) * power.rx_w
    up_s = at_s if uptime is None else uptime.until(at_s)
    idle_j = up_s * (power.idle_w + power.radio_idle_w)
    return Drawn(host.busy_until(at_s) * power.active_w, tx_j, rx_j, idle_j)


def most_w(host: Host, n_out: int, n_in: int) -> float:
    """Greatest power of a device [W]: computing, and sending and receiving on every hop at once."""
    power = host.device.power
    return power.idle_w + power.radio_idle_w + power.active_w + n_out * power.tx_w + n_in * power.rx_w
