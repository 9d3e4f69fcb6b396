"""What a strategy sees of a link, and of a route, at one instant: frozen values, to be kept or sent."""

from __future__ import annotations

import math
from dataclasses import dataclass

from edgesim.trace.schema import LinkKind
from edgesim.units import bits
from edgesim.world.device import Endpoint

__all__ = ["LinkState", "RouteState"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkState:
    """One direction of a link, as a message that began now would find it.

    Rates and probabilities are those of the instant: how they will change is not foreseen, and no draw of the
    run is looked at or used up.

    Not counted: collisions of 802.11, the round trips that repetitions wait for, and what others who share
    the medium will send or cease to send.

    Attributes
    ----------
    at_s
        When it was so [s].
    sender, peer
        Its two ends.
    via
        Its name in the trace.
    kind
        Wired, radio, or recorded.
    down
        Why no message can leave: ``link down``, ``b-0 down``, ``out of reach``; None while it is up.
    rate_bps
        Rate that the link would have with one more message on it [bit/s], repetitions not taken off; 0 while
        it is down. Of a wire, its rate now. In a shared band, what it would have beside all those who have
        something on the air now, each as if it had enough to fill its part: its part of the band where
        access is in frequency, all of it for its part of the time where terminals take turns (``max-rate``
        is counted as one of these); times the share of time that a duplex pattern opens the direction for.
        Under 802.11's contention the MAC's throughput alone, divided by the stations that have a frame
        to send, itself included, and by the receivers that its own station has frames for.
    queued_bytes
        What earlier messages in this direction have not sent yet [byte], repetitions not counted. On a wire
        whose rate follows a function of time it is worked out with the rate now.
    queued_s
        Time that this will take [s]: on a wire exactly until a new message begins, which waits for its turn;
        on the air at the present rate, expected repetitions counted, where a new message does not wait but
        shares. What is left of a handover's interruption is added.
    latency_s
        Time after the last bit has left until it has arrived [s].
    access_s
        What a message takes beside its bits on an idle link [s], as planners count on it: a Wi-Fi link's
        preambles and headers, the mean wait for a first slot in a cell of slots.
    block_bits
        Bits of an application that are acknowledged together: a transport block, a frame; 0 of a wire.
    block_loss
        Probability that a block is lost for good in the channel as it is: that it fails all attempts of the
        physical layer, and all repetitions by the ARQ above it. 0 of a wire, 1 while the link is down.
    unacknowledged_loss
        The same of a message that is not acknowledged: that it fails the physical layer's attempts.
    n_attempts
        Mean number of transmissions of a block, all of these included.
    snr_db
        True ratio of signal to interference and noise over the whole band [dB], as
        :meth:`edgesim.radio.radio_link.RadioLink.report` tells it; None of a wire.
    station
        The cell that the link leads to; None of a wire.
    serving
        The cell over which the terminal's messages go now; another than `station` if the terminal changes
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
        """Whether messages between its ends go over it now: of a wire always, of a cell while it serves."""
        return self.station == self.serving

    def loss(self, size_bytes: float) -> float:
        """Probability that a message of this size is lost in the channel as it is: that any block of it is.

        Failures that are yet to come and handovers are not foreseen.
        """
        if self.block_loss in (0.0, 1.0):
            return self.block_loss
        n_blocks = max(1, math.ceil(bits(size_bytes) / self.block_bits))
        return -math.expm1(n_blocks * math.log1p(-self.block_loss))

    def seconds(self, size_bytes: float) -> float:
        """Time from now on until a message of this size would have arrived, if all stays as it is.

        What is queued, then its own bits at the present rate with expected repetitions, then the latency;
        infinite while the link is down or its rate is 0. On the air, where messages of one link go side by
        side, it is what the last of them needs.
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
        One after the other.
    endpoints
        What messages cost at the two ends.
    """

    source: str
    target: str
    hops: tuple[LinkState, ...]
    endpoints: tuple[Endpoint, ...] = ()

    @property
    def is_up(self) -> bool:
        """Whether all hops are."""
        return all(hop.is_up for hop in self.hops)

    @property
    def snr_db(self) -> float | None:
        """The least ratio of its radio hops [dB]; None where there is none."""
        return min((hop.snr_db for hop in self.hops if hop.snr_db is not None), default=None)

    @property
    def rate_bps(self) -> float:
        """The least rate of its hops [bit/s]; infinite from a device to itself."""
        return min((hop.rate_bps for hop in self.hops), default=math.inf)

    @property
    def queued_bytes(self) -> float:
        """What is queued on all hops [byte]."""
        return math.fsum(hop.queued_bytes for hop in self.hops)

    @property
    def queued_s(self) -> float:
        """Time that this takes [s]; what waits at a later hop may be gone by then."""
        return math.fsum(hop.queued_s for hop in self.hops)

    @property
    def unacknowledged_loss(self) -> float:
        """Expected share of a message that is missing if it is not acknowledged."""
        return 1.0 - math.prod(1.0 - hop.unacknowledged_loss for hop in self.hops)

    def loss(self, size_bytes: float) -> float:
        """Probability that any hop loses a message of this size."""
        return 1.0 - math.prod(1.0 - hop.loss(size_bytes) for hop in self.hops)

    def seconds(self, size_bytes: float) -> float:
        """Time from end to end, store and forward, with what the ends take but not what waits there."""
        ends_s = math.fsum(end.passing_s(size_bytes) for end in self.endpoints)
        return ends_s + math.fsum(hop.seconds(size_bytes) for hop in self.hops)
