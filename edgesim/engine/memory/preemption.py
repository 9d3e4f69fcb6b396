"""Preemption by recomputation: a request loses its growing caches, and recomputes them once readmitted.

A preempted request loses its caches on every device where they grow, all at one instant, and is readmitted to
all of them at one instant (in vLLM, too, the stages of a pipeline preempt a request together; Kwon et al.
2023). It then computes one prefill of all its tokens so far, from the first stage on: stages before that of
the pass in hand compute them for that pass, the pass itself and those after it include them, and their hidden
states are sent between stages.

Not modelled: caches dropped in part, or swapped out to another memory; overlap of stages while the chunks of
a recomputation follow one another. Tokens' ids are assumed to be where they are needed: none are sent again.
A cache reserved at its full length on another device is kept, but the device computes the tokens again if a
later stage needs their hidden states.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial

import simpy

from edgesim.engine.device.booking import Booking
from edgesim.engine.device.host import Host, Pricing
from edgesim.engine.device.work import Pass, SharedStation
from edgesim.engine.memory.admission import Reservations
from edgesim.engine.network.transport import Transport
from edgesim.engine.process.clock import Clock, Course, Life
from edgesim.engine.process.verb import WorkLost
from edgesim.engine.request import LiveRequest
from edgesim.engine.token import Token
from edgesim.model.architecture import Architecture, Slice
from edgesim.world.holdings import Holdings

__all__ = ["Preemption", "Recovery"]


class Recovery:
    """The recomputation state of a preempted request.

    Attributes
    ----------
    admitted
        By device: the event of readmission.
    stale
        Pairs of device and block whose cache has been dropped and is not complete again.
    passed
        Pairs of device and block that all tokens so far have passed since.
    works
        Passes in hand, to be queued once the data that they need are there.
    own
        Passes queued for the recomputation itself.
    """

    __slots__ = ("admitted", "own", "passed", "stale", "works")

    def __init__(
        self, admitted: dict[str, simpy.Event], stale: set[tuple[str, int]], works: list[Pass]
    ) -> None:
        self.admitted = admitted
        self.stale = stale
        self.works = works
        self.passed: set[tuple[str, int]] = set()
        self.own: list[Pass] = []

    def forget(self, device: str) -> None:
        """Remove a device on which the request starts again."""
        self.admitted.pop(device, None)
        self.stale = {spot for spot in self.stale if spot[0] != device}


class Preemption:
    """Preempt requests with growing caches, and have the caches recomputed.

    Parameters
    ----------
    stations
        By device, the stations of the devices where caches grow.
    """

    def __init__(
        self,
        clock: Clock,
        model: Architecture,
        hosts: Mapping[str, Host],
        stations: Mapping[str, SharedStation],
        holdings: Holdings,
        pricing: Pricing,
        reservations: Reservations,
        booking: Booking,
        transport: Transport,
    ) -> None:
        self._clock = clock
        self._model = model
        self._hosts = hosts
        self._stations = stations
        self._holdings = holdings
        self._pricing = pricing
        self._reservations = reservations
        self._booking = booking
        self._transport = transport
        self._recoveries: dict[LiveRequest, Recovery] = {}  # of requests with incomplete caches

    def make_room(self, device: str, waiting: list[Pass]) -> None:
        """Grow caches for the next tokens, oldest request first; preempt the youngest if memory is short."""
        gone: set[LiveRequest] = set()
        released: set[str] = set()
        for work in sorted(waiting, key=lambda work: work.request.rank):
            while work.request not in gone and not self._reservations.grow(
                work.request, device, work.n_context + work.n_new
            ):
                victim = self._reservations.youngest(device)
                gone.add(victim)
                released.update(self._preempt(victim))
        if released:
            self._reservations.settle(released)

    def is_due(self, request: LiveRequest, device: str) -> bool:
        """Whether a request has to recompute a cache that it lost on a device."""
        recovery = self._recoveries.get(request)
        return recovery is not None and device in recovery.admitted

    def restart(self, request: LiveRequest, device: str) -> None:
        """Cancel the recomputation on a device where a request starts again."""
        recovery = self._recoveries.get(request)
        if recovery is not None:
            recovery.forget(device)

    def forget(self, request: LiveRequest) -> None:
        """Cancel all recomputation of a request that has ended or starts over."""
        self._recoveries.pop(request, None)

    def ask(self, work: Pass, host: Host) -> None:
        """Queue a pass of a preempted request once the caches that it needs have been recomputed."""
        recovery = self._recoveries[work.request]
        recovery.works.append(work)
        self._go_on(recovery, work, host)

    def _preempt(self, request: LiveRequest) -> tuple[str, ...]:
        """Preempt a request; return the devices whose caches it loses."""
        devices = self._reservations.growing(request)
        before = self._recoveries.pop(request, None)
        works = [] if before is None else before.works
        own = [] if before is None else before.own
        for device in devices:
            works += [work for work in self._stations[device].withdraw(request) if work not in own]
        n_tokens = max(
            [request.n_prompt_tokens + request.token, *(work.n_context + work.n_new for work in works)]
        )
        admitted = self._reservations.preempt(request, devices, n_tokens)
        stale = {
            (device, block)
            for device in devices
            for part in self._holdings.parts(device)
            for block in range(part.first, part.last)
        }
        recovery = self._recoveries[request] = Recovery(
            ({} if before is None else before.admitted) | dict.fromkeys(devices, admitted),
            stale if before is None else before.stale | stale,
            works,
        )
        for work in works:
            self._go_on(recovery, work, self._hosts[work.device])
        return devices

    def _go_on(self, recovery: Recovery, work: Pass, host: Host) -> None:
        Life(self._clock, self._recompute(recovery, work, host), on_error=partial(_lose, work))

    def _recompute(self, recovery: Recovery, work: Pass, host: Host) -> Course:
        request, part, here = work.request, work.price.part, host.device.id
        for event in list(recovery.admitted.values()):
            yield event
            if self._recoveries.get(request) is not recovery:
                return  # the request has been preempted again, or has ended
        spots = {(here, block) for block in range(part.first, part.last)}
        if not spots.isdisjoint(recovery.stale):
            for device, stage in list(self._before(request, part.first)):
                blocks = {(device, block) for block in range(stage.first, stage.last)}
                if blocks <= recovery.passed:
                    continue
                n_tokens = work.n_context + work.n_new
                yield from self._hand_over(work, stage.first, device, n_tokens)
                if self._recoveries.get(request) is not recovery:
                    return
                yield from self._pass_through(recovery, work, self._hosts[device], stage)
                if self._recoveries.get(request) is not recovery:
                    return
                recovery.passed |= blocks
                recovery.stale -= blocks
            yield from self._hand_over(work, part.first, here, work.n_context)
            if self._recoveries.get(request) is not recovery:
                return
            work.n_new, work.n_context = work.n_context + work.n_new, 0
            recovery.passed |= spots
            recovery.stale -= spots
        host.demand_up()
        recovery.works.remove(work)
        if not recovery.stale:
            self._recoveries.pop(request, None)
        work.n_done, work.asked_at_s = 0, self._clock._now
        assert host.shared is not None
        host.shared.ask(work)

    def _before(self, request: LiveRequest, block: int) -> Iterator[tuple[str, Slice]]:
        """Yield the stages, on devices where the request has caches, that tokens pass before a block."""
        stages = [
            (part.first, device, part)
            for device in self._reservations.reserved(request)
            for part in self._holdings.parts(device)
        ]
        for first, device, part in sorted(stages):
            if first < min(part.last, block):
                yield device, Slice(first, min(part.last, block), embedding=part.embedding)

    def _hand_over(self, work: Pass, block: int, device: str, n_tokens: int) -> Course:
        """Send tokens' hidden states to a device from the device of the block before."""
        for source, stage in self._before(work.request, block):
            if stage.last == block and source != device and n_tokens:
                size_bytes = self._model.activation_bytes(n_tokens)
                yield from self._transport.message(work.request.id, source, device, size_bytes, work.token)
                return

    def _pass_through(self, recovery: Recovery, work: Pass, host: Host, stage: Slice) -> Course:
        """Run all tokens so far through a stage before that of the pass in hand."""
        request, n_tokens = work.request, work.n_context + work.n_new
        loss = self._reservations.loss(request, host.device.id)
        if loss is not None:
            raise loss
        host.demand_up()
        price = host.prices.get(stage) or self._pricing.of(host, stage)
        token = Token(work.token, n_tokens, 0, 0, is_last=False)
        yield from self._booking.begin(request, host, price, token, asking=recovery.own.append)


def _lose(work: Pass, error: Exception) -> bool:
    """Fail a pass whose required data are lost."""
    if not isinstance(error, WorkLost):
        return False
    if not work.done.triggered:
        work.fail(error)
    return True
