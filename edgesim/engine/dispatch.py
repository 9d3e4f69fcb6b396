"""Stations for devices that several passes share, that may fail, or whose service times vary."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import cast

from edgesim.engine.device.booking import Booking
from edgesim.engine.device.host import Host, Pricing
from edgesim.engine.device.service_draws import ServiceDraws
from edgesim.engine.device.site import Site
from edgesim.engine.device.watched import WatchedStation
from edgesim.engine.device.work import Pass, SharedStation
from edgesim.engine.memory.admission import Reservations
from edgesim.engine.memory.preemption import Preemption
from edgesim.engine.network.transport import Transport
from edgesim.engine.process.clock import Clock
from edgesim.engine.process.verb import WorkLost
from edgesim.engine.recording import Recording
from edgesim.engine.request import LiveRequest
from edgesim.engine.serving.station import station_of
from edgesim.model.architecture import Architecture
from edgesim.world.device import Device
from edgesim.world.holdings import Holdings

__all__ = ["Sharing"]


class Sharing:
    """The stations of devices that several passes share, that may fail, or whose service times vary.

    Attributes
    ----------
    preemption
        Preemption on the devices where caches grow.
    """

    def __init__(
        self,
        clock: Clock,
        model: Architecture,
        hosts: Mapping[str, Host],
        holdings: Holdings,
        pricing: Pricing,
        reservations: Reservations,
        booking: Booking,
        recording: Recording,
        transport: Transport,
        can_fail: Collection[str],
        draws_of: Callable[[Device], ServiceDraws],
    ) -> None:
        self._recording = recording
        self._stations: list[SharedStation] = []
        self._draws: list[ServiceDraws] = []
        self._messaging: list[WatchedStation] = []  # of devices that may fail, apart from their compute
        growing: dict[str, SharedStation] = {}
        self.preemption = Preemption(
            clock, model, hosts, growing, holdings, pricing, reservations, booking, transport
        )
        for host in hosts.values():
            if host.device.id in can_fail and not host.device.endpoint.on_compute:
                host.messaging = host.watched_messaging = messaging = WatchedStation(clock, recording)
                self._messaging.append(messaging)
            if host.device.service is not None:
                host.draws = draws_of(host.device)
                self._draws.append(host.draws)
            device = host.device
            has_events = device.id in can_fail or host.draws is not None or device.speed is not None
            if device.serving is None and not has_events:
                continue
            site = Site(
                clock,
                recording,
                self._record,
                device.speed_at,
                partial(self.preemption.make_room, device.id),
                cuts_prompts=model.is_causal,
            )
            host.shared = station = station_of(device.serving, site)
            self._stations.append(station)
            if device.endpoint.on_compute:  # only where passes run one after another
                host.messaging = host.watched_messaging = cast("WatchedStation", station)
            if device.serving is not None and device.serving.grows_caches:
                growing[device.id] = station

    def lose(self, host: Host, error: WorkLost) -> None:
        """Lose all passes that a failed device works on, and the messages that it handles."""
        assert host.shared is not None
        host.shared.lose(error)
        if host.watched_messaging is not None:
            host.watched_messaging.lose(error)

    def owners(self) -> set[int]:
        """Ids of requests with spans still to be recorded."""
        return set().union(*(station.owners() for station in self._all()))

    def forget(self, request: LiveRequest) -> None:
        """Remove a request that has ended, or starts over, from the stations."""
        for station in self._stations:
            station.leave(request)
        for draws in self._draws:
            draws.forget(request)

    def close(self, at_s: float) -> None:
        """Complete the accounts at the end of the run."""
        for station in self._all():
            station.close(at_s)

    def _record(
        self, work: Pass, n_tokens: int, started_at_s: float, ended_at_s: float, share: float
    ) -> None:
        self._recording.span(
            work.request.id,
            work.token,
            work.price.code,
            work.asked_at_s,
            started_at_s,
            ended_at_s,
            n_tokens=n_tokens,
            share=share,
        )

    def _all(self) -> list[SharedStation | WatchedStation]:
        return [*self._stations, *self._messaging]
