"""A link, as a value: what it connects, and the rate and latency of either way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from edgesim.radio.motion.recorded import RecordedRate
from edgesim.world.medium import RadioChannel

__all__ = ["Link", "RateAt", "Way"]


RateAt = Callable[[float], float]
"""A link's rate [bit/s] as a pure function of the instant [s] at which a transmission starts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One direction of a link.

    Parameters
    ----------
    rate_bps
        Constant rate, the rate at the instant at which a transmission starts, or a recording, over whose
        changes a transmission is followed bit by bit.
    latency_s
        Propagation delay, after the last bit has left.
    """

    rate_bps: float | RateAt | RecordedRate
    latency_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A point-to-point link: full duplex, one message at a time each way, first come first served.

    Not modelled: losses, framing overhead, a rate that changes during a transmission (but that of a
    recording).

    Parameters
    ----------
    between
        The two devices' ids.
    rate_bps, latency_s
        Of the way up, from the first device to the second: see :class:`Way`.
    down
        The way from the second device to the first; None: it is as the way up.
    access_s
        Time that a message takes beside its bits and the latency, as planners count on it: preamble, headers
        and acknowledgement of a Wi-Fi link. What a run meets follows from the channel.
    radio
        The channel and the cell of a radio link, whose `rate_bps` is then what planners count on: its mean
        goodput, alone on the air. None: a wire.
    is_path
        Whether it is the path of this pair of devices alone: it carries all that the two send each other,
        whatever else leads from one to the other, and nothing of others.
    """

    between: tuple[str, str]
    rate_bps: float | RateAt | RecordedRate
    latency_s: float = 0.0
    down: Way | None = None
    access_s: float = 0.0
    radio: RadioChannel | None = None
    is_path: bool = False

    def way(self, sender: str) -> Way:
        """The direction in which one of its ends sends."""
        if self.down is not None and sender == self.between[1]:
            return self.down
        return Way(rate_bps=self.rate_bps, latency_s=self.latency_s)
