"""One direction of a link as a first-come-first-served station."""

from __future__ import annotations

from typing import cast

from edgesim.engine.device.station import Station
from edgesim.radio.motion.recorded import RecordedRate
from edgesim.units import bits
from edgesim.world.link import Link, RateAt
from edgesim.world.routes import via_of

__all__ = ["Hop"]


class Hop(Station):
    """One direction of a link while the simulation runs.

    Attributes
    ----------
    s_per_byte
        Seconds per byte at a constant rate; None where the rate depends on the instant.
    latency_s
        Time after the last bit has left until it has arrived.
    """

    __slots__ = (
        "_free_bits",
        "_rate_at",
        "_recorded",
        "code",
        "latency_s",
        "peer",
        "s_per_byte",
        "sender",
        "via",
    )
    can_fail = False  # of this kind, never: see FailingHop

    def __init__(self, link: Link, sender: str, peer: str, code: int) -> None:
        super().__init__()
        self.sender = sender
        self.peer = peer
        self.via = via_of(link)
        way = link.way(sender)
        self.latency_s = way.latency_s
        self.code = code
        self._rate_at: RateAt | None = None
        self._recorded: RecordedRate | None = None
        self._free_bits = 0.0  # of a recording: up to which of its bits are spoken for
        self.s_per_byte: float | None = None
        if isinstance(way.rate_bps, RecordedRate):
            self._recorded = way.rate_bps
        elif callable(way.rate_bps):
            self._rate_at = way.rate_bps
        else:
            self.s_per_byte = bits(1) / way.rate_bps

    def tx_until(self, at_s: float) -> float:
        """Time for which the sender has been sending, up to an instant [s]."""
        return self.busy_until(at_s)

    def rx_until(self, at_s: float) -> float:
        """Time for which the receiver has been receiving, up to an instant [s]."""
        return self.busy_until(at_s)

    def send(self, now_s: float, size_bytes: float) -> tuple[float, float]:
        """Book a message; when its first bit leaves and when its last bit has arrived."""
        service_s = self.service_s(now_s, self.free_at_s, size_bytes)
        started_at_s, ended_at_s = self.book(now_s, service_s)
        return started_at_s, ended_at_s + self.latency_s

    def service_s(self, now_s: float, free_at_s: float, size_bytes: float) -> float:
        """How long a message is transmitted that comes now to a link that is free at an instant [s]."""
        if self.s_per_byte is not None:
            return size_bytes * self.s_per_byte
        starts_at_s = max(now_s, free_at_s)
        if self._recorded is None:
            # The channel is looked at when the transmission starts, not when it is queued.
            return bits(size_bytes) / cast("RateAt", self._rate_at)(starts_at_s)
        # What the message ahead has left of a packet serves this one, if it was there by then.
        first_bit = self._recorded.delivered_bits(now_s)
        if free_at_s > now_s:
            first_bit = max(first_bit, self._free_bits)
        self._free_bits = first_bit + bits(size_bytes)
        return max(0.0, self._recorded.instant_s(self._free_bits) - starts_at_s)
