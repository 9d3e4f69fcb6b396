"""Devices that several passes share: which station serves them, and whose cache gives way to another's."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from edgesim.engine.clock import Clock, Course, Life
from edgesim.engine.compute import Host, Pricing
from edgesim.engine.recording import Recording
from edgesim.engine.request import LiveRequest, Token
from edgesim.engine.reservation import Reservations
from edgesim.engine.serving import ContinuousBatching, ProcessorSharing, StaticBatching
from edgesim.engine.shared import BatchedStation, Pass, SharedStation, StaticStation, TimeSharedStation
from edgesim.engine.verb import DONE, Verb, heard
from edgesim.model.architecture import Slice

__all__ = ["Sharing"]


class Sharing:
    """The devices of a run that serve several passes at once; gives each its station."""

    def __init__(
        self,
        clock: Clock,
        hosts: Iterable[Host],
        pricing: Pricing,
        reservations: Reservations,
        recording: Recording,
    ) -> None:
        self._clock = clock
        self._pricing = pricing
        self._reservations = reservations
        self._recording = recording
        self._stations: list[SharedStation] = []
        for host in hosts:
            if host.device.serving is not None:
                host.shared = self._station(host)
                self._stations.append(host.shared)

    def compute(self, request: LiveRequest, host: Host, part: Slice, token: Token) -> Verb:
        """Run a pass on a shared device, once the request has room there."""
        device = host.device.id
        admitted = DONE if device in request.held else self._reservations.admit(request, (device,))
        if admitted is not DONE:
            return self._ask_once(admitted, request, host, part, token)
        return self._ask(request, host, part, token)

    def leave(self, request: LiveRequest) -> None:
        """Tell the stations that a request has ended."""
        for station in self._stations:
            station.leave(request)

    def close(self, at_s: float) -> None:
        """Close the books at the end of the run."""
        for station in self._stations:
            station.close(at_s)

    def _station(self, host: Host) -> SharedStation:
        """The station that a device's serving discipline asks for."""
        serving = host.device.serving
        if isinstance(serving, ProcessorSharing):
            return TimeSharedStation(self._clock, self._record)
        if isinstance(serving, StaticBatching):
            return StaticStation(self._clock, serving, self._record)
        assert isinstance(serving, ContinuousBatching)
        make_room = partial(self._make_room, host) if serving.cache == "grow" else None
        return BatchedStation(self._clock, serving, self._record, make_room)

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

    def _ask_once(
        self, admitted: Verb, request: LiveRequest, host: Host, part: Slice, token: Token
    ) -> Course:
        yield from admitted
        yield from self._ask(request, host, part, token)

    def _ask(self, request: LiveRequest, host: Host, part: Slice, token: Token) -> Course:
        assert host.shared is not None
        price = host.prices.get(part) or self._pricing.of(host, part)
        work = Pass(request, token, price, self._clock._now, self._clock.event())
        host.shared.ask(work)
        return heard(work.done)

    def _make_room(self, host: Host, waiting: list[Pass]) -> list[Pass]:
        """Let caches grow by the token that comes next, oldest request first; who is preempted for it."""
        in_order = sorted(waiting, key=lambda work: work.request.id)
        evicted: list[Pass] = []
        for work in in_order:
            if work in evicted:
                continue
            while not self._reservations.grow(work.request, host.device.id, work.n_context + work.n_new):
                last = next(other for other in reversed(in_order) if other not in evicted)
                evicted.append(last)
                n_tokens = last.n_context + last.n_new
                let_in = self._reservations.preempt(last.request, host.device.id, last.token, n_tokens)
                Life(self._clock, self._come_back(host, last, let_in))
                if last is work:
                    break
        return evicted

    def _come_back(self, host: Host, work: Pass, let_in: Verb) -> Course:
        """Compute all of a preempted request's tokens anew, once it is let in again."""
        yield from let_in
        work.n_new, work.n_context, work.n_done = work.n_context + work.n_new, 0, 0
        work.asked_at_s = self._clock._now
        assert host.shared is not None
        host.shared.ask(work)
