"""Contenders for a Wi-Fi channel: a station's queues of one access category, and its backoff."""

from __future__ import annotations

import struct
from collections import deque

from edgesim.engine.network.wifi.wifi_hop import WifiHop, WifiMessage
from edgesim.radio.access.edca import Edca, backoff_slots, first_boundary, slots_passed
from edgesim.radio.access.wifi_phy import SLOT_S

__all__ = ["Contender", "Queue"]

_NUMBER, _INSTANT = struct.Struct("<d"), struct.Struct("<Q")


class Queue:
    """The messages of a contender for one receiver, in order.

    Attributes
    ----------
    is_out_of_reach
        Whether not even the most robust scheme would work; then none of its messages contends.
    """

    __slots__ = ("hop", "is_out_of_reach", "messages")

    def __init__(self, hop: WifiHop) -> None:
        self.hop = hop
        self.messages: dict[WifiMessage, None] = {}
        self.is_out_of_reach = False

    @property
    def waits(self) -> bool:
        """Whether a frame is waiting to be sent."""
        if self.is_out_of_reach:
            return False
        for message in self.messages:  # noqa: SIM110  # called for each exchange: a generator is slower
            if message.frames.waits:
                return True
        return False


class Contender:
    """An EDCA function of a station: one backoff for all its queues, which are served round robin.

    The backoff depends only on (seed, replication, station, instant).

    Attributes
    ----------
    anchor_s
        The first slot boundary after the air became idle for it.
    backoff
        Number of boundaries after that one until it sends, or until it may send a new frame at once.
    """

    __slots__ = ("_cw", "_key", "_n_failures", "anchor_s", "backoff", "edca", "queues", "sender")

    def __init__(self, sender: str, edca: Edca, key: int) -> None:
        self.sender, self.edca, self._key = sender, edca, key
        self.queues: deque[Queue] = deque()
        self.anchor_s, self.backoff = 0.0, 0
        self._cw, self._n_failures = edca.cw_min, 0

    @property
    def waits(self) -> bool:
        """Whether a frame is waiting to be sent."""
        for queue in self.queues:  # noqa: SIM110
            if queue.waits:
                return True
        return False

    @property
    def starts_s(self) -> float:
        """When it sends if the air stays idle."""
        return self.anchor_s + self.backoff * SLOT_S

    def next_queue(self) -> Queue | None:
        """Return the next queue in round-robin order that has a frame waiting; None if there is none."""
        for _ in range(len(self.queues)):
            queue = self.queues[0]
            self.queues.rotate(-1)
            if queue.waits:
                return queue
        return None

    def draw(self, now_s: float) -> None:
        """Draw a backoff."""
        instant: int = _INSTANT.unpack(_NUMBER.pack(now_s))[0]
        self.backoff = backoff_slots(self._key, instant, self._cw)

    def wait_for_boundary(self, now_s: float) -> None:
        """Send at the next slot boundary, or when the running backoff has ended."""
        self.backoff = max(self.backoff, first_boundary(self.anchor_s, now_s))

    def freeze(self, busy_at_s: float) -> None:
        """Freeze the backoff while another device sends."""
        self.backoff = max(0, self.backoff - slots_passed(self.anchor_s, busy_at_s))

    def has_succeeded(self, now_s: float) -> None:
        """Reset the contention window after an acknowledgement; a backoff follows in any case."""
        self._cw, self._n_failures = self.edca.cw_min, 0
        self.draw(now_s)

    def has_failed(self, now_s: float, most_attempts: int) -> None:
        """Double the contention window after a missing answer, until the frame would be dropped."""
        self._n_failures += 1
        if self._n_failures >= most_attempts:
            self._cw, self._n_failures = self.edca.cw_min, 0
        else:
            self._cw = self.edca.next_cw(self._cw)
        self.draw(now_s)

    @property
    def rank(self) -> tuple[int, int, int]:
        """Priority among the functions of one station: the higher category first."""
        return self.edca.aifsn, self.edca.cw_min, self.edca.cw_max
