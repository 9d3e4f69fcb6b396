"""One direction of a ring: framed messages over a TCP socket, optionally paced like a slower link."""

from __future__ import annotations

import hmac
import socket
import struct
import time
from dataclasses import dataclass, field
from math import inf

from edgesim.units import bits

__all__ = ["STOP", "Header", "LinkShaping", "Receiver", "Sender", "accepted", "connected", "listening"]

_HEADER = struct.Struct("<IIIId")
_LOOPBACK = "127.0.0.1"
_MOST_BYTES = 1 << 30  # of a message; no larger one is sent here
_GREETING_S = 30.0  # time for the other process to connect


@dataclass(frozen=True, slots=True)
class LinkShaping:
    """Rate [bit/s] and latency [s] imposed on the host's link; by default none."""

    rate_bps: float = inf
    latency_s: float = 0.0

    @property
    def is_none(self) -> bool:
        """Whether the link is not shaped."""
        return self.rate_bps == inf and self.latency_s == 0.0


@dataclass(frozen=True, slots=True)
class Header:
    """Header of a message: its request, its number of new tokens, and the number of tokens before them."""

    request: int
    n_new: int
    n_context: int
    n_bytes: int = 0
    due_at_s: float = field(default=0.0, compare=False)
    """When sending began, or when a shaped link delivers the last bit [s]; set by the sending end."""


STOP = Header(0, 0, 0)
"""The final message, which passes once around the ring."""


class Sender:
    """The sending end: a token bucket without depth, followed by a latency.

    A shaped message is written to the socket at once, with the instant at which a link of that rate and
    latency would have delivered its last bit; the receiving end delivers it no earlier. Pacing therefore
    needs no thread in the sender, whose processor is busy with the next pass by then. Both ends read the same
    clock, the host's monotonic one.

    Not modelled: losses, and the overhead of lower protocols.
    """

    def __init__(self, connection: socket.socket, shape: LinkShaping = LinkShaping()) -> None:  # frozen
        self._connection = connection
        self._shape = shape
        self._free_at_s = 0.0

    def reshape(self, shape: LinkShaping) -> None:
        """Change the pacing of subsequent messages."""
        self._shape, self._free_at_s = shape, 0.0

    def send(self, header: Header, payload: memoryview) -> None:
        """Send a whole message."""
        due_at_s = time.perf_counter()
        if not self._shape.is_none:
            starts_at_s = max(due_at_s, self._free_at_s)
            self._free_at_s = starts_at_s + bits(payload.nbytes) / self._shape.rate_bps
            due_at_s = self._free_at_s + self._shape.latency_s
        head = _HEADER.pack(header.request, header.n_new, header.n_context, payload.nbytes, due_at_s)
        n_sent = self._connection.sendmsg([head, payload])
        if n_sent < len(head):
            self._connection.sendall(head[n_sent:])
            n_sent = len(head)
        if (n_gone := n_sent - len(head)) < payload.nbytes:
            self._connection.sendall(payload[n_gone:])

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


class Receiver:
    """The receiving end, which blocks in the kernel until a message arrives."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def receive(self) -> tuple[Header, float, bytearray]:
        """Wait for the next message; return its header, the instant of its first bytes [s], and its payload.

        Raises
        ------
        ConnectionError
            If the other end has gone, or sends an invalid message.
        """
        request, n_new, n_context, n_bytes, due_at_s = _HEADER.unpack(self._exactly(_HEADER.size))
        if n_bytes > _MOST_BYTES:
            raise ConnectionError(f"a message of {n_bytes} bytes: the other end is not part of this ring")
        if (left_s := due_at_s - time.perf_counter()) > 0.0:
            time.sleep(left_s)
        arrived_at_s = time.perf_counter()
        return Header(request, n_new, n_context, n_bytes, due_at_s), arrived_at_s, self._exactly(n_bytes)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _exactly(self, n_bytes: int) -> bytearray:
        data = bytearray(n_bytes)
        view = memoryview(data)
        while view:
            n_read = self._connection.recv_into(view)
            if n_read == 0:
                raise ConnectionError("the process before this one in the ring is gone")
            view = view[n_read:]
        return data


def listening() -> socket.socket:
    """Listen on a free loopback port, reachable from this host only."""
    listener = socket.create_server((_LOOPBACK, 0))
    listener.settimeout(_GREETING_S)
    return listener


def connected(port: int, secret: str) -> Sender:
    """Connect to a listening process; `secret` proves that this process belongs to the same crew."""
    connection = socket.create_connection((_LOOPBACK, port), timeout=_GREETING_S)
    connection.sendall(secret.encode())
    return Sender(_tuned(connection))


def accepted(listener: socket.socket, secret: str) -> Receiver:
    """Accept the first connection that sends the secret, and close any other."""
    expected = secret.encode()
    with listener:
        while True:
            connection, _ = listener.accept()
            connection.settimeout(_GREETING_S)
            found = b""
            while len(found) < len(expected) and (part := connection.recv(len(expected) - len(found))):
                found += part
            if hmac.compare_digest(found, expected):
                return Receiver(_tuned(connection))
            connection.close()


def _tuned(connection: socket.socket) -> socket.socket:
    connection.settimeout(None)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection
