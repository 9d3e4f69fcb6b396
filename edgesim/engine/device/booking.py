"""Booking of passes on devices, for all kinds of station."""

from __future__ import annotations

from collections.abc import Callable

from edgesim.engine.device.host import Host
from edgesim.engine.device.price import Price
from edgesim.engine.device.work import Pass
from edgesim.engine.process.clock import Clock
from edgesim.engine.process.verb import Verb, wait_for
from edgesim.engine.recording import Recording
from edgesim.engine.request import LiveRequest
from edgesim.engine.token import Token

__all__ = ["Booking"]


class Booking:
    """Books passes: in closed form on a device that serves one after another, else at its shared station.

    A pass that a group computes together is booked by :meth:`edgesim.engine.device.host.Host.occupy`. Steady
    decoding on an unshared device is booked by the verb itself, which inlines the first case
    (:meth:`edgesim.engine.cluster.Cluster.compute`).
    """

    def __init__(self, clock: Clock, recording: Recording) -> None:
        self._clock = clock
        self._recording = recording

    def begin(
        self,
        request: LiveRequest,
        host: Host,
        price: Price,
        token: Token,
        *,
        asking: Callable[[Pass], object] | None = None,
    ) -> Verb:
        """Book a pass now.

        Parameters
        ----------
        asking
            Called with the pass before it is queued, if a shared station serves it.
        """
        if host.shared is None:
            return (self.in_turn(request, host, price, token),)
        work = self.work(request, host, price, token)
        if asking is not None:
            asking(work)
        host.shared.ask(work)
        return wait_for(work.done)

    def in_turn(self, request: LiveRequest, host: Host, price: Price, token: Token) -> float:
        """Book a pass on a device that serves passes in order and never loses any; return its end [s]."""
        now_s = self._clock._now
        started_at_s, ended_at_s = host.book(now_s, price.of(token) + host.started())
        self._recording.span(
            request.id, token.index, price.code, now_s, started_at_s, ended_at_s, n_tokens=token.n_new
        )
        return ended_at_s

    def work(self, request: LiveRequest, host: Host, price: Price, token: Token) -> Pass:
        """Create a pass for a shared station, with its drawn factor and, if the first, the start-up time."""
        factor = 1.0 if host.draws is None else host.draws.factor(request, price.name, token.index)
        now_s, done = self._clock._now, self._clock.event()
        return Pass(request, host.device.id, token, price, now_s, done, factor, host.started())
