"""Room for KV caches as requests meet it: what they ask for, how long they wait, how long they bear it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import simpy

from edgesim.engine.clock import Clock, Course, Life
from edgesim.engine.compute import Host
from edgesim.engine.holdings import Holdings
from edgesim.engine.memory import Admission, Memory, NoRoom
from edgesim.engine.recording import Recording
from edgesim.engine.request import LiveRequest
from edgesim.engine.serving import ContinuousBatching
from edgesim.engine.verb import DONE, RequestFailed, Verb
from edgesim.engine.world import World
from edgesim.trace.buffer import Spot
from edgesim.trace.schema import SpanKind

__all__ = ["Reservations"]


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
        self._patience_s = world.patience_s
        self.memories = {
            device.id: Memory(device.memory_bytes, device.process_bytes + holdings.weight_bytes(device.id))
            for device in world.devices.values()
        }
        self._admission = Admission(clock, self.memories, world.memory_policy, world.queue_limit)

    def admit(self, request: LiveRequest, devices: Iterable[str]) -> Verb:
        """Reserve the request's KV cache on several devices at one instant, or wait for all of them."""
        n_tokens = request.n_prompt_tokens + request.n_output_tokens
        missing = [device for device in devices if device not in request.held]
        earlier = [request.awaiting[device] for device in missing if device in request.awaiting]
        ever_bytes = {
            device: n_tokens * self._holdings.kv_bytes_per_token(device)
            for device in missing
            if device not in request.awaiting
        }
        sizes_bytes = {
            device: size_bytes * request.n_prompt_tokens // n_tokens if self._grows(device) else size_bytes
            for device, size_bytes in ever_bytes.items()
        }
        for device in sizes_bytes:
            self._hosts[device].n_requests += 1
        request.awaited.extend(sizes_bytes)
        try:
            admitted = self._admission.ask(request, sizes_bytes, ever_bytes)
        except NoRoom as fact:
            raise RequestFailed(f"memory: {fact}") from None
        if admitted is None and not earlier:
            return DONE
        if admitted is not None:
            request.awaiting.update(dict.fromkeys(sizes_bytes, admitted))
            if self._patience_s is not None:
                Life(self._clock, self._lose_patience(request, admitted, self._patience_s))
        return self._waited(request, sizes_bytes, admitted, earlier, self._clock._now)

    def grow(self, request: LiveRequest, device: str, n_tokens: int) -> bool:
        """Let a cache grow to so many tokens; whether there was room."""
        more_bytes = n_tokens * self._holdings.kv_bytes_per_token(device) - request.held[device]
        return more_bytes <= 0 or self._admission.grow(request, device, more_bytes)

    def preempt(self, request: LiveRequest, device: str, token: int, n_tokens: int) -> Verb:
        """Drop a request's cache; wait, before all others, for room for so many tokens."""
        self._admission.drop(request, device)
        size_bytes = n_tokens * self._holdings.kv_bytes_per_token(device)
        let_in = self._admission.ask_again(request, device, size_bytes)
        return self._let_in_again(request, device, token, size_bytes, let_in, self._clock._now)

    def leave(self, request: LiveRequest) -> None:
        """Give back all that a request that has ended holds or waits for."""
        for device in request.awaited:
            self._hosts[device].n_requests -= 1
        self._admission.forget(request)
        self._admission.release(request)

    def _grows(self, device: str) -> bool:
        serving = self._hosts[device].device.serving
        return isinstance(serving, ContinuousBatching) and serving.cache == "grow"

    def _lose_patience(self, request: LiveRequest, admitted: simpy.Event, patience_s: float) -> Course:
        yield self._clock._now + patience_s
        if not admitted.triggered and request.ended_at_s is None:
            self._admission.forget(request)
            admitted.defused = True  # it reaches whoever waits
            admitted.fail(RequestFailed(f"timeout: waited {patience_s:g} s for memory"))

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
        for device, size_bytes in sizes_bytes.items():
            request.awaiting.pop(device, None)
            self._record(request, device, request.token, size_bytes, asked_at_s)

    def _let_in_again(
        self,
        request: LiveRequest,
        device: str,
        token: int,
        size_bytes: int,
        let_in: simpy.Event,
        asked_at_s: float,
    ) -> Course:
        yield let_in
        self._record(request, device, token, size_bytes, asked_at_s)

    def _record(
        self, request: LiveRequest, device: str, token: int, size_bytes: int, asked_at_s: float
    ) -> None:
        code = self._recording.code(Spot(SpanKind.WAIT, device))
        now_s = self._clock._now
        self._recording.span(request.id, token, code, asked_at_s, asked_at_s, now_s, size_bytes=size_bytes)
