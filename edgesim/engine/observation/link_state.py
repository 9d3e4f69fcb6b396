"""The state of a link, and of a route, at one instant, as strategies see it: frozen values."""

from __future__ import annotations

import math
from dataclasses import dataclass

from edgesim.trace.schema import LinkKind
from edgesim.units import bits
from edgesim.world.device import Endpoint

__all__ = ["LinkState", "RouteState"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkState:
    """One direction of a link, for a message that begins now.

    Rates and probabilities are those of the instant: their changes are not predicted, and no random draw of
    the run is read or consumed.

    Not counted: collisions of 802.11, the round trips that repetitions wait for, and future traffic of other
    devices on the medium.

    Attributes
    ----------
    at_s
        Instant of the state [s].
    sender, peer
        Its two ends.
    via
        Its name in the trace.
    kind
        Wired, radio, or recorded.
    down
        Why no message can leave: ``link down``, ``b-0 down``, ``out of reach``; None while it is up.
    rate_bps
        Rate of the link with one more message on it [bit/s], without deducting repetitions; 0 while it is
        down. For a wire, its rate now. In a shared band, its rate with all terminals that are on the air now,
        each as if it had enough to send to fill its part: its part of the band if access is in frequency, the
        whole band for its part of the time if terminals alternate in time (``max-rate`` counts as one of
        these); times the share of time for which a duplex pattern opens the direction. Under 802.11's
        contention, the MAC's throughput alone, divided by the number of stations with a frame to send, itself
        included, and by the number of receivers that its own station has frames for.
    queued_bytes
        Unsent data of earlier messages in this direction [byte], without repetitions. On a wire whose rate is
        a function of time it is computed with the rate now.
    queued_s
        Time to send these data [s]: on a wire, exactly the time until a new message begins, which waits in
        the queue; on the air, at the present rate with expected repetitions, where a new message does not
        wait but shares the link. Includes the rest of a handover's interruption.
    latency_s
        Time from the departure of the last bit to its arrival [s].
    access_s
        Time of a message in addition to its bits on an idle link [s], as planners assume: a Wi-Fi link's
        preambles and headers, the mean wait for a first slot in a slotted cell.
    block_bits
        Application bits that are acknowledged together: a transport block, a frame; 0 for a wire.
    block_loss
        Probability that a block is lost permanently in the current channel: that it fails all attempts of the
        physical layer, and all repetitions by the ARQ above it. 0 for a wire, 1 while the link is down.
    unacknowledged_loss
        The same for a message that is not acknowledged: that it fails the physical layer's attempts.
    n_attempts
        Mean number of transmissions of a block, including all of these.
    snr_db
        True ratio of signal to interference and noise over the whole band [dB], as returned by
        :meth:`edgesim.radio.radio_link.RadioLink.report`; None for a wire.
    station
        The cell that the link leads to; None for a wire.
    serving
        The cell that carries the terminal's messages now; differs from `station` if the terminal changes
        cells and this one does not serve it.
    """

    at_s: float
    sender: str
    peer: str
    via: str
    kind: LinkKind
    down: str | None
    rate_bps: float
    queued_bytes: float
    queued_s: float
    latency_s: float
    access_s: float = 0.0
    block_bits: int = 0
    block_loss: float = 0.0
    unacknowledged_loss: float = 0.0
    n_attempts: float = 1.0
    snr_db: float | None = None
    station: str | None = None
    serving: str | None = None

    @property
    def is_up(self) -> bool:
        """Whether a message could leave: nothing has failed, and the other end is in reach."""
        return self.down is None

    @property
    def is_serving(self) -> bool:
        """Whether messages between its ends use it now: always for a wire, while it serves for a cell."""
        return self.station == self.serving

    def loss(self, size_bytes: float) -> float:
        """Probability that a message of this size is lost in the current channel: that any of its blocks is.

        Future failures and handovers are not predicted.
        """
        if self.block_loss in (0.0, 1.0):
            return self.block_loss
        n_blocks = max(1, math.ceil(bits(size_bytes) / self.block_bits))
        return -math.expm1(n_blocks * math.log1p(-self.block_loss))

    def seconds(self, size_bytes: float) -> float:
        """Time until a message of this size would have arrived, if the state does not change [s].

        The queued data, then the message's own bits at the present rate with expected repetitions, then the
        latency; infinite while the link is down or its rate is 0. On the air, where the messages of a link
        are sent concurrently, it is the time of the last of them.
        """
        if self.down is not None or not self.rate_bps:
            return math.inf
        own_s = self.access_s + bits(size_bytes) * self.n_attempts / self.rate_bps
        return self.queued_s + own_s + self.latency_s


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteState:
    """The links that a message would take from one device to another; none from a device to itself.

    Attributes
    ----------
    hops
        The links in order.
    endpoints
        Costs of messages at the two ends.
    """

    source: str
    target: str
    hops: tuple[LinkState, ...]
    endpoints: tuple[Endpoint, ...] = ()

    @property
    def is_up(self) -> bool:
        """Whether all hops are up."""
        return all(hop.is_up for hop in self.hops)

    @property
    def snr_db(self) -> float | None:
        """Least signal-to-interference-and-noise ratio of its radio hops [dB]; None if there are none."""
        return min((hop.snr_db for hop in self.hops if hop.snr_db is not None), default=None)

    @property
    def rate_bps(self) -> float:
        """Least rate of its hops [bit/s]; infinite from a device to itself."""
        return min((hop.rate_bps for hop in self.hops), default=math.inf)

    @property
    def queued_bytes(self) -> float:
        """Data queued on all hops [byte]."""
        return math.fsum(hop.queued_bytes for hop in self.hops)

    @property
    def queued_s(self) -> float:
        """Time to send the queued data [s]; data queued at a later hop may have been sent by then."""
        return math.fsum(hop.queued_s for hop in self.hops)

    @property
    def unacknowledged_loss(self) -> float:
        """Expected share of a message that is missing if it is not acknowledged."""
        return 1.0 - math.prod(1.0 - hop.unacknowledged_loss for hop in self.hops)

    def loss(self, size_bytes: float) -> float:
        """Probability that any hop loses a message of this size."""
        return 1.0 - math.prod(1.0 - hop.loss(size_bytes) for hop in self.hops)

    def seconds(self, size_bytes: float) -> float:
        """End-to-end time, store and forward [s]; includes handling at the ends but no queueing there."""
        ends_s = math.fsum(end.passing_s(size_bytes) for end in self.endpoints)
        return ends_s + math.fsum(hop.seconds(size_bytes) for hop in self.hops)
