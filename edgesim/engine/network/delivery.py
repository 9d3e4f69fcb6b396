"""Delivery of output tokens at the request's source, in order.

A token that overtakes others, over a shorter route or from another device, waits at the source until those
before it have arrived, as in any stream (TCP; PDCP's reordering at a handover, TS 38.323, clause 5.2.2).
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

import simpy

from edgesim.engine.process.clock import Clock, Course, Life
from edgesim.engine.process.verb import Verb, WorkLost
from edgesim.engine.recording import Recording
from edgesim.engine.request import LiveRequest
from edgesim.engine.token import Token
from edgesim.trace.buffer import Spot, pack_span
from edgesim.trace.schema import SpanKind

__all__ = ["TokenDelivery"]


class _Stream:
    """The tokens that one attempt at a request sends to its source.

    Attributes
    ----------
    home
        Index of the newest token delivered.
    early
        Tokens at the source that wait for others before them.
    n_under_way
        Number of tokens in transit.
    all_home
        Event awaited if the last token has overtaken others.
    """

    __slots__ = ("all_home", "early", "home", "n_under_way")

    def __init__(self) -> None:
        self.home = -1
        self.early: list[int] = []
        self.n_under_way = 0
        self.all_home: simpy.Event | None = None


class TokenDelivery:
    """Deliver tokens at the sources of their requests, and record when.

    Parameters
    ----------
    may_repeat
        Whether requests may be served again, so that tokens may arrive that their sources already have.
    """

    def __init__(
        self, clock: Clock, devices: Iterable[str], recording: Recording, *, may_repeat: bool = False
    ) -> None:
        self._clock = clock
        self._recording = recording
        self._may_repeat = may_repeat
        self._codes = {device: recording.code(Spot(SpanKind.EMIT, device)) for device in devices}
        self._streams: dict[LiveRequest, _Stream] = {}

    def deliver(self, request: LiveRequest, token: Token) -> None:
        """Deliver a token that has reached the source, and those that have waited there for it."""
        if request.ended_at_s is not None:
            return  # it failed while this token was in transit
        try:
            stream = self._streams[request]
        except KeyError:
            stream = self._stream(request)
        index = token.index
        if index != (n_emitted := request.n_emitted_tokens):
            if self._may_repeat and (index < n_emitted or index in stream.early):
                return  # an earlier attempt has delivered it
            if index > n_emitted:
                stream.early.append(index)
                return
        self._hand_over(request, stream, index)
        while stream.early and (index := min(stream.early)) <= request.n_emitted_tokens:
            stream.early.remove(index)
            self._hand_over(request, stream, index)

    def send_home(self, request: LiveRequest, token: Token, sending: Verb) -> None:
        """Send a token to the source in the background; if it is lost, interrupt the attempt that sent it."""
        stream = self._stream(request)
        stream.n_under_way += 1
        course = self._carry_home(request, stream, token, sending)
        Life(self._clock, course, on_error=partial(self._lose, request, stream))

    def await_home(self, request: LiveRequest, token: Token, sending: Verb) -> Course:
        """Send the last token to the source, and wait until all tokens have arrived."""
        stream = self._stream(request)
        stream.n_under_way += 1
        return self._carry_home(request, stream, token, sending)

    def home(self, request: LiveRequest) -> int:
        """Return the newest token that the current attempt at a request has delivered; -1 for none."""
        stream = self._streams.get(request)
        return -1 if stream is None else stream.home

    def n_under_way(self, request: LiveRequest) -> int:
        """Number of tokens in transit to a request's source."""
        stream = self._streams.get(request)
        return 0 if stream is None else stream.n_under_way

    def forget(self, request: LiveRequest) -> None:
        """Forget an attempt at a request; its tokens in transit do not count for a later one."""
        self._streams.pop(request, None)

    def _stream(self, request: LiveRequest) -> _Stream:
        stream = self._streams.get(request)
        if stream is None:
            stream = self._streams[request] = _Stream()
        return stream

    def _hand_over(self, request: LiveRequest, stream: _Stream, index: int) -> None:
        if index > stream.home:
            stream.home = index
        now_s = self._clock._now
        if request.first_token_at_s is None:
            request.first_token_at_s = now_s
        request.n_emitted_tokens = n_emitted = request.n_emitted_tokens + 1
        if n_emitted == request.n_output_tokens:
            request.answered_at_s = now_s
        if (add := self._recording.add) is not None:
            code = self._codes[request.source]
            add(pack_span(request.id, index, code, 1, 0, now_s, now_s, now_s, 1.0))
            self._recording.hand_on(now_s)

    def _carry_home(self, request: LiveRequest, stream: _Stream, token: Token, sending: Verb) -> Course:
        """Wait for a token to reach the source; for the last one, until all have."""
        try:
            yield from sending
        except Exception:  # lost, or no longer waited for; the attempt may use another route
            stream.n_under_way -= 1
            raise
        if self._streams.get(request) is not stream:
            return  # the attempt has failed meanwhile, or the request has ended
        self.deliver(request, token)
        stream.n_under_way -= 1
        if token.is_last and stream.n_under_way:  # it overtook an earlier token
            stream.all_home = all_home = self._clock.event()
            try:
                yield all_home
            finally:
                if stream.all_home is all_home:
                    stream.all_home = None
        elif stream.all_home is not None and not stream.n_under_way:
            stream.all_home.succeed()

    def _lose(self, request: LiveRequest, stream: _Stream, error: Exception) -> bool:
        """Interrupt the attempt that lost a token in transit, unless that attempt is over."""
        if not isinstance(error, WorkLost):
            return False
        if self._streams.get(request) is stream and request.interrupt is not None:
            request.interrupt(error)
        return True
