"""Room for KV caches as requests meet it: what they ask for, how long they wait, how long they bear it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from itertools import count
from typing import TypeVar

import simpy

from edgesim.engine.device.host import Host
from edgesim.engine.device.work import LAST
from edgesim.engine.memory.claims import Claims
from edgesim.engine.memory.memory import Admission, DeviceMemory, NoRoom
from edgesim.engine.process.clock import Clock, Course, Life
from edgesim.engine.process.verb import DONE, RequestFailed, Verb, WorkLost
from edgesim.engine.recording import Recording
from edgesim.engine.request import LiveRequest
from edgesim.trace.buffer import Spot
from edgesim.trace.schema import SpanKind
from edgesim.world.device import Device
from edgesim.world.discipline import Limits
from edgesim.world.holdings import Holdings
from edgesim.world.world import World

__all__ = ["Reservations"]

_Number = TypeVar("_Number", int, float)


class Reservations:
    """Memory of every device, and the requests that hold it or wait for it.

    Attributes
    ----------
    memories
        By device: what is taken, and the most that ever was.
    """

    def __init__(
        self,
        world: World,
        clock: Clock,
        hosts: Mapping[str, Host],
        holdings: Holdings,
        recording: Recording,
    ) -> None:
        self._clock = clock
        self._hosts = hosts
        self._holdings = holdings
        self._recording = recording
        devices = world.devices.values()
        self._patience_s = {
            device.id: _least(world.patience_s, _limits(device).patience_s) for device in devices
        }
        self._ranks = count()
        self.memories = {
            device.id: DeviceMemory(
                device.memory_bytes,
                device.process_bytes + holdings.weight_bytes(device.id),
                None if device.serving is None else device.serving.n_places,
            )
            for device in devices
        }
        limits = {device.id: _least(world.queue_limit, _limits(device).queue_limit) for device in devices}
        self._claims = Claims()
        self._admission = Admission(
            clock, self._claims, self.memories, world.memory_policy, limits, turned_away=self._turn_away
        )

    def has_cache(self, request: LiveRequest, device: str) -> bool:
        """Whether a request has a KV cache reserved on a device."""
        return request in self.memories[device].holders

    def reserved(self, request: LiveRequest) -> Mapping[str, int]:
        """Bytes of KV cache that a request has reserved, by device."""
        return self._claims.of(request).reserved

    def loss(self, request: LiveRequest, device: str) -> WorkLost | None:
        """How a device has lost its cache of a request; None where it has not, or the request began anew."""
        claim = self._claims.known(request)
        return None if claim is None else claim.lost.get(device)

    def forget_loss(self, request: LiveRequest, device: str) -> None:
        """Forget that a device has lost its cache of a request, which begins anew there."""
        del self._claims.of(request).lost[device]

    def admit(self, request: LiveRequest, devices: Iterable[str]) -> Verb:
        """Reserve the request's KV cache on several devices at one instant, or wait for all of them."""
        if request.rank < 0:
            request.rank = next(self._ranks)
        claim = self._claims.of(request)
        n_tokens = request.n_prompt_tokens + request.n_output_tokens
        missing = [device for device in devices if device not in claim.reserved]
        for device in missing:
            self._hosts[device].demand_up()
        earlier = [claim.awaited[device] for device in missing if device in claim.awaited]
        ever_bytes = {
            device: n_tokens * self._holdings.kv_bytes_per_token(device)
            for device in missing
            if device not in claim.awaited
        }
        sizes_bytes = {
            device: size_bytes * request.n_prompt_tokens // n_tokens if self._grows(device) else size_bytes
            for device, size_bytes in ever_bytes.items()
        }
        try:
            admitted = self._admission.ask(request, sizes_bytes, ever_bytes)
        except NoRoom as fact:
            raise RequestFailed(f"memory: {fact}") from None
        for device in sizes_bytes:
            self._hosts[device].n_requests += 1
        claim.asked.extend(sizes_bytes)
        if admitted is None and not earlier:
            return DONE
        if admitted is not None:
            claim.awaited.update(dict.fromkeys(sizes_bytes, admitted))
            patience_s = _least(*(self._patience_s[device] for device in sizes_bytes))
            if patience_s is not None:
                give_up = partial(self._lose_patience, request, admitted, patience_s)
                self._clock.call_at(self._clock._now + patience_s, give_up, LAST)
        return self._waited(request, sizes_bytes, admitted, earlier, self._clock._now)

    def grow(self, request: LiveRequest, device: str, n_tokens: int) -> bool:
        """Have a cache grow to so many tokens; whether there was room."""
        more_bytes = n_tokens * self._holdings.kv_bytes_per_token(device) - self.reserved(request)[device]
        return more_bytes <= 0 or self._admission.grow(request, device, more_bytes)

    def youngest(self, device: str) -> LiveRequest:
        """The request that gives way where memory is short: the last to come of those with a cache there."""
        return max(self.memories[device].holders, key=lambda request: request.rank)

    def growing(self, request: LiveRequest) -> tuple[str, ...]:
        """Devices on which a request holds a cache that grows."""
        return tuple(device for device in self.reserved(request) if self._grows(device))

    def preempt(self, request: LiveRequest, devices: Iterable[str], n_tokens: int) -> simpy.Event:
        """Drop a request's caches; the event of its being admitted again, before all others, to all at once.

        What is given back is not given on before :meth:`settle`.

        Parameters
        ----------
        n_tokens
            Tokens for which it needs room when it comes back.
        """
        sizes_bytes = {device: n_tokens * self._holdings.kv_bytes_per_token(device) for device in devices}
        for device in sizes_bytes:
            self._admission.drop(request, device)
        admitted = self._admission.ask_again(request, sizes_bytes)
        self._claims.of(request).awaited.update(dict.fromkeys(sizes_bytes, admitted))
        Life(self._clock, self._admitted_again(request, sizes_bytes, admitted), on_error=_is_lost)
        return admitted

    def settle(self, devices: Iterable[str]) -> None:
        """Give on what preempted requests have given back, and none has taken."""
        self._admission.admit(devices)

    def forget(self, request: LiveRequest) -> None:
        """Give back all that a request has reserved or waits for: it has ended, or starts over."""
        claim = self._claims.known(request)
        for device in () if claim is None else claim.asked:
            self._hosts[device].n_requests -= 1
        self._admission.forget(request)
        self._admission.release(request)
        self._claims.forget(request)

    def lose(self, device: str, holders: Iterable[LiveRequest], error: WorkLost) -> None:
        """Lose the caches in a device's memory, and turn away what waits for it: the device has failed."""
        for request in holders:
            if self.has_cache(request, device):
                claim = self._claims.of(request)
                self._admission.drop(request, device)
                claim.lost[device] = error
                claim.asked.remove(device)
                self._hosts[device].n_requests -= 1
        self._admission.lose(device, error)

    def _grows(self, device: str) -> bool:
        serving = self._hosts[device].device.serving
        return serving is not None and serving.grows_caches

    def _lose_patience(self, request: LiveRequest, admitted: simpy.Event, patience_s: float) -> None:
        claim = self._claims.known(request)
        awaited = {} if claim is None else claim.awaited
        its = [device for device, event in awaited.items() if event is admitted]
        if its and not admitted.triggered and request.ended_at_s is None:  # else admitted, or starts over
            self._admission.give_up(admitted)
            self._turn_away(request, its)
            admitted.defused = True  # it reaches what waits for it
            admitted.fail(RequestFailed(f"timeout: waited {patience_s:g} s for memory"))

    def _turn_away(self, request: LiveRequest, devices: Iterable[str]) -> None:
        """Turn away a request that waits for devices in vain; it may ask again."""
        claim = self._claims.of(request)
        for device in devices:
            claim.awaited.pop(device, None)
            claim.asked.remove(device)
            self._hosts[device].n_requests -= 1

    def _waited(
        self,
        request: LiveRequest,
        sizes_bytes: Mapping[str, int],
        admitted: simpy.Event | None,
        earlier: list[simpy.Event],
        asked_at_s: float,
    ) -> Course:
        for event in earlier:  # noqa: UP028  # a list's iterator cannot be sent the events' values
            yield event
        if admitted is None:
            return
        yield admitted
        claim = self._claims.of(request)
        for device, size_bytes in sizes_bytes.items():
            claim.awaited.pop(device, None)
            self._record(request, device, request.token, size_bytes, asked_at_s)

    def _admitted_again(
        self, request: LiveRequest, sizes_bytes: Mapping[str, int], admitted: simpy.Event
    ) -> Course:
        asked_at_s, token = self._clock._now, request.token
        yield admitted
        claim = self._claims.of(request)
        for device, size_bytes in sizes_bytes.items():
            if claim.awaited.get(device) is admitted:
                del claim.awaited[device]
            self._record(request, device, token, size_bytes, asked_at_s)

    def _record(
        self, request: LiveRequest, device: str, token: int, size_bytes: int, asked_at_s: float
    ) -> None:
        code = self._recording.code(Spot(SpanKind.WAIT, device))
        now_s = self._clock._now
        self._recording.span(request.id, token, code, asked_at_s, asked_at_s, now_s, size_bytes=size_bytes)


def _limits(device: Device) -> Limits:
    """A device's own limits to the queue for its memory: where requests get their places with it."""
    return Limits() if device.serving is None else device.serving.place_limits


def _least(*limits: _Number | None) -> _Number | None:
    """The least of several limits, of which some, or all, may not be set."""
    return min((limit for limit in limits if limit is not None), default=None)


def _is_lost(error: Exception) -> bool:
    """Whether an error is heard elsewhere: a cache that a failure has taken away is still waited for."""
    return isinstance(error, WorkLost)
