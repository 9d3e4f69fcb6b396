"""Failures and repairs of devices and links during the simulation."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from heapq import heapify, heappop, heappush

from simpy.events import URGENT

from edgesim.engine.device.host import Host
from edgesim.engine.dispatch import Sharing
from edgesim.engine.failure.uptime import Uptime
from edgesim.engine.memory.admission import Reservations
from edgesim.engine.network.transport import Transport
from edgesim.engine.process.clock import Clock
from edgesim.engine.process.verb import DeviceDown, MessageLost
from edgesim.engine.progress import Progress
from edgesim.engine.request import LiveRequest
from edgesim.errors import ContractError
from edgesim.world.world import World

__all__ = ["Downtime"]

_N_IN_VAIN = 10_000
"""Consecutive failures and repairs without other events after which waiting requests count as stuck."""


class Downtime:
    """Take devices and links down and bring them up again, at the instants given by the world.

    Parameters
    ----------
    in_flight
        Returns the requests being served.

    Attributes
    ----------
    uptime
        By device that may go down, its uptime.
    """

    def __init__(
        self,
        world: World,
        clock: Clock,
        hosts: Mapping[str, Host],
        sharing: Sharing,
        transport: Transport,
        reservations: Reservations,
        in_flight: Callable[[], Iterable[LiveRequest]],
        progress: Progress,
    ) -> None:
        self._clock = clock
        self._hosts = hosts
        self._sharing = sharing
        self._transport = transport
        self._reservations = reservations
        self._in_flight = in_flight
        self._progress = progress
        self._devices = {} if world.faults is None else dict(world.faults.devices)
        self._links = {} if world.faults is None else dict(world.faults.links)
        self._absences = {} if world.faults is None else world.faults.absences
        self._empty: set[str] = set()  # devices with an empty battery
        self.uptime = {
            id_: Uptime()
            for id_, host in hosts.items()
            if id_ in self._devices or host.device.battery is not None
        }
        for id_, outages in self._devices.items():
            if outages.down(0.0):
                self._hosts[id_].down = self._cause(id_, 0.0)
                self.uptime[id_].fall(0.0)
        for via, outages in self._links.items():
            if outages.down(0.0):
                self._set_link(via, "link down")
        self._n_in_vain = 0
        self._ahead: list[tuple[float, bool, str]] = []  # instant, whether it is a link, name
        for is_link, all_ in ((False, self._devices), (True, self._links)):
            for name, outages in all_.items():
                at_s = outages.next_up(0.0) if outages.down(0.0) else outages.next_down(0.0)
                self._ahead.append((at_s, is_link, name))
        heapify(self._ahead)
        self._await_next()

    def fall(self, device: str, cause: str = "") -> None:
        """Take a device down now; the work and data on it are lost."""
        host, uptime = self._hosts[device], self.uptime[device]
        if host.down is not None:
            return
        host.down = cause
        uptime.n_failures += 1
        uptime.fall(self._clock._now)
        requests = list(self._in_flight())
        error = DeviceDown(device, cause)
        self._sharing.lose(host, error)
        self._transport.lose(device, error)
        self._reservations.lose(device, requests, error)
        for request in requests:
            self._progress.lose(request, device)
        for request in requests:
            if request.source == device and request.interrupt is not None:
                request.interrupt(error)

    def empty(self, device: str) -> None:
        """Take a device down permanently: its battery is empty."""
        self._empty.add(device)
        self.fall(device, "battery empty")

    def _cause(self, device: str, at_s: float) -> str:
        """Return why a device is down; empty for a failure."""
        away = self._absences.get(device)
        return "absent" if away is not None and away.down(at_s) else ""

    def _rise(self, device: str) -> None:
        if device not in self._empty and self._hosts[device].down is not None:
            self._hosts[device].down = None
            self.uptime[device].rise(self._clock._now)

    def _set_link(self, via: str, down: str | None) -> None:
        for hop in self._transport.links_named(via):
            hop.down = down
            if down is not None:
                hop.lose(MessageLost(via, down), spares_sent=True)

    def _await_next(self) -> None:
        """Schedule the next failure or repair, before other events then: intervals are half-open."""
        if self._ahead and not math.isinf(self._ahead[0][0]):
            self._clock.call_at(self._ahead[0][0], self._change, URGENT)

    def _change(self) -> None:
        """Apply a failure or a repair."""
        at_s, is_link, name = heappop(self._ahead)
        outages = (self._links if is_link else self._devices)[name]
        is_down = outages.down(at_s)
        if is_link:
            self._set_link(name, "link down" if is_down else None)
        elif is_down:
            self.fall(name, self._cause(name, at_s))
        else:
            self._rise(name)
        next_s = outages.next_up(at_s) if is_down else outages.next_down(at_s)
        heappush(self._ahead, (next_s, is_link, name))
        self._n_in_vain = 0 if self._clock._queue else self._n_in_vain + 1
        if self._n_in_vain > _N_IN_VAIN:
            self._refuse_deadlock()
        self._await_next()

    def _refuse_deadlock(self) -> None:
        for request in self._in_flight():
            raise ContractError(
                f"nothing is left to happen but failures, and {request!r} still waits: a deadlock in the "
                "strategy"
            )
