"""Contention for a Wi-Fi channel during the simulation, exchange by exchange.

Every station with data to send has a backoff. While the air is idle, the next transmission begins at the
first of the contenders' instants; any other that would begin less than a slot later cannot detect it, and
collides. So an exchange is two events, its beginning and its end, and slots are counted without an event
each.

The rules are those of EDCA (802.11-2020 clause 10.23.2): transmissions begin at slot boundaries, AIFS and a
whole number of slots after the air became idle; a frame that arrives at an empty queue while the air is idle
is sent at the next boundary, one that arrives while it is busy draws a backoff; backoffs freeze while the air
is busy; windows double with each failure and are reset by a success, after which a backoff follows in any
case; a station that could not decode a frame waits for EIFS instead of AIFS; one whose frame was not
answered, for the timeout and AIFS.

Not modelled: stations that do not receive one another (hidden terminals), capture of the stronger frame, lost
acknowledgements, preambles that are missed, trigger frames and OFDMA of 802.11ax, power saving, beacons and
other management frames. Third parties do not distinguish senders or causes of garbling: either all of them
have decoded a frame or none has.
"""

from __future__ import annotations

import math
from functools import partial

from edgesim.engine.network.air.interference import Band
from edgesim.engine.network.air.transfer import Carrier, Transfer
from edgesim.engine.network.hop_state import Prospect
from edgesim.engine.network.wifi.contender import Contender, Queue
from edgesim.engine.network.wifi.exchange import Burst, Part
from edgesim.engine.network.wifi.frames import Run
from edgesim.engine.network.wifi.wifi_hop import WifiHop, WifiMessage
from edgesim.engine.process.clock import Clock
from edgesim.radio.access.edca import Edca
from edgesim.radio.access.wifi_phy import SLOT_S
from edgesim.radio.adaptation.delivery import binomial
from edgesim.rng import key_of
from edgesim.units import bits
from edgesim.world.medium import Medium

__all__ = ["Contention"]

_EDGE_S = 1e-9  # instants closer than this are one


