"""One direction of a radio link during the simulation."""

from __future__ import annotations

import math
import struct
from functools import partial

import simpy

from edgesim.engine.network.air.transfer import SharedAir, Transfer
from edgesim.engine.network.block_losses import Holes
from edgesim.engine.network.hop import Hop
from edgesim.engine.network.hop_state import Blocks, Outlook, fate
from edgesim.engine.process.clock import Clock, Course
from edgesim.engine.process.verb import MessageLost, Verb, WorkLost, wait_for
from edgesim.engine.recording import Recording
from edgesim.radio.adaptation.delivery import BlocksDelivered, deliver
from edgesim.radio.radio_link import RadioState
from edgesim.units import bits
from edgesim.world.link import Link
from edgesim.world.medium import RadioChannel

__all__ = ["Message", "RadioHop"]

_AT_ONCE = BlocksDelivered(n_sent=0, n_lost=0, n_attempts=1, delay_s=0.0)
_NUMBER, _INSTANT = struct.Struct("<d"), struct.Struct("<Q")


class Message(Transfer):
    """A message on the hop: on the air, or sent and not yet arrived."""

    __slots__ = (
        "arrives_at_s",
        "asked_at_s",
        "delivery",
        "done",
        "gross_bits",
        "holes",
        "n_blocks",
        "number",
        "owner",
        "sent_at_s",
        "size_bytes",
        "token",
    )

    def __init__(self, carrier: RadioHop, owner: int, token: int, size_bytes: float, now_s: float) -> None:
        super().__init__(carrier, bits(size_bytes))
        self.owner, self.token, self.size_bytes = owner, token, size_bytes
        self.done: simpy.Event | None = None  # needed only once other messages are on the air
        self.asked_at_s = now_s
        self.sent_at_s = self.arrives_at_s = math.inf
        self.gross_bits = 0.0
        self.number = 0  # among the messages of one instant
        self.delivery = _AT_ONCE
        self.holes: Holes | None = None  # for a message that is not acknowledged
        self.n_blocks = 1

    @property
    def is_lost(self) -> bool:
        """Whether a block is missing permanently, and the message with it."""
        return self.delivery.n_lost > 0 and self.holes is None

    def note_holes(self, sent: float = 1.0) -> None:
        """Record the missing share of the part that was sent."""
        if self.holes is not None:
            self.holes.note(self.size_bytes * sent, self.delivery.n_lost / self.n_blocks)


