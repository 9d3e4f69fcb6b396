"""Link parameters: the connected devices, and rate and latency of each direction."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from edgesim.radio.motion.recorded import RecordedRate
from edgesim.world.medium import RadioChannel

__all__ = ["Link", "RateAt", "Way"]


RateAt = Callable[[float], float]
"""Link rate [bit/s] as a pure function of the instant [s] at which a transmission starts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One direction of a link.

    Parameters
    ----------
    rate_bps
        A constant rate, a function of the instant at which a transmission starts, or a recording, whose
        changes are followed during a transmission.
    latency_s
        Propagation delay, after the last bit has been sent.
    """

    rate_bps: float | RateAt | RecordedRate
    latency_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A point-to-point link: full duplex, one message at a time per direction, first come first served.

    Not modelled: losses, framing overhead, rate changes during a transmission (except for recordings).

    Parameters
    ----------
    between
        Ids of the two devices.
    rate_bps, latency_s
        Rate and latency of the direction from the first device to the second: see :class:`Way`.
    down
        Direction from the second device to the first; None: as the other direction.
    access_s
        Planning value of the access time of a message, in addition to its bits and the latency: preamble,
        headers and acknowledgement of a Wi-Fi link. In a run it follows from the channel.
    radio
        Channel and cell of a radio link, whose `rate_bps` is then a planning value: its mean goodput without
        other transmissions. None: a wired link.
    is_path
        Whether the link is a dedicated path of its two devices: it carries all their messages to each other,
        regardless of other routes, and no other messages.
    """

    between: tuple[str, str]
    rate_bps: float | RateAt | RecordedRate
    latency_s: float = 0.0
    down: Way | None = None
    access_s: float = 0.0
    radio: RadioChannel | None = None
    is_path: bool = False

    def way(self, sender: str) -> Way:
        """Return the direction in which `sender`, one of its ends, transmits."""
        if self.down is not None and sender == self.between[1]:
            return self.down
        return Way(rate_bps=self.rate_bps, latency_s=self.latency_s)