class Contention:
    """The stations that share a channel, of one cell or of several that receive one another.

    Parameters
    ----------
    medium
        A cell; any of them, if there are several.
    band
        Cells on the channel that are background load, not contenders; None if there are none.

    Attributes
    ----------
    terminals
        Terminals that may send or receive here.
    """

    def __init__(self, clock: Clock, medium: Medium, band: Band | None) -> None:
        self._clock, self.medium, self._band = clock, medium, band
        self.terminals: dict[str, None] = {}
        self.is_uplink: bool | None = None  # both directions contend
        self._busy_s, self._began_s = 0.0, 0.0
        self._contenders: dict[tuple[str, Edca], Contender] = {}
        self._queues: dict[WifiHop, tuple[Contender, Queue]] = {}
        # Contenders with data to send, or whose backoff is still running; the others may send at once.
        self._counting: dict[Contender, None] = {}
        self._bursts: list[tuple[Contender, Burst]] = []  # on the air now
        self._idle_from_s, self._was_garbled = -math.inf, False
        self._next_s, self._version = math.inf, 0
        if band is not None:
            band.add(self)

    # --- for hops -------------------------------------------------------------------------------------

    def add(self, hop: WifiHop, key: int) -> None:
        """Add a direction of a link.

        Parameters
        ----------
        key
            Key of the cell's draws, for this seed and replication.
        """
        edca = hop.channel.mac.edca
        place = (hop.sender, edca)
        if place not in self._contenders:
            category = (edca.aifsn, edca.cw_min, edca.cw_max)
            self._contenders[place] = Contender(hop.sender, edca, key_of(key, hop.sender, *category))
        contender, queue = self._contenders[place], Queue(hop)
        contender.queues.append(queue)
        self._queues[hop] = contender, queue
        for other in self._queues:
            if (other.sender, other.peer) == (hop.peer, hop.sender):
                other.reverse, hop.reverse = hop, other

    def join_alone(self, transfer: Transfer) -> None:
        """Add a message; its end is not known in advance, so the result is None."""
        self.join(transfer)

    def join(self, transfer: Transfer) -> None:
        """Add a message, which contends for the air."""
        message = _of_wifi(transfer)
        contender, queue = self._queues[message.hop]
        had_frames = contender.waits
        queue.messages[message] = None
        if queue.is_out_of_reach:
            self._stall(queue, math.inf)
        elif not had_frames:
            self.wake(contender)

    def wake(self, contender: Contender) -> None:
        """Start the contention of a contender that has data to send after having none."""
        now_s = self._clock._now
        if self._bursts:
            if contender.backoff == 0 or contender not in self._counting:
                contender.draw(now_s)
            self._counting[contender] = None
            return
        if contender not in self._counting:
            contender.anchor_s, contender.backoff = self._anchor_s(contender), 0
            self._counting[contender] = None
        contender.wait_for_boundary(now_s)
        if contender.starts_s < self._next_s:
            self._wake_up_at(contender.starts_s)

    def busy_until(self, at_s: float) -> float:
        """Time for which the air has been busy, up to the present or the end of the run [s]."""
        return self._busy_s + (max(0.0, at_s - self._began_s) if self._bursts else 0.0)

    def leave(self, transfer: Transfer) -> None:
        """Remove a message; its frames on the air count as not sent."""
        message = _of_wifi(transfer)
        self._queues[message.hop][1].messages.pop(message, None)
        for _, burst in self._bursts:
            for place, part in enumerate(burst.parts):
                if part.message is message:
                    message.spend(burst.activity(part.share, self._clock._now))
                    del burst.parts[place]
                    break

    def retire(self) -> None:
        """Do nothing: no message's end is known in advance."""

    def activity(self, transfer: Transfer, at_s: float) -> tuple[float, float, float]:
        """Time of sending, receiving and answering for a message in the current exchange [s]."""
        for _, burst in self._bursts:
            for part in burst.parts:
                if part.message is transfer:
                    return burst.activity(part.share, at_s)
        return 0.0, 0.0, 0.0

    # --- for other cells of the band ------------------------------------------------------------------

    @property
    def is_idle(self) -> bool:
        """Whether nothing is on the air."""
        return not self._bursts

    def refresh(self) -> None:
        """Do nothing: a channel is evaluated when an exchange begins."""

    def sending(self, *, is_uplink: bool) -> dict[str, float]:
        """Return the devices that send in a direction now; each does all the time."""
        return {burst.hop.sender: 1.0 for _, burst in self._bursts if burst.hop.is_uplink == is_uplink}

    def glance(self, *, is_uplink: bool) -> dict[str, float]:
        """Like :meth:`sending`."""
        return self.sending(is_uplink=is_uplink)

    # --- for observers ----------------------------------------------------------------------------------

    def prospect(self, carrier: Carrier) -> Prospect:
        """Return a hop's share: equal among contenders, and among the receivers of its own station.

        Not counted: collisions, and possibly longer exchanges of others.
        """
        now_s, interference_w = self._clock._now, 0.0
        if self._band is not None:
            interference_w, _ = self._band.disturbance(self, carrier, now_s, glances=True)
        state = carrier.channel.link.state(
            now_s, uplink=carrier.is_uplink, band_share=1.0, interference_w=interference_w
        )
        own, queue = next(pair for hop, pair in self._queues.items() if hop is carrier)
        on_air = {contender for contender, _ in self._bursts}
        n_others = sum(
            other is not own and (other in on_air or other.waits) for other in self._contenders.values()
        )
        n_receivers = 1 + sum(other is not queue and other.waits for other in own.queues)
        alone_bps = self.medium.alone_bps(state.rate_bps, carrier.channel.mac, uplink=carrier.is_uplink)
        return Prospect(state, state, alone_bps / ((1 + n_others) * n_receivers))

    def unsent_bits(self, transfer: Transfer) -> float:
        """Bits of a message that have not been delivered, including frames on the air."""
        return transfer.left_bits

    # --- between exchanges ------------------------------------------------------------------------------

    def _anchor_s(self, contender: Contender) -> float:
        """First slot boundary after the last exchange, for a contender that took no part in it."""
        if self._idle_from_s == -math.inf:
            return 0.0
        edca = contender.edca
        return self._idle_from_s + (edca.eifs_s if self._was_garbled else edca.aifs_s)

    def _wake_up_at(self, at_s: float) -> None:
        self._version += 1
        self._next_s = at_s
        if at_s < math.inf:
            self._clock.call_at(max(at_s, self._clock._now), partial(self._begin, self._version))

    def _plan(self) -> None:
        """Schedule the next transmission."""
        starts_s = math.inf
        for contender in self._counting:
            if contender.waits:
                starts_s = min(starts_s, contender.starts_s)
        self._wake_up_at(starts_s)

    def _begin(self, version: int) -> None:
        """Begin the transmissions of contenders whose backoff has ended."""
        if version != self._version:
            return
        now_s = self._clock._now
        began_s = math.inf
        winners: list[tuple[Contender, Burst]] = []
        ahead: dict[str, Contender] = {}  # by station: the function with priority over its others
        due = {
            contender: None
            for contender in self._counting
            if contender.starts_s < now_s + SLOT_S - _EDGE_S and contender.waits
        }
        for contender in due:
            other = ahead.get(contender.sender)
            if other is None or contender.rank < other.rank:
                ahead[contender.sender] = contender
        for contender in sorted(ahead.values(), key=lambda one: one.starts_s):
            starts_s = max(now_s, contender.starts_s)
            if starts_s >= began_s + SLOT_S - _EDGE_S:
                break
            burst = self._burst(contender, starts_s)
            if burst is not None:
                began_s = min(began_s, starts_s)
                winners.append((contender, burst))
        if not winners:
            self._counting = {one: None for one in self._counting if one.waits or one.starts_s > now_s}
            self._plan()
            return
        self._bursts = winners
        sending = {contender for contender, _ in winners}
        for contender in list(self._counting):
            if contender in sending:
                continue
            if contender in due and ahead[contender.sender] in sending:
                # It has lost against its own station's other category: an internal collision (10.23.2.4).
                contender.has_failed(now_s, self._most_attempts(contender))
                continue
            contender.freeze(began_s)
            if contender.backoff == 0 and not contender.waits:
                del self._counting[contender]
        self._lay_out([burst for _, burst in winners])
        self._version += 1
        self._next_s = math.inf
        ends_s = max(burst.ends_s for _, burst in winners)
        self._began_s = began_s
        self._clock.call_at(ends_s, self._end)

    @staticmethod
    def _lay_out(bursts: list[Burst]) -> None:
        """Set the intervals in which devices send and receive."""
        if len(bursts) == 1:
            bursts[0].goes_through()
            return
        occupied_until_s = {burst.hop.sender: math.inf for burst in bursts}
        for burst in bursts:
            receiver = burst.hop.peer
            burst.collides(occupied_until_s.get(receiver, -math.inf))
            occupied_until_s[receiver] = max(occupied_until_s.get(receiver, -math.inf), burst.ends_s)

    def _end(self) -> None:
        """Complete an exchange or a collision: the air becomes idle."""
        now_s = self._clock._now
        bursts, self._bursts = self._bursts, []
        self._busy_s += now_s - self._began_s
        collided = len(bursts) > 1
        self._was_garbled = collided or bursts[0][1].is_garbled
        self._idle_from_s = now_s
        for contender in self._counting:
            contender.anchor_s = self._anchor_s(contender)
        sent: list[WifiMessage] = []
        for contender, burst in bursts:
            if self._was_garbled:
                contender.has_failed(now_s, burst.hop.most_attempts)
                timeout_s = burst.ends_s + contender.edca.after_failure_s
                contender.anchor_s = max(timeout_s, now_s + contender.edca.aifs_s)
            else:
                contender.has_succeeded(now_s)
                contender.anchor_s = now_s + contender.edca.aifs_s
            self._counting[contender] = None
            sent += self._settle(burst, collided, now_s)
        for message in sent:
            self._queues[message.hop][1].messages.pop(message, None)
        self._plan()
        for message in sent:
            message.hop.sent(message)

    def _settle(self, burst: Burst, collided: bool, now_s: float) -> list[WifiMessage]:
        """Apply the outcome of a burst to its parts; return the messages that are complete."""
        n_delivered: dict[WifiMessage, int] = {}
        for message, run, n_failed, share in burst.parts:
            message.spend(burst.activity(share, now_s))
            lost = run.n_frames if collided else n_failed
            message.frames.settle(run, lost, burst.hop.most_attempts)
            delivered = run.n_frames - lost
            n_delivered[message] = n_delivered.get(message, 0) + delivered
            message.left_bits = max(0.0, message.left_bits - bits(delivered * run.payload_bytes))
        for message, delivered in n_delivered.items():
            burst.hop.delivered(message, delivered)
        return [message for message in n_delivered if message.frames.is_done]

    def _most_attempts(self, contender: Contender) -> int:
        return contender.queues[0].hop.most_attempts

    # --- bursts ------------------------------------------------------------------------------------------

    def _burst(self, contender: Contender, began_s: float) -> Burst | None:
        """Return the burst of a winner: as many frames of its next queue as are sent together."""
        while (queue := contender.next_queue()) is not None:
            if self._is_in_reach(queue):
                return self._aggregate(queue, began_s)
        return None

    def _aggregate(self, queue: Queue, began_s: float) -> Burst:
        hop = queue.hop
        mac, state = hop.channel.mac, hop.state
        assert state is not None
        rate_bps = state.rate_bps
        most_frames, most_bytes = hop.room(rate_bps)
        key, draw = hop.key_at(began_s), 0
        taken: list[tuple[WifiMessage, Run, int, int]] = []
        n_frames = n_bytes = 0
        for message in queue.messages:
            while message.frames.waits and n_frames < most_frames:
                run = message.frames.next_run()
                each = mac.subframe_bytes(run.payload_bytes)
                fits = run.n_frames if n_bytes + run.n_frames * each <= most_bytes else None
                if fits is None:
                    fits = max(0, int((most_bytes - n_bytes) // each)) if most_bytes > n_bytes else 0
                n = min(fits, run.n_frames, most_frames - n_frames)
                if n_frames == 0:
                    n = max(1, n)
                if n == 0:
                    break
                run = message.frames.take(n)
                attempt_error = hop.error(run.n_failures, mac.mpdu_bytes(run.payload_bytes))
                n_failed, draw = binomial(n, attempt_error, key, draw)
                taken.append((message, run, n_failed, n * each))
                n_frames += n
                n_bytes += n * each
            else:
                if n_frames < most_frames:
                    continue  # the whole message is sent, and there is room for more
            break
        parts = [Part(message, run, n_failed, size / n_bytes) for message, run, n_failed, size in taken]
        airtimes = mac.exchange(n_frames, taken[0][1].payload_bytes, n_bytes, rate_bps)
        return Burst(hop, parts, airtimes, began_s)

    # --- reach -------------------------------------------------------------------------------------------

    def _is_in_reach(self, queue: Queue) -> bool:
        """Evaluate a queue's channel; while it is out of reach, its messages wait until they give up."""
        now_s, hop = self._clock._now, queue.hop
        interference_w, until_s = 0.0, math.inf
        if self._band is not None:
            interference_w, until_s = self._band.disturbance(self, hop, now_s)
        hop.state = state = hop.channel.link.state(
            now_s, uplink=hop.is_uplink, band_share=1.0, interference_w=interference_w
        )
        queue.is_out_of_reach = not state.rate_bps > 0.0
        if queue.is_out_of_reach:
            self._stall(queue, min(until_s, state.until_s))
        else:
            for message in queue.messages:
                message.stalled_at_s = None
        return not queue.is_out_of_reach

    def _stall(self, queue: Queue, until_s: float) -> None:
        now_s, patience_s = self._clock._now, queue.hop.medium.give_up_s
        for message in queue.messages:
            if message.stalled_at_s is None:
                message.stalled_at_s = now_s
            until_s = min(until_s, message.stalled_at_s + patience_s)
        if until_s < math.inf:
            self._clock.call_at(until_s, partial(self._look_again, queue))

    def _look_again(self, queue: Queue) -> None:
        if not queue.is_out_of_reach:
            return
        now_s, patience_s = self._clock._now, queue.hop.medium.give_up_s
        given_up = [
            message
            for message in queue.messages
            if message.stalled_at_s is not None and message.stalled_at_s + patience_s <= now_s
        ]
        for message in given_up:
            del queue.messages[message]
        contender = self._queues[queue.hop][0]
        had_frames = contender.waits
        if queue.messages and self._is_in_reach(queue) and not had_frames:
            self.wake(contender)
        elif not queue.messages:
            queue.is_out_of_reach = False
        for message in given_up:
            queue.hop.given_up(message)


def _of_wifi(transfer: Transfer) -> WifiMessage:
    assert isinstance(transfer, WifiMessage)
    return transfer