class RadioHop(Hop):
    """A hop whose messages share a band, adapt to its channel, and repeat failed blocks.

    A message is cut into the blocks of its first grant. The number of them that fail each attempt is drawn
    then, and depends only on (seed, replication, link, direction, instant at which it was begun); repetitions
    lengthen its time on the air, and every round trip delays its end. A block that neither attempts nor
    repetitions deliver loses the message: its sender is notified when the air time is over. The blocks of an
    unacknowledged message are not repeated by the ARQ, and it arrives without the lost ones. Messages of one
    request arrive in the order in which they were begun, as PDCP (TS 38.323) and 802.11's block
    acknowledgements deliver them; an early one waits for those ahead of it.

    Not modelled: first attempts' error rates that change while a message is on the air (its rate does change,
    and repetitions by ARQ use the channel of their own time), segments that arrive before a message's end.

    Attributes
    ----------
    down
        The reason while the link is down; None while it is up.
    """

    __slots__ = (
        "_clock",
        "_lost_code",
        "_messages",
        "_n_then",
        "_pool",
        "_recording",
        "_rx_s",
        "_then_s",
        "_tx_s",
        "_weights_w",
        "channel",
        "down",
        "is_uplink",
        "is_watched",
    )
    can_fail = True

    def __init__(
        self,
        link: Link,
        sender: str,
        peer: str,
        codes: tuple[int, int],
        powers_w: tuple[float, ...],
        clock: Clock,
        recording: Recording,
        pool: SharedAir,
        *,
        is_watched: bool,
    ) -> None:
        code, self._lost_code = codes
        super().__init__(link, sender, peer, code)
        assert link.radio is not None
        self.channel: RadioChannel = link.radio
        self.is_uplink = sender == link.radio.terminal
        self._weights_w = powers_w
        self._clock, self._recording, self._pool = clock, recording, pool
        self._messages: dict[Message, None] = {}
        self._tx_s = self._rx_s = 0.0
        self._then_s, self._n_then = -1.0, 0
        pool.terminals[link.radio.terminal] = None
        self.is_watched = is_watched
        self.down: str | None = None

    def carry(self, owner: int, token: int, size_bytes: float, holes: Holes | None = None) -> Verb:
        """Begin a message, as a verb."""
        if self.is_watched:
            return wait_for(self.begin(owner, token, size_bytes, holes))
        message = self._begun(owner, token, size_bytes, holes)
        ends_at_s = self._pool.join_alone(message)
        if ends_at_s is None:
            return wait_for(self._awaited(message))
        message.sent_at_s = ends_at_s
        message.arrives_at_s = self._in_order(message)  # earlier messages are sent: the air is empty
        return self._alone(message)

    def begin(self, owner: int, token: int, size_bytes: float, holes: Holes | None = None) -> simpy.Event:
        """Begin a message; return the event of its end.

        The event's value is None when the whole message has arrived, and the share that was sent if a
        handover has removed the rest from the hop; the event fails with the error if the message is lost.
        """
        if self.down is not None:
            raise MessageLost(self.via, self.down)
        message = self._begun(owner, token, size_bytes, holes)
        self._pool.join(message)
        return self._awaited(message)

    def in_reach(self, transfer: Transfer) -> None:
        """Cut a message into blocks, and draw their errors."""
        assert isinstance(transfer, Message)
        state, n_bits = transfer.state, transfer.n_bits
        n_blocks = max(1, math.ceil(n_bits / state.grant.block_bits))
        transfer.gross_bits = transfer.left_bits = n_bits
        transfer.delivery, transfer.waits_s, transfer.n_blocks = _AT_ONCE, (), n_blocks
        # In slots, a message of one block has a grant for each attempt, a round trip after the last.
        is_one_block = n_blocks == 1 and self._pool.medium.grid is not None
        transfer.attempt_bits = n_bits if is_one_block else math.inf
        if state.errors[0] > 0.0:
            instant: int = _INSTANT.unpack(_NUMBER.pack(transfer.asked_at_s))[0]
            key = self.channel.key ^ instant ^ (transfer.number << 1 | self.is_uplink)
            air = self.channel.link.air
            arq = air.arq if transfer.holes is None else air.arq._replace(limit=0)
            after_s = max(self._clock._now, transfer.begins_s) + n_bits / state.rate_bps

            def again(waited_s: float) -> tuple[float, ...]:
                """Error probabilities of a repetition."""
                return self.channel.link.state(
                    after_s + waited_s,
                    uplink=self.is_uplink,
                    band_share=transfer.band_share,
                    interference_w=transfer.interference_w,
                ).errors

            transfer.delivery = deliver(n_blocks, state.errors, air.round_trip_s, arq, key, again)
            transfer.gross_bits = transfer.left_bits = n_bits * transfer.delivery.n_sent / n_blocks
            if is_one_block:
                per_grant = len(state.errors)  # attempts before ARQ repeats the block
                transfer.waits_s = tuple(
                    air.round_trip_s if attempt % per_grant else air.arq.round_trip_s
                    for attempt in range(1, transfer.delivery.n_attempts)
                )
                transfer.delivery = transfer.delivery._replace(delay_s=0.0)

    def not_alone(self, transfer: Transfer) -> None:
        """Turn the end of a message into an event: it is no longer alone on the air."""
        assert isinstance(transfer, Message)
        transfer.sent_at_s = transfer.arrives_at_s = math.inf
        self._awaited(transfer)

    def sent(self, transfer: Transfer) -> None:
        """Handle the departure of a message's last bit; it arrives after the latency and its round trips."""
        assert isinstance(transfer, Message)
        transfer.sent_at_s = self._clock._now
        self._go_on(transfer.owner)

    def given_up(self, transfer: Transfer) -> None:
        """Lose a message that has waited too long."""
        assert isinstance(transfer, Message)
        patience_s = self._pool.medium.give_up_s
        self._end(transfer, MessageLost(self.via, f"out of reach for {patience_s:g} s"))

    def lose(self, error: WorkLost, *, spares_sent: bool = False) -> None:
        """Lose the messages on the hop now."""
        for message in list(self._messages):
            if message.sent_at_s == math.inf or (not spares_sent and message.arrives_at_s > self._clock._now):
                if message.sent_at_s == math.inf:
                    self._pool.leave(message)
                self._end(message, error)

    def hand_over(self) -> None:
        """Remove unsent data from the hop in order; each message's event gives the share that was sent."""
        for message in list(self._messages):
            if message.sent_at_s == math.inf:
                self._pool.leave(message)
                del self._messages[message]
                self._record(message, self._clock._now, self._lost_code, 0.0)
                gone = (
                    1.0 - message.left_bits / message.gross_bits if message.gross_bits else message.is_begun
                )
                assert message.done is not None
                gone = min(1.0, max(0.0, gone))
                message.note_holes(gone)
                message.done.succeed(gone)
                self._go_on(message.owner)

    def outlook(self, now_s: float) -> Outlook:
        """Return the state of the hop for one more message; its queued bytes exclude repetitions."""
        whole, state, rate_bps = self._pool.prospect(self)
        blocks = Blocks(whole.sinr, *self._blocks(state))
        unsent_bits = 0.0
        for message in self._messages:
            if message.sent_at_s > now_s and (left_bits := self._pool.unsent_bits(message)) > 0.0:
                gross_bits = message.gross_bits if message.is_begun else message.n_bits
                unsent_bits += message.n_bits * left_bits / gross_bits
        queued_s = 0.0
        if unsent_bits:
            queued_s = unsent_bits * blocks.n_attempts / rate_bps if rate_bps > 0.0 else math.inf
        down = self.down or (None if rate_bps > 0.0 else "out of reach")
        return Outlook(rate_bps, unsent_bits / bits(1), queued_s, down, blocks)

    def _blocks(self, state: RadioState) -> tuple[int, float, float, float]:
        """Return a block's size in bits, its loss probability, mean transmissions, and loss without ARQ."""
        lost, n_attempts = fate(state.errors, self.channel.link.air.arq)
        return state.grant.block_bits, lost, n_attempts, math.prod(state.errors)

    @property
    def is_idle(self) -> bool:
        """Whether there is no message on the hop."""
        return not self._messages

    def tx_until(self, at_s: float) -> float:
        """Time for which the sender has been sending, up to an instant [s]."""
        return self._tx_s + math.fsum(self._pool.activity(one, at_s)[0] for one in self._messages)

    def rx_until(self, at_s: float) -> float:
        """Time for which the receiver has been receiving, up to an instant [s]."""
        return self._rx_s + math.fsum(self._pool.activity(one, at_s)[1] for one in self._messages)

    def owners(self) -> set[int]:
        """Ids of requests with spans still to be recorded."""
        return {message.owner for message in self._messages}

    def close(self, at_s: float) -> None:
        """Record the messages in transit at the end of the run."""
        for message in list(self._messages):
            self._settle(message, at_s)
            # A message that has arrived is still here because no process waits for it any more.
            is_lost = message.is_lost and message.arrives_at_s <= at_s
            code, tail_s = (self._lost_code, 0.0) if is_lost else (self.code, self.latency_s)
            self._record(message, message.arrives_at_s, code, tail_s, at_s)
        self._messages.clear()

    # --- how it does it ---------------------------------------------------------------------------

    def _begun(self, owner: int, token: int, size_bytes: float, holes: Holes | None = None) -> Message:
        now_s = self._clock._now
        message = self._message(owner, token, size_bytes, now_s)
        message.holes = holes
        self._n_then = self._n_then + 1 if now_s == self._then_s else 0
        self._then_s, message.number = now_s, self._n_then
        self._messages[message] = None
        return message

    def _message(self, owner: int, token: int, size_bytes: float, now_s: float) -> Message:
        return Message(self, owner, token, size_bytes, now_s)

    def _settle(self, message: Message, at_s: float) -> None:
        """Update a message's activity up to an instant."""
        message.tx_s, message.rx_s = self._pool.activity(message, at_s)

    def _spent_j(self, message: Message) -> float:
        """Add a message's activity to the totals; return its energy [J]."""
        self._tx_s += message.tx_s
        self._rx_s += message.rx_s
        message_j = message.tx_s * self._weights_w[0] + message.rx_s * self._weights_w[1]
        message.tx_s = message.rx_s = 0.0
        return message_j

    def _awaited(self, message: Message) -> simpy.Event:
        message.done = done = self._clock.event()
        return done

    def _alone(self, message: Message) -> Course:
        """Sleep until a message that is alone arrives; if others have joined it, wait for its event."""
        if message.done is None:  # still alone when it is waited for
            yield message.arrives_at_s
        if message.done is not None:
            yield message.done
            return
        self._pool.retire()
        del self._messages[message]
        if message.is_lost:
            self._record(message, message.arrives_at_s, self._lost_code, 0.0)
            raise self._undelivered(message)
        message.note_holes()
        self._record(message, message.arrives_at_s, self.code, self.latency_s)

    def _in_order(self, message: Message) -> float:
        """Return when a sent message arrives: not before earlier messages of its request."""
        arrives_at_s = message.sent_at_s + message.delivery.delay_s + self.latency_s
        if message.owner >= 0:
            for other in self._messages:
                if other is message:
                    break
                if other.owner == message.owner and other.arrives_at_s > arrives_at_s:
                    arrives_at_s = other.arrives_at_s
        return arrives_at_s

    def _go_on(self, owner: int) -> None:
        """Schedule the arrival of sent messages that have no unsent message ahead of them."""
        for message in self._messages:
            if message.owner == owner and message.sent_at_s < math.inf and math.isinf(message.arrives_at_s):
                arrives_at_s = max(self._clock._now, self._in_order(message))
                if arrives_at_s < math.inf:
                    message.arrives_at_s = arrives_at_s
                    self._clock.call_at(arrives_at_s, partial(self._arrive, message))

    def _undelivered(self, message: Message) -> MessageLost:
        n_lost = message.delivery.n_lost
        return MessageLost(self.via, f"{n_lost} block{'s' * (n_lost > 1)} undelivered")

    def _arrive(self, message: Message) -> None:
        if message not in self._messages:
            return  # the message was lost
        if message.is_lost:
            self._end(message, self._undelivered(message))
            return
        del self._messages[message]
        message.note_holes()
        self._record(message, message.arrives_at_s, self.code, self.latency_s)
        assert message.done is not None
        self._clock.let_happen(message.done)

    def _end(self, message: Message, error: WorkLost) -> None:
        """End a message that is lost."""
        assert message.done is not None
        del self._messages[message]
        self._record(message, min(self._clock._now, message.arrives_at_s), self._lost_code, 0.0)
        message.done.defused = True  # the failure is raised in the waiting process, if there is one
        message.done.fail(error)
        self._go_on(message.owner)

    def _record(
        self, message: Message, ended_at_s: float, code: int, tail_s: float, cut_at_s: float = math.inf
    ) -> None:
        """Record the span of a message, with the energy for the time that its two ends were active."""
        message_j = self._spent_j(message)
        whole_j = sum(self._weights_w) * (min(ended_at_s - tail_s, cut_at_s) - message.asked_at_s)
        self._recording.span(
            message.owner,
            message.token,
            code,
            message.asked_at_s,
            message.asked_at_s,
            ended_at_s,
            size_bytes=message.size_bytes,
            share=message_j / whole_j if whole_j > 0.0 else 0.0,
            attempts=message.delivery.n_attempts,
        )
