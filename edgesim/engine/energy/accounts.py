"""Energy drawn by the devices of a run, and their uptime."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from edgesim.engine.device.host import Host
from edgesim.engine.energy.power import Drawn, drawn, most_w
from edgesim.engine.failure.uptime import Uptime
from edgesim.engine.network.hop import Hop
from edgesim.engine.process.clock import Clock

__all__ = ["Accounts"]


class Accounts:
    """Sum the activity of stations and hops by device.

    Parameters
    ----------
    uptime
        By device that may go down, its uptime.
    """

    def __init__(self, hosts: Mapping[str, Host], hops: Iterable[Hop], uptime: Mapping[str, Uptime]) -> None:
        self._hosts, self._uptime = hosts, uptime
        self._out: dict[str, list[Hop]] = {id_: [] for id_ in hosts}
        self._into: dict[str, list[Hop]] = {id_: [] for id_ in hosts}
        for hop in hops:
            self._out[hop.sender].append(hop)
            self._into[hop.peer].append(hop)

    def drawn(self, device: str, at_s: float) -> Drawn:
        """Energy that a device has drawn up to an instant after which nothing was booked."""
        uptime = self._uptime.get(device)
        return drawn(self._hosts[device], self._out[device], self._into[device], uptime, at_s)

    def drawn_j(self, clock: Clock, device: str) -> float:
        """Energy that a device has drawn up to now [J]."""
        return self.drawn(device, clock._now).total_j

    def most_w(self, device: str) -> float:
        """Greatest power that a device can draw [W]."""
        return most_w(self._hosts[device], len(self._out[device]), len(self._into[device]))

    def up_s(self, device: str, at_s: float) -> float:
        """Time for which a device has been up, up to an instant [s]."""
        uptime = self._uptime.get(device)
        return at_s if uptime is None else uptime.until(at_s)

    def n_failures(self, device: str) -> int:
        """Number of times that a device has gone down."""
        uptime = self._uptime.get(device)
        return 0 if uptime is None else uptime.n_failures
