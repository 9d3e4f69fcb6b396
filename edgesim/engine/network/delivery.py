"""Delivery: output tokens as they reach the request's source, and are read there in order.

One that overtakes others, over a shorter way or from another device, waits at the source until those before
it are there, as in any stream (TCP; PDCP's reordering at a handover, TS 38.323, clause 5.2.2).
"""

from __future__ import annotations

from collections.abc import Iterable

from edgesim.engine.process.clock import Clock, Course
from edgesim.engine.process.verb import Verb, WorkLost
from edgesim.engine.recording import Recording
from edgesim.engine.request import LiveRequest
from edgesim.engine.token import Token
from edgesim.trace.buffer import Spot, pack_span
from edgesim.trace.schema import SpanKind

__all__ = ["Delivery"]


class Delivery:
    """Hands tokens over to the devices that have asked for them, and writes down when."""

    def __init__(self, clock: Clock, devices: Iterable[str], recording: Recording) -> None:
        self._clock = clock
        self._recording = recording
        self._codes = {device: recording.code(Spot(SpanKind.EMIT, device)) for device in devices}

    def deliver(self, request: LiveRequest, token: Token) -> None:
        """Hand over a token that has reached the source, and those that have waited there for it."""
        if request.ended_at_s is not None:
            return  # it failed while this token was on its way
        index, delivered = token.index, request.delivered
        if delivered is not None and (index in delivered or index in request.early):
            return  # an earlier attempt has brought it
        if index > request.n_emitted_tokens:
            request.early.append(index)
            return
        self._hand_over(request, index)
        while request.early and (index := min(request.early)) <= request.n_emitted_tokens:
            request.early.remove(index)
            self._hand_over(request, index)

    def _hand_over(self, request: LiveRequest, index: int) -> None:
        if request.delivered is not None:
            request.delivered.add(index)
        if index > request.home:
            request.home = index
        now_s = self._clock._now
        if request.first_token_at_s is None:
            request.first_token_at_s = now_s
        request.n_emitted_tokens += 1
        if request.n_emitted_tokens == request.n_output_tokens:
            request.answered_at_s = now_s
        if self._recording.add is not None:
            code = self._codes[request.source]
            self._recording.add(pack_span(request.id, index, code, 1, 0, now_s, now_s, now_s, 1.0))
            self._recording.hand_on(now_s)

    def carry_home(self, request: LiveRequest, sending: Verb, token: Token, attempt: int) -> Course:
        """Wait for a token to reach the source; for the last one, until all have.

        Parameters
        ----------
        attempt
            The attempt at the request that sends it; it is of no use to a later one, which sends its own.
        """
        try:
            yield from sending
        except Exception:  # it is lost, or no longer waited for; the attempt may go on another way
            if request.attempt == attempt:
                request.n_under_way -= 1
            raise
        if request.attempt != attempt:
            return
        self.deliver(request, token)
        request.n_under_way -= 1
        if token.is_last and request.n_under_way:  # it overtook one ahead of it
            request.all_home = all_home = self._clock.event()
            try:
                yield all_home
            finally:
                if request.all_home is all_home:
                    request.all_home = None
        elif request.all_home is not None and not request.n_under_way:
            request.all_home.succeed()

    @staticmethod
    def lost(request: LiveRequest, attempt: int, error: Exception) -> bool:
        """Hear that a token which nobody waited for was lost on its way: its request is told."""
        if not isinstance(error, WorkLost):
            return False
        if request.attempt == attempt and request.interrupt is not None:
            request.interrupt(error)
        return True
