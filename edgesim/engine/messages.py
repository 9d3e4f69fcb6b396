"""Messages between devices: checks and booking, and delivery of tokens to the source.

The verb ``send`` inlines the commonest case, a message over one hop whose move is cached. All other cases are
handled here.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import get_args

from edgesim.engine.causality.begun_verb import Call
from edgesim.engine.causality.needs import Datum
from edgesim.engine.collective.all_reduce import Messages as Round
from edgesim.engine.collective.all_reduce import all_reduce_rounds, in_rounds
from edgesim.engine.device.host import Host
from edgesim.engine.ledger import Ledger
from edgesim.engine.network.delivery import TokenDelivery
from edgesim.engine.network.transport import Transport
from edgesim.engine.process.clock import Clock
from edgesim.engine.process.verb import DONE, Verb, all_of
from edgesim.engine.progress import Progress
from edgesim.engine.recording import Recording
from edgesim.engine.request import LiveRequest
from edgesim.engine.token import Token
from edgesim.errors import ContractError
from edgesim.trace.buffer import pack_span

__all__ = ["Messenger"]


class Messenger:
    """Check messages and book their transport."""

    def __init__(
        self,
        clock: Clock,
        hosts: dict[str, Host],
        transport: Transport,
        delivery: TokenDelivery,
        recording: Recording,
        progress: Progress,
        ledger: Ledger,
    ) -> None:
        self._clock = clock
        self._hosts = hosts
        self._transport = transport
        self._delivery = delivery
        self._add = recording.add
        self._progress = progress
        self._ledger = ledger

    def send(
        self,
        request: LiveRequest | None,
        source: str,
        target: str,
        size_bytes: float,
        token: Token | None = None,
        carries: Datum | Iterable[Datum] | None = None,
        *,
        unacknowledged: bool = False,
    ) -> Verb:
        """Begin any message; see :meth:`edgesim.engine.cluster.Cluster.send`."""
        if source == target:
            call = Call("send", (source, target, size_bytes), None if request is None else request.id)
            if request is None:
                return self._progress.attendance.note(call, DONE)
            return self._progress.at_once(request, call)
        if request is None:
            sending = self._carry(-1, source, target, size_bytes, -1)
            return self._progress.attendance.note(Call("send", (source, target, size_bytes)), sending)
        move = self._ledger.send(request, source, target, size_bytes, _checked(carries))
        index = request.token if token is None else token.index
        if unacknowledged:
            sending = self._transport.unacknowledged(request.id, source, target, size_bytes, index)
            return self._progress.began(request, move, sending)
        sending = self._carry(request.id, source, target, size_bytes, index)
        if move.hop is None and self._hosts[source].direct[target] is not None:
            move.hop = self._hosts[source].direct[target]
            self._ledger.hasten(move, target)
        if move.hop is not None and move.hop.s_per_byte is not None and size_bytes == move.size_bytes:
            move.service_s = size_bytes * move.hop.s_per_byte
        return self._progress.began(request, move, sending)

    def emit_afar(self, request: LiveRequest, device: str, token: Token) -> Verb | None:
        """Send a token to its source from another device; return a verb to wait for only for the last."""
        sending = self._carry(request.id, device, request.source, request.token_bytes, token.index)
        if not token.is_last:
            self._delivery.send_home(request, token, sending)
            return None
        call = Call("emit", (device, token), request.id)
        return self._progress.waited(request, call, self._delivery.await_home(request, token, sending))

    def all_reduce(self, request: LiveRequest, members: tuple[str, ...], size_bytes: float, via: str) -> Verb:
        """Begin a sum by messages; see :meth:`edgesim.engine.cluster.Cluster.all_reduce`."""
        token = request.token
        move = self._ledger.sum(request, members)

        def begin(messages: Round) -> Verb:
            return all_of(
                self._clock,
                [self._transport.message(request.id, a, b, size, token) for a, b, size in messages],
            )

        summing = in_rounds(all_reduce_rounds(members, size_bytes, via), begin)
        return self._progress.began(request, move, summing)

    def _carry(self, owner: int, source: str, target: str, size_bytes: float, token: int) -> Verb:
        """Book a message with any contents; -1 stands for no request and no token."""
        host = self._hosts[source]
        hop = host.direct[target] if target in host.direct else self._transport.direct(source, target)
        if hop is None:
            return self._transport.message(owner, source, target, size_bytes, token)
        now_s = self._clock._now
        started_at_s, arrived_at_s = hop.send(now_s, size_bytes)
        if self._add is not None:
            self._add(
                pack_span(owner, token, hop.code, 0, size_bytes, now_s, started_at_s, arrived_at_s, 1.0)
            )
        return (arrived_at_s,)


def _checked(carries: Datum | Iterable[Datum] | None) -> Iterable[Datum] | None:
    """Check the data that a message is declared to carry."""
    if carries is None:
        return None
    named: tuple[Datum, ...] = (carries,) if isinstance(carries, str) else tuple(carries)
    unknown = [datum for datum in named if datum not in get_args(Datum)]
    if unknown:
        raise ContractError(
            f"send: carries={unknown[0]!r} is not known; there are {', '.join(map(repr, get_args(Datum)))}"
        )
    return named
