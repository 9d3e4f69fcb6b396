"""One direction of a Wi-Fi link during the simulation."""

from __future__ import annotations

import math
import struct
from typing import Protocol

from edgesim.engine.network.air.transfer import SharedAir, Transfer
from edgesim.engine.network.hop_state import fate
from edgesim.engine.network.radio_hop import Message, RadioHop
from edgesim.engine.network.wifi.frames import Frames
from edgesim.engine.process.clock import Clock
from edgesim.engine.process.verb import MessageLost, WorkLost
from edgesim.engine.recording import Recording
from edgesim.radio.adaptation.delivery import BlocksDelivered
from edgesim.radio.radio_link import RadioState
from edgesim.trace.buffer import TRANSPORT
from edgesim.units import bits
from edgesim.world.link import Link
from edgesim.world.medium import Medium

__all__ = ["Channel", "WifiHop", "WifiMessage"]

_NUMBER, _INSTANT = struct.Struct("<d"), struct.Struct("<Q")
_TRANSPORT_ACK_BYTES = 40  # IP and TCP headers, which the MAC adds to an empty frame
_MOST_ROOMS = 64
_SEGMENTS_PER_ACK = 2  # delayed acknowledgements, RFC 1122 section 4.2.3.2


class Channel(SharedAir, Protocol):
    """Interface of the channel that a Wi-Fi hop contends for."""

    def add(self, hop: WifiHop, key: int) -> None:
        """Add a hop; its sender's backoffs are drawn from the key."""
        ...

    def activity(self, transfer: Transfer, at_s: float) -> tuple[float, float, float]:
        """Time of sending, receiving and answering for a message in the current burst [s]."""
        ...


class WifiMessage(Message):
    """A message on a Wi-Fi hop.

    Attributes
    ----------
    hop
        The hop that carries it.
    frames
        Its frames that wait for the air.
    back_s
        Time for which the receiver has been answering, and the sender receiving the answers [s].
    n_unacknowledged
        Segments that the receiver's transport has not acknowledged yet; None for a transport acknowledgement.
    """

    __slots__ = ("back_s", "frames", "hop", "n_unacknowledged")

    def __init__(self, hop: WifiHop, owner: int, token: int, size_bytes: float, now_s: float) -> None:
        super().__init__(hop, owner, token, size_bytes, now_s)
        self.hop = hop
        self.frames = Frames(size_bytes, hop.channel.mac.frame_bytes)
        self.gross_bits = self.left_bits = bits(size_bytes)
        self.back_s = 0.0
        self.n_unacknowledged: int | None = 0

    def spend(self, activity: tuple[float, float, float]) -> None:
        """Add time of sending, receiving and answering [s]."""
        self.tx_s += activity[0]
        self.rx_s += activity[1]
        self.back_s += activity[2]


