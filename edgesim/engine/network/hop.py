"""One direction of a link as a first-come-first-served station."""

from __future__ import annotations

import math
from typing import cast

from edgesim.engine.device.station import Station
from edgesim.engine.network.hop_state import Outlook
from edgesim.radio.motion.recorded import RecordedRate
from edgesim.units import bits
from edgesim.world.link import Link, RateAt
from edgesim.world.routes import via_of

__all__ = ["Hop"]


class Hop(Station):
    """One direction of a link during the simulation.

    Attributes
    ----------
    link
        The link, both directions.
    s_per_byte
        Seconds per byte at a constant rate; None if the rate depends on the instant.
    latency_s
        Time from the departure of the last bit to its arrival [s].
    """

    __slots__ = (
        "_free_bits",
        "_rate_at",
        "_recorded",
        "code",
        "latency_s",
        "link",
        "peer",
        "s_per_byte",
        "sender",
        "via",
    )
    can_fail = False  # never for this class: see FailingHop

    def __init__(self, link: Link, sender: str, peer: str, code: int) -> None:
        super().__init__()
        self.link = link
        self.sender = sender
        self.peer = peer
        self.via = via_of(link)
        way = link.way(sender)
        self.latency_s = way.latency_s
        self.code = code
        self._rate_at: RateAt | None = None
        self._recorded: RecordedRate | None = None
        self._free_bits = 0.0  # for a recorded rate: number of its bits already allocated
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
        """Book a message; return when its first bit leaves and when its last bit has arrived [s]."""
        service_s = self.service_s(now_s, self.free_at_s, size_bytes)
        started_at_s, ended_at_s = self.book(now_s, service_s)
        return started_at_s, ended_at_s + self.latency_s

    def outlook(self, now_s: float) -> Outlook:
        """Return the current state of the hop: its rate and queued data."""
        return self._outlook(now_s, self.free_at_s)

    def _outlook(self, now_s: float, free_at_s: float) -> Outlook:
        queued_s = max(0.0, free_at_s - now_s)
        if self._recorded is not None:
            first_bit = self._recorded.delivered_bits(now_s)
            ahead_bits = max(0.0, self._free_bits - first_bit) if queued_s else 0.0
            return Outlook(self._recorded.rate_bps(now_s), ahead_bits / bits(1), queued_s)
        if self.s_per_byte is not None:
            if not self.s_per_byte:
                return Outlook(math.inf, 0.0, queued_s)
            return Outlook(bits(1) / self.s_per_byte, queued_s / self.s_per_byte, queued_s)
        rate_bps = cast("RateAt", self._rate_at)(now_s)
        return Outlook(rate_bps, queued_s * rate_bps / bits(1), queued_s)

    def service_s(self, now_s: float, free_at_s: float, size_bytes: float) -> float:
        """Transmission time of a message that arrives now, on a link that is free at an instant [s]."""
        if self.s_per_byte is not None:
            return size_bytes * self.s_per_byte
        starts_at_s = max(now_s, free_at_s)
        if self._recorded is None:
            # The rate is taken when the transmission starts, not when it is queued.
            return bits(size_bytes) / cast("RateAt", self._rate_at)(starts_at_s)
        # The rest of a packet after the message ahead carries this one, if it had arrived by then.
        first_bit = self._recorded.delivered_bits(now_s)
        if free_at_s > now_s:
            first_bit = max(first_bit, self._free_bits)
        self._free_bits = first_bit + bits(size_bytes)
        return max(0.0, self._recorded.instant_s(self._free_bits) - starts_at_s)
