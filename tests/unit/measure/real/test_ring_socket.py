"""Framed and shaped messages over real sockets: whole, in order, as a link of that rate delivers them."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Iterator

import pytest

from edgesim.measure.real.ring_socket import (
    STOP,
    Header,
    LinkShaping,
    Receiver,
    Sender,
    accepted,
    connected,
    listening,
)

SECRET = "a" * 32


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    one, other = socket.socketpair()
    yield one, other
    one.close()
    other.close()


def test_messages_arrive_whole_and_in_order_however_long(ends: tuple[socket.socket, socket.socket]) -> None:
    sizes = (0, 1, 4096, 3_000_000)  # the last is larger than any socket's buffer
    sender, receiver = Sender(ends[0]), Receiver(ends[1])
    payloads = [bytes([number + 1]) * size for number, size in enumerate(sizes)]

    def send() -> None:
        for number, payload in enumerate(payloads):
            sender.send(Header(number, number + 1, 7), memoryview(payload))
        sender.send(STOP, memoryview(b""))

    thread = threading.Thread(target=send)
    thread.start()
    found = [receiver.receive() for _ in range(len(sizes) + 1)]
    thread.join()

    assert [header for header, _, _ in found[:-1]] == [
        Header(number, number + 1, 7, size) for number, size in enumerate(sizes)
    ]
    assert [bytes(data) for _, _, data in found[:-1]] == payloads
    assert found[-1][0] == STOP


def test_a_shaped_link_delivers_each_message_no_earlier_than_its_queue_does(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    # Two messages of 1000 bytes at once, at 400 kbit/s and 10 ms: last bits leave at 20 and at 40 ms.
    sender, receiver = Sender(ends[0], LinkShaping(400e3, 10e-3)), Receiver(ends[1])
    began_at_s = time.perf_counter()
    for _ in range(2):
        sender.send(Header(0, 1, 0), memoryview(bytes(1000)))
    sent_at_s = time.perf_counter()
    arrivals_s = [receiver.receive()[1] for _ in range(2)]

    assert arrivals_s[0] >= began_at_s + 30e-3
    assert arrivals_s[1] >= began_at_s + 50e-3
    assert sent_at_s < arrivals_s[0]  # sending does not wait for the link
    sender.reshape(LinkShaping())
    sender.send(Header(0, 1, 0), memoryview(b"x"))
    assert receiver.receive()[0].n_bytes == 1


def test_an_end_that_is_gone_and_one_that_talks_nonsense_are_errors(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    ends[0].sendall(struct.pack("<IIIId", 0, 1, 0, 1 << 31, 0.0))
    with pytest.raises(ConnectionError, match="not part of this ring"):
        Receiver(ends[1]).receive()
    ends[0].close()
    with pytest.raises(ConnectionError, match="gone"):
        Receiver(ends[1]).receive()


def test_only_who_knows_the_secret_is_let_in() -> None:
    listener = listening()
    port = listener.getsockname()[1]
    stranger = socket.create_connection(("127.0.0.1", port))
    stranger.sendall(b"b" * len(SECRET))
    silent = socket.create_connection(("127.0.0.1", port))
    silent.close()
    sender = connected(port, SECRET)
    receiver = accepted(listener, SECRET)
    sender.send(Header(3, 1, 0), memoryview(b"hello"))

    assert bytes(receiver.receive()[2]) == b"hello"
    assert stranger.recv(1) == b""  # turned away
    for each in (stranger, sender, receiver):
        each.close()


def test_a_message_is_due_when_sending_began_or_when_a_shaped_link_has_delivered_it(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    sender, receiver = Sender(ends[0]), Receiver(ends[1])
    before_s = time.perf_counter()
    sender.send(Header(0, 1, 0), memoryview(b"x"))
    after_s = time.perf_counter()
    assert before_s <= receiver.receive()[0].due_at_s <= after_s

    sender.reshape(LinkShaping(rate_bps=80e3, latency_s=5e-3))
    before_s = time.perf_counter()
    sender.send(Header(0, 1, 0), memoryview(bytes(100)))  # 10 ms at 80 kbit/s
    after_s = time.perf_counter()
    header, arrived_at_s, _ = receiver.receive()
    assert before_s + 15e-3 <= header.due_at_s <= after_s + 15e-3
    assert header.due_at_s <= arrived_at_s