class WifiHop(RadioHop):
    """A hop whose messages contend for a Wi-Fi channel, frame by frame.

    A frame's error probability depends on the channel at the instant at which its exchange begins; whether it
    fails depends only on (seed, replication, link, direction, that instant). A frame that has failed as often
    as the retry limit is dropped and loses its message, which is known when the message's last frame is
    complete. A message arrives with the acknowledgement of its last frame.

    Parameters
    ----------
    powers_w
        Power of sending and receiving data, and of sending and receiving its acknowledgement [W].
    medium
        The cell.
    """

    __slots__ = ("_acks", "_back_s", "_domain", "_rooms", "medium", "reverse", "state")

    def __init__(
        self,
        link: Link,
        sender: str,
        peer: str,
        codes: tuple[int, int],
        powers_w: tuple[float, float, float, float],
        clock: Clock,
        recording: Recording,
        domain: Channel,
        medium: Medium,
        *,
        is_watched: bool,
    ) -> None:
        super().__init__(link, sender, peer, codes, powers_w, clock, recording, domain, is_watched=is_watched)
        self.medium, self._domain = medium, domain
        self.state: RadioState | None = None  # as last evaluated
        self.reverse: WifiHop | None = None
        self._back_s = 0.0
        self._acks: dict[WifiMessage, None] = {}  # transport acknowledgements; no process waits for them
        self._rooms: dict[float, tuple[int, float]] = {}  # by rate; a standard has few rates
        domain.add(self, medium.key)

    # --- for the channel --------------------------------------------------------------------------------

    @property
    def most_attempts(self) -> int:
        """Number of transmissions of a frame before it is dropped."""
        n_each = 1 if self.state is None else len(self.state.errors)
        return (self.channel.link.air.arq.limit + 1) * n_each

    def key_at(self, at_s: float) -> int:
        """Key of the random draws for the frames of an exchange."""
        instant: int = _INSTANT.unpack(_NUMBER.pack(at_s))[0]
        return self.channel.key ^ instant ^ self.is_uplink

    def room(self, rate_bps: float) -> tuple[int, float]:
        """Most frames and bytes of an aggregate at a rate."""
        known = self._rooms.get(rate_bps)
        if known is None:
            if len(self._rooms) >= _MOST_ROOMS:
                self._rooms.clear()
            known = self._rooms[rate_bps] = self.channel.mac.room(rate_bps)
        return known

    def error(self, n_failures: int, n_bytes: int) -> float:
        """Error probability of a frame of `n_bytes` after `n_failures`, in the last evaluated state."""
        assert self.state is not None
        errors, block_bits = self.state.errors, self.state.grant.block_bits
        error = errors[n_failures % len(errors)]
        return _over_length(error, bits(n_bytes) / block_bits)

    def delivered(self, message: WifiMessage, n_frames: int) -> None:
        """Handle the arrival of frames, for which transport acknowledgements may be due."""
        if message.n_unacknowledged is None or not self.channel.mac.acknowledges_segments:
            return
        message.n_unacknowledged += n_frames
        n_acks, message.n_unacknowledged = divmod(message.n_unacknowledged, _SEGMENTS_PER_ACK)
        if message.frames.is_done and message.n_unacknowledged:
            n_acks, message.n_unacknowledged = n_acks + 1, 0
        if n_acks:
            assert self.reverse is not None
            self.reverse.acknowledge(n_acks)

    def acknowledge(self, n_acks: int) -> None:
        """Send transport acknowledgements, unless the link has just gone down.

        They belong to no request: the last ones of an answer are on the air after its end.
        """
        if self.down is not None:
            return
        size_bytes = float(n_acks * _TRANSPORT_ACK_BYTES)
        ack = WifiMessage(self, TRANSPORT, -1, 0.0, self._clock._now)
        ack.size_bytes, ack.n_unacknowledged = size_bytes, None
        ack.frames = Frames.empty(n_acks)
        self._acks[ack] = None
        self._domain.join(ack)

    def sent(self, transfer: Transfer) -> None:
        """Handle the completion of a message's last frame."""
        assert isinstance(transfer, WifiMessage)
        if transfer in self._acks:
            self._drop_ack(transfer, self.code)
            return
        frames = transfer.frames
        transfer.delivery = BlocksDelivered(0, frames.n_dropped, frames.worst, 0.0)
        super().sent(transfer)

    def given_up(self, transfer: Transfer) -> None:
        """Lose a message that has waited too long."""
        assert isinstance(transfer, WifiMessage)
        if transfer in self._acks:
            self._drop_ack(transfer, self._lost_code)
        else:
            self._end(transfer, MessageLost(self.via, f"out of reach for {self.medium.give_up_s:g} s"))

    # --- for the transport ----------------------------------------------------------------------------

    def lose(self, error: WorkLost, *, spares_sent: bool = False) -> None:
        """Lose the messages on the hop now."""
        self._lose_acks()
        super().lose(error, spares_sent=spares_sent)

    def hand_over(self) -> None:
        """Remove unsent data from the hop in order; each message's event gives the share that was sent."""
        self._lose_acks()
        super().hand_over()

    @property
    def is_idle(self) -> bool:
        """Whether there is no message on the hop."""
        return not self._messages and not self._acks

    def tx_until(self, at_s: float) -> float:
        """Time spent sending, including answers to the other direction [s]."""
        return self._own_until(0, at_s) + (0.0 if self.reverse is None else self.reverse._own_until(2, at_s))

    def rx_until(self, at_s: float) -> float:
        """Time spent receiving, including answers to the other direction [s]."""
        return self._own_until(1, at_s) + (0.0 if self.reverse is None else self.reverse._own_until(2, at_s))

    def _blocks(self, state: RadioState) -> tuple[int, float, float, float]:
        """Return the block statistics for a whole frame."""
        mac, errors = self.channel.mac, state.errors
        if state.grant.block_bits:
            length = bits(mac.mpdu_bytes(mac.frame_bytes)) / state.grant.block_bits
            errors = tuple(_over_length(error, length) for error in errors)
        return (int(bits(mac.frame_bytes)), *fate(errors, self.channel.link.air.arq), 0.0)

    def owners(self) -> set[int]:
        """Ids of requests with spans still to be recorded."""
        return super().owners() | {ack.owner for ack in self._acks}

    def close(self, at_s: float) -> None:
        """Record the messages in transit at the end of the run."""
        for ack in self._acks:
            self._settle(ack, at_s)
            self._record(ack, math.inf, self.code, self.latency_s, at_s)
        self._acks.clear()
        super().close(at_s)

    # --- how it does it ---------------------------------------------------------------------------------

    def _message(self, owner: int, token: int, size_bytes: float, now_s: float) -> WifiMessage:
        return WifiMessage(self, owner, token, size_bytes, now_s)

    def _own_until(self, which: int, at_s: float) -> float:
        """Time of sending, receiving or answering for this direction's messages [s]."""
        total_s = (self._tx_s, self._rx_s, self._back_s)[which]
        for message in (*self._messages, *self._acks):
            assert isinstance(message, WifiMessage)
            total_s += (message.tx_s, message.rx_s, message.back_s)[which]
            total_s += self._domain.activity(message, at_s)[which]
        return total_s

    def _settle(self, message: Message, at_s: float) -> None:
        assert isinstance(message, WifiMessage)
        message.spend(self._domain.activity(message, at_s))

    def _spent_j(self, message: Message) -> float:
        assert isinstance(message, WifiMessage)
        message.delivery = BlocksDelivered(0, message.frames.n_dropped, message.frames.worst, 0.0)
        self._back_s += message.back_s
        back_j = message.back_s * (self._weights_w[2] + self._weights_w[3])
        message.back_s = 0.0
        return super()._spent_j(message) + back_j

    def _lose_acks(self) -> None:
        for ack in list(self._acks):
            self._domain.leave(ack)
            self._drop_ack(ack, self._lost_code)

    def _drop_ack(self, ack: WifiMessage, code: int) -> None:
        del self._acks[ack]
        tail_s = self.latency_s if code == self.code else 0.0
        self._record(ack, self._clock._now + tail_s, code, tail_s)


def _over_length(error: float, length: float) -> float:
    """Error probability of a block `length` times as long."""
    if error <= 0.0 or error >= 1.0:
        return error
    return -math.expm1(length * math.log1p(-error))
