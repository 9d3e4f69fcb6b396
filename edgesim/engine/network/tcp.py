"""TCP connections whose small segments and acknowledgements wait (Nagle's algorithm, delayed ACKs).

A connection joins two devices and carries all of their messages, in both directions, in the order in which
they were written. Only the waiting of segments and acknowledgements for one another is modelled; see
:class:`edgesim.world.tcp.Tcp`.

Not modelled: slow start and congestion windows, the handshake, quick acknowledgements of a connection's first
segments, time on the wire and energy of acknowledgements, connections per request, sums of groups that occupy
their devices (``compute_together``).
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Mapping
from functools import partial

from edgesim.engine.process.clock import Clock, Course, Life
from edgesim.world.tcp import Tcp

__all__ = ["Connections"]

Carry = Callable[[int, str, str, float, int], Course]
"""Carries (owner, source, target, bytes, token) over the hops between two devices."""

Delay = Callable[[str, str], float]
"""Latency of a segment without data from one device to another [s]."""


class Connections:
    """The connections of a run, created at the first write."""

    def __init__(self, clock: Clock, stacks: Mapping[str, Tcp | None], carry: Carry, delay_s: Delay) -> None:
        self._clock, self._stacks, self._carry, self._delay_s = clock, stacks, carry, delay_s
        self._ways: dict[tuple[str, str], _Way] = {}

    def join(self, source: str, target: str) -> bool:
        """Whether two devices' messages use a connection whose segments may wait."""
        return self._stacks.get(source) is not None or self._stacks.get(target) is not None

    def write(self, owner: int, source: str, target: str, size_bytes: float, token: int) -> Course:
        """Write a message; ends when its last byte has arrived."""
        way = self._way(source, target)
        own = self._stacks[source]
        if own is not None and own.header_bytes:
            way.write(owner, token, own.header_bytes)
        if size_bytes > 0:
            yield way.write(owner, token, math.ceil(size_bytes)).done

    def _way(self, source: str, target: str) -> _Way:
        way = self._ways.get((source, target))
        if way is None:
            there, back = (
                _Way(self._clock, *ends, self._stacks, self._carry, self._delay_s(*ends[::-1]))
                for ends in ((source, target), (target, source))
            )
            there.back, back.back = back, there
            self._ways[source, target], self._ways[target, source] = there, back
            way = there
        return way


class _Message:
    """A write that has not arrived completely."""

    __slots__ = ("done", "n_unsent", "n_waiting", "owner", "token")

    def __init__(self, clock: Clock, owner: int, token: int, n_bytes: int) -> None:
        self.owner, self.token = owner, token
        self.n_unsent = self.n_waiting = n_bytes
        self.done = clock.event()
        self.done.defused = True  # a loss is raised in the waiting process, if there is one


class _Way:
    """One direction of a connection: the sender's unsent bytes, and the receiver's pending acknowledgements.

    Positions in the stream count bytes from its beginning.
    """

    back: _Way

    def __init__(
        self,
        clock: Clock,
        source: str,
        target: str,
        stacks: Mapping[str, Tcp | None],
        carry: Carry,
        ack_s: float,
    ) -> None:
        own, other = stacks[source], stacks[target]
        self._clock, self._ends, self._carry, self._ack_s = clock, (source, target), carry, ack_s
        self._nagle = own is not None and own.nagle
        self._delay_s = 0.0 if other is None else other.delayed_ack_s
        self._mss = min(stack.mss_bytes for stack in (own, other) if stack is not None)
        self._unsent: deque[_Message] = deque()
        self._written = self._sent = self._arrived = self._acked = 0
        self._n_full = 0  # full segments that have arrived since the last acknowledgement
        self._timer = 0  # number of the current timer; any other is void
        self._is_timed = False

    # --- the sender ---------------------------------------------------------------------------------------

    def write(self, owner: int, token: int, n_bytes: int) -> _Message:
        """Queue a write, and send what may be sent."""
        message = _Message(self._clock, owner, token, n_bytes)
        self._unsent.append(message)
        self._written += n_bytes
        self._push()
        return message

    def _push(self) -> None:
        n_bytes = self._written - self._sent
        if self._nagle and self._sent > self._acked:
            n_bytes -= n_bytes % self._mss
        if not n_bytes:
            return
        self._sent += n_bytes
        rides = self.back.ride()
        left = n_bytes
        while left:
            message = self._unsent[0]
            part = min(left, message.n_unsent)
            message.n_unsent -= part
            if not message.n_unsent:
                self._unsent.popleft()
            left -= part
            arrived = partial(
                self._part_arrived, message, part, None if left else (n_bytes, self._sent, rides)
            )
            lost = partial(self._lost, message, self._sent)
            course = self._carry(message.owner, *self._ends, part, message.token)
            Life(self._clock, course, on_end=arrived, on_error=lost)

    def _part_arrived(
        self, message: _Message, n_bytes: int, burst: tuple[int, int, int] | None, value: object
    ) -> None:
        """Handle the arrival of a message part; the last part of a burst completes the burst."""
        del value
        message.n_waiting -= n_bytes
        if burst is not None:
            self._receive(*burst)
        if not message.n_waiting and not message.done.triggered:
            message.done.succeed()

    def _lost(self, message: _Message, position: int, error: Exception) -> bool:
        """Handle a loss on a hop; later data continue as over a new connection."""
        if not message.done.triggered:
            message.done.fail(error)
        self._acknowledged(position)
        return True

    def _acknowledged(self, position: int) -> None:
        if position > self._acked:
            self._acked = position
            self._push()

    # --- the receiver -------------------------------------------------------------------------------------

    def _receive(self, n_bytes: int, position: int, rides: int) -> None:
        self.back._acknowledged(rides)
        self._arrived = max(self._arrived, position)
        n_full, n_rest = divmod(n_bytes, self._mss)
        self._n_full += n_full
        if not self._delay_s:
            self._acknowledge(0)
        elif self._n_full >= 2:  # acknowledge every second full segment at once; the rest may wait
            n_odd = self._n_full % 2
            self._acknowledge(n_odd * self._mss + n_rest)
            self._n_full = n_odd
            if n_odd or n_rest:
                self._time()
        elif not self._is_timed:
            self._time()

    def ride(self) -> int:
        """Piggyback the acknowledgement of all received data on data sent back now; return the position."""
        self._stop()
        return self._arrived

    def _acknowledge(self, n_left: int) -> None:
        """Send an acknowledgement of all that has arrived except `n_left` bytes."""
        self._stop()
        arrives_at_s = self._clock.now + self._ack_s
        self._clock.call_at(arrives_at_s, partial(self._acknowledged, self._arrived - n_left))

    def _time(self) -> None:
        self._timer += 1
        self._is_timed = True
        self._clock.call_at(self._clock.now + self._delay_s, partial(self._expire, self._timer))

    def _expire(self, timer: int) -> None:
        if timer == self._timer and self._is_timed:
            self._acknowledge(0)

    def _stop(self) -> None:
        self._is_timed = False
        self._n_full = 0
