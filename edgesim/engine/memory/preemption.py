"""Preemption by recomputation: a request gives up its growing caches, and computes them anew when it may.

A preempted request loses its caches on every device where they grow, all at one instant, and is let in again
to all of them at one instant (in vLLM, too, the stages of a pipeline preempt a request together; Kwon et al.
2023). What it then computes is one prefill of all its tokens so far, from the first stage on: stages before
the pass that it has in hand compute them for that pass's sake, the pass itself and those after it take them
along, and between two stages their hidden states are sent.

Not modelled: caches given up in part, or swapped out to another memory; that stages overlap while the
chunks of a recomputation follow one another. Tokens' ids are where they are needed: none are sent again.
A cache that is reserved at its full length on another device is kept, but the device computes the tokens
once more where a later stage needs their hidden states.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial

import simpy

from edgesim.engine.device.host import Host, Pricing
from edgesim.engine.device.price import Price
from edgesim.engine.device.work import Pass
from edgesim.engine.memory.admission import Reservations
from edgesim.engine.network.transport import Transport
from edgesim.engine.process.clock import Clock, Course, Life
from edgesim.engine.process.verb import WorkLost
from edgesim.engine.recording import Recording
from edgesim.engine.request import LiveRequest
from edgesim.engine.serving.batching import BatchedStation
from edgesim.engine.token import Token
from edgesim.model.architecture import Architecture, Slice
from edgesim.world.holdings import Holdings

__all__ = ["Preemption", "Recovery"]


class Recovery:
    """What a preempted request has to make up for.

    Attributes
    ----------
    let_in
        By device: the event of being let in again.
    stale
        Blocks, by device, whose cache has been dropped and is not whole again.
    passed
        Blocks, by device, that all tokens so far have gone through since.
    works
        Passes in hand that are to be asked for once what they need is there.
    own
        Passes asked for on the way.
    """

    __slots__ = ("let_in", "own", "passed", "stale", "works")

    def __init__(
        self, let_in: dict[str, simpy.Event], stale: set[tuple[str, int]], works: list[Pass]
    ) -> None:
        self.let_in = let_in
        self.stale = stale
        self.works = works
        self.passed: set[tuple[str, int]] = set()
        self.own: list[Pass] = []

    def forget(self, device: str) -> None:
        """Let go of a device where the request begins anew."""
        self.let_in.pop(device, None)
        self.stale = {spot for spot in self.stale if spot[0] != device}


class Preemption:
    """Takes growing caches away from requests, and has them computed anew.

    Parameters
    ----------
    stations
        Of the devices where caches grow.
    """

    def __init__(
        self,
        clock: Clock,
        model: Architecture,
        hosts: Mapping[str, Host],
        stations: Mapping[str, BatchedStation],
        holdings: Holdings,
        pricing: Pricing,
        reservations: Reservations,
        recording: Recording,
        transport: Transport,
    ) -> None:
        self._clock = clock
        self._model = model
        self._hosts = hosts
        self._stations = stations
        self._holdings = holdings
        self._pricing = pricing
        self._reservations = reservations
        self._recording = recording
        self._transport = transport

    def make_room(self, device: str, waiting: list[Pass]) -> None:
        """Let caches grow by the tokens that come next, oldest request first; the youngest gives way."""
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

    def ask(self, work: Pass, host: Host) -> None:
        """Ask for a pass of a preempted request, once all that it needs has been computed anew."""
        recovery = work.request.recovery
        assert isinstance(recovery, Recovery)
        recovery.works.append(work)
        self._go_on(recovery, work, host)

    def _preempt(self, request: LiveRequest) -> tuple[str, ...]:
        """Take a request's growing caches away; from which devices."""
        devices = self._reservations.growing(request)
        before, request.recovery = request.recovery, None
        assert before is None or isinstance(before, Recovery)
        works = [] if before is None else before.works
        own = [] if before is None else before.own
        for device in devices:
            works += [work for work in self._stations[device].withdraw(request) if work not in own]
        n_tokens = max(
            [request.n_prompt_tokens + request.token, *(work.n_context + work.n_new for work in works)]
        )
        let_in = self._reservations.preempt(request, devices, n_tokens)
        stale = {
            (device, block)
            for device in devices
            for part in self._holdings.parts(device)
            for block in range(part.first, part.last)
        }
        recovery = request.recovery = Recovery(
            ({} if before is None else before.let_in) | dict.fromkeys(devices, let_in),
            stale if before is None else before.stale | stale,
            works,
        )
        for work in works:
            self._go_on(recovery, work, self._hosts[work.device])
        return devices

    def _go_on(self, recovery: Recovery, work: Pass, host: Host) -> None:
        Life(self._clock, self._compute_anew(recovery, work, host), on_error=partial(_tell, work))

    def _compute_anew(self, recovery: Recovery, work: Pass, host: Host) -> Course:
        request, part, here = work.request, work.price.part, host.device.id
        for event in list(recovery.let_in.values()):
            yield event
            if request.recovery is not recovery:
                return  # it has been preempted again, or has ended
        spots = {(here, block) for block in range(part.first, part.last)}
        if not spots.isdisjoint(recovery.stale):
            for device, stage in list(self._before(request, part.first)):
                blocks = {(device, block) for block in range(stage.first, stage.last)}
                if blocks <= recovery.passed:
                    continue
                n_tokens = work.n_context + work.n_new
                yield from self._hand_over(work, stage.first, device, n_tokens)
                if request.recovery is not recovery:
                    return
                yield from self._pass_through(recovery, work, self._hosts[device], stage)
                if request.recovery is not recovery:
                    return
                recovery.passed |= blocks
                recovery.stale -= blocks
            yield from self._hand_over(work, part.first, here, work.n_context)
            if request.recovery is not recovery:
                return
            work.n_new, work.n_context = work.n_context + work.n_new, 0
            recovery.passed |= spots
            recovery.stale -= spots
        host.demand_up()
        recovery.works.remove(work)
        if not recovery.stale:
            request.recovery = None
        work.n_done, work.asked_at_s = 0, self._clock._now
        assert host.shared is not None
        host.shared.ask(work)

    def _before(self, request: LiveRequest, block: int) -> Iterator[tuple[str, Slice]]:
        """Stages, on devices where the request has caches, that tokens go through before a block."""
        stages = [
            (part.first, device, part) for device in request.held for part in self._holdings.parts(device)
        ]
        for first, device, part in sorted(stages):
            if first < min(part.last, block):
                yield device, Slice(first, min(part.last, block), embedding=part.embedding)

    def _hand_over(self, work: Pass, block: int, device: str, n_tokens: int) -> Course:
        """Send tokens' hidden states to a device from that which has the block before."""
        for source, stage in self._before(work.request, block):
            if stage.last == block and source != device and n_tokens:
                size_bytes = self._model.activation_bytes(n_tokens)
                yield from self._transport.message(work.request.id, source, device, size_bytes, work.token)
                return

    def _pass_through(self, recovery: Recovery, work: Pass, host: Host, stage: Slice) -> Course:
        """Let all tokens so far go through a stage before that of the pass in hand."""
        request, n_tokens = work.request, work.n_context + work.n_new
        if host.device.id in request.lost:
            raise request.lost[host.device.id]
        host.demand_up()
        price = host.prices.get(stage) or self._pricing.of(host, stage)
        if host.shared is None:
            yield self._book(host, price, request, work.token, n_tokens)
            return
        token = Token(work.token, n_tokens, 0, 0, is_last=False)
        anew = Pass(request, host.device.id, token, price, self._clock._now, self._clock.event())
        recovery.own.append(anew)
        host.shared.ask(anew)
        yield anew.done

    def _book(self, host: Host, price: Price, request: LiveRequest, token: int, n_tokens: int) -> float:
        """Book a pass where work is done first come first served and never lost; when it ends."""
        now_s = self._clock._now
        started_at_s, ended_at_s = host.book(now_s, price.alone(n_tokens, 0))
        self._recording.span(
            request.id, token, price.code, now_s, started_at_s, ended_at_s, n_tokens=n_tokens
        )
        return ended_at_s


def _tell(work: Pass, error: Exception) -> bool:
    """Tell whoever waits for a pass that what it needs is lost."""
    if not isinstance(error, WorkLost):
        return False
    if not work.done.triggered:
        work.fail(error)
    return True
