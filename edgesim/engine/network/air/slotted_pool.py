"""The transfers of a 5G cell: grants of whole resource blocks for whole slots.

A terminal gets the fewest resource blocks of a slot that carry its data, and leaves the rest of the slot to
the others; a transfer over several slots ends with a slot. Several messages of a terminal share its grants,
as they do on its logical channels. Grants are computed at the beginning of a slot and hold until a transfer
joins or leaves, or a terminal needs fewer blocks or its channel changes: there is no event in between, over
any number of slots.
"""

from __future__ import annotations

import math
from functools import partial

from edgesim.engine.network.air.interference import Band
from edgesim.engine.network.air.slot_grants import DUST_BITS, Granting, Queue, Stretch
from edgesim.engine.network.air.slot_sharing import slot_sharing
from edgesim.engine.network.air.transfer import Carrier, Transfer
from edgesim.engine.network.hop_state import Prospect
from edgesim.engine.process.clock import Clock
from edgesim.radio.radio_link import RadioState
from edgesim.world.medium import Medium

__all__ = ["SlottedPool"]

_LATE = 2  # after SimPy's URGENT and NORMAL: a message that arrives as a slot begins is in time for it
_MOST_AHEAD = 16  # stretches computed in advance for a lone transfer


class SlottedPool:
    """The transfers of a cell in one direction; or in both, if they alternate in one band.

    Parameters
    ----------
    is_uplink
        The direction; None for both.
    band
        Cells on the same channel; None if there are none.

    Attributes
    ----------
    terminals
        Terminals that may send or receive here.
    """

    def __init__(self, clock: Clock, medium: Medium, is_uplink: bool | None, band: Band | None) -> None:
        assert medium.grid is not None
        self._clock, self.medium, self.is_uplink, self._band = clock, medium, is_uplink, band
        self._grid = medium.grid
        self._slots = medium.grid.slots(uplink=bool(is_uplink))
        self._rule = slot_sharing(medium.access, medium.window)
        self._granting = Granting(medium.grid, self._slots, self._rule, self._look)
        self.terminals: dict[str, None] = {}
        self._active: dict[Transfer, Queue] = {}
        self._queues: dict[Carrier, Queue] = {}
        self._stretch: Stretch | None = None
        self._version = 0
        self._alone: Transfer | None = None
        self._plan: tuple[Stretch, ...] = ()  # of the lone transfer
        self._planned = (0, 0.0)  # its first slot, and all of its bits
        self._reported: dict[str, float] = {}  # senders, as last reported to other cells
        self._reported_at_s = -math.inf  # beginning of the slot whose senders were reported
        if band is not None:
            band.add(self)

    @property
    def is_idle(self) -> bool:
        """Whether there is no transfer on the air or waiting for its slot."""
        alone = self._alone
        return not self._active or (alone is not None and alone.ends_at_s <= self._clock._now)

    def join_alone(self, transfer: Transfer) -> float | None:
        """Add a transfer; return when it leaves if only another transfer could change that, else None.

        The instant is known if the transfer is alone and no other cell of its band is active: then its slots
        are computed now, and its end is an event only for its sender. If another transfer joins earlier, the
        transfer's carrier is notified, and it continues like any other. If it is not known, the transfer has
        joined as in :meth:`join`.
        """
        self.retire()
        if self._active or (self._band is not None and not self._band.is_silent_but_for(self)):
            self.join(transfer)
            return None
        queue = self._enter(transfer)
        number = earliest = transfer.slot
        plan: list[Stretch] = []
        while len(plan) < _MOST_AHEAD:
            stretch = self._decide(number)
            if stretch is None:
                break
            if not plan:
                self._planned = (earliest, transfer.left_bits)
            plan.append(stretch)
            self._serve(stretch, stretch.end)
            if transfer.left_bits <= DUST_BITS:
                self._alone, self._plan = transfer, tuple(plan)
                self._version += 1
                transfer.ends_at_s = self._slots.end_s(stretch.end - 1)
                return transfer.ends_at_s
            number = max(stretch.end, transfer.slot)
        del self._active[transfer], queue.transfers[transfer]
        self._reset(transfer, earliest)
        transfer.is_begun = False
        self.join(transfer, queue)
        return None

    def join(self, transfer: Transfer, queue: Queue | None = None) -> None:
        """Add a transfer; from its first slot on it gets its part."""
        self._accompany()
        if queue is None:
            self._enter(transfer)
        else:  # it has requested a grant already
            self._active[transfer] = queue
            queue.transfers[transfer] = None
        self._cut(transfer.slot)
        self._arm()

    def leave(self, transfer: Transfer) -> None:
        """Remove a transfer from the air; nothing arrives of a slot that it leaves before the end."""
        self._accompany()
        stretch, now_s = self._stretch, self._clock._now
        if stretch is not None and self._slots.end_s(stretch.end - 1) <= now_s:
            self._end(self._version)  # it is due at this instant
            stretch = self._stretch
        if transfer not in self._active:
            return
        if stretch is not None:
            begun = max(stretch.first, min(stretch.end, self._slots.next(now_s)))
            ended = begun - 1 if begun > stretch.first and self._slots.end_s(begun - 1) > now_s else begun
            self._serve(stretch, ended)
            for part in stretch.parts:
                if part.transfer is transfer and begun > ended:
                    passed_s = now_s - self._slots.begin_s(ended)
                    transfer.tx_s += passed_s * part.tx_share
                    transfer.rx_s += passed_s * part.rx_share
            rest = tuple(part for part in stretch.parts if part.transfer is not transfer)
            self._stretch = stretch._replace(first=ended, end=begun, parts=rest) if begun > ended else None
        self._drop(transfer, now_s)
        self._arm()
        self._notify({} if self._stretch is None else self._stretch.senders)

    def refresh(self) -> None:
        """Recompute the grants from the next slot on, after a change outside the cell."""
        self._accompany()
        self._cut(self._slots.next(self._clock._now))
        self._arm()

    def retire(self) -> None:
        """Remove a transfer that was alone, if its end is past."""
        alone = self._alone
        if alone is not None and alone.ends_at_s <= self._clock._now:
            self._alone = None
            alone.left_bits = 0.0
            self._drop(alone, alone.ends_at_s)

    def activity(self, transfer: Transfer, at_s: float) -> tuple[float, float]:
        """Time for which a transfer's sender and receiver have been active for it, up to an instant [s]."""
        tx_s, rx_s = transfer.tx_s, transfer.rx_s
        stretches: tuple[Stretch | None, ...] = (self._stretch,)
        if transfer is self._alone:
            tx_s, rx_s, stretches = 0.0, 0.0, self._plan
        elif transfer not in self._active:
            return tx_s, rx_s
        for stretch in stretches:
            if stretch is None or self._slots.begin_s(stretch.first) >= at_s:
                break
            passed_s = self._slots.airtime_s(stretch.first, stretch.end, at_s)
            for part in stretch.parts:
                if part.transfer is transfer:
                    tx_s += passed_s * part.tx_share
                    rx_s += passed_s * part.rx_share
        return tx_s, rx_s

    def sending(self, *, is_uplink: bool) -> dict[str, float]:
        """Return the devices that send in a direction now, with the part of the band (for a terminal: 1)."""
        self.retire()
        return self._senders(self._stretch, is_uplink=is_uplink)

    def glance(self, *, is_uplink: bool) -> dict[str, float]:
        """Like :meth:`sending`, without changing anything; includes a transfer that is alone."""
        stretch, now_s = self._stretch, self._clock._now
        if self._alone is not None:
            ahead = (one for one in self._plan if self._slots.end_s(one.end - 1) > now_s)
            stretch = next(ahead, None)
        return self._senders(stretch, is_uplink=is_uplink)

    def _senders(self, stretch: Stretch | None, *, is_uplink: bool) -> dict[str, float]:
        if stretch is None or self._slots.begin_s(stretch.first) > self._clock._now:
            return {}
        mine = {part.transfer.carrier.sender for part in stretch.parts if part.transfer.carrier.is_uplink}
        return {one: share for one, share in stretch.senders.items() if (one in mine) == is_uplink}

    # --- for observers ------------------------------------------------------------------------------

    def prospect(self, carrier: Carrier) -> Prospect:
        """Return what a carrier would get with one more transfer, if all senders filled their parts."""
        now_s, interference_w = self._clock._now, 0.0
        if self._band is not None:
            interference_w, _ = self._band.disturbance(self, carrier, now_s, glances=True)
        medium, channel, uplink = self.medium, carrier.channel, carrier.is_uplink

        def look(band_share: float) -> RadioState:
            return channel.link.state(
                now_s, uplink=uplink, band_share=band_share, interference_w=interference_w
            )

        own = (channel.terminal, uplink)
        others = {
            queue.key: queue.weight if medium.access == "weighted" else 1.0
            for transfer, queue in self._active.items()
            if queue.key != own
            and transfer.stalled_at_s is None
            and (transfer is not self._alone or transfer.ends_at_s > now_s)
        }
        mine = channel.weight if medium.access == "weighted" else 1.0
        share, n_prb, n_asking = mine / (mine + math.fsum(others.values())), self._grid.n_prb, len(others) + 1
        whole = look(1.0)
        if medium.access not in ("equal", "weighted"):
            state, of_time = whole, share
        elif n_asking > n_prb:
            state, of_time = look(1.0 / n_prb), n_prb / n_asking
        else:  # whole blocks
            state, of_time = (whole if not others else look(max(1, int(share * n_prb)) / n_prb)), 1.0
        sent_bps = of_time * state.grant.block_bits / self._slots.slot_s  # a slot carries whole blocks
        return Prospect(whole, state, medium.alone_bps(sent_bps, channel.mac, uplink=uplink))

    def unsent_bits(self, transfer: Transfer) -> float:
        """Unsent bits of a transfer, including repetitions."""
        now_s, slots = self._clock._now, self._slots
        stretches: tuple[Stretch | None, ...] = (self._stretch,)
        left_bits = transfer.left_bits
        if transfer is self._alone:
            left_bits, stretches = self._planned[1], self._plan
        elif transfer not in self._active:
            return 0.0
        if not transfer.is_begun:
            return transfer.n_bits
        for stretch in stretches:
            if stretch is None or slots.begin_s(stretch.first) >= now_s:
                break
            n_slots = slots.airtime_s(stretch.first, stretch.end, now_s) / slots.slot_s
            for part in stretch.parts:
                if part.transfer is transfer:
                    left_bits -= n_slots * part.slot_bits
        return max(0.0, left_bits)

    # --- joining and leaving ----------------------------------------------------------------------

    def _enter(self, transfer: Transfer) -> Queue:
        """Add a transfer, and find the first slot that it may use."""
        carrier, now_s, slots = transfer.carrier, self._clock._now, self._slots
        queue = self._queues.get(carrier)  # one for each terminal and direction
        if queue is None:
            channel = carrier.channel
            offset = self._grid.uplink.offset(channel.request_key, slots) if carrier.is_uplink else 0
            key = (channel.terminal, carrier.is_uplink)
            queue = self._queues[carrier] = Queue(key, channel.weight, offset)
        if not carrier.is_uplink:
            transfer.slot = slots.next(now_s)
        elif queue.transfers:  # its reports are sent with data on the air, or it has requested a grant
            transfer.slot = max(slots.next(now_s), queue.granted)
        else:
            if now_s <= queue.known_until_s:
                queue.granted = slots.next(now_s)
            else:
                queue.granted = self._grid.uplink.first(now_s, queue.offset, slots, self._grid.down)
            transfer.slot = queue.granted
        queue.transfers[transfer] = None
        self._active[transfer] = queue
        return queue

    def _drop(self, transfer: Transfer, at_s: float) -> None:
        queue = self._active.pop(transfer)
        del queue.transfers[transfer]
        if not queue.transfers:
            if transfer.is_begun and queue.key[1]:
                queue.known_until_s = at_s + self._grid.uplink.cycle_slots * self._grid.slot_s
            self._rule.forget(queue.key)

    def _notify(self, senders: dict[str, float]) -> None:
        """Notify the other cells of the band of the devices that send from now on."""
        if self._band is not None and senders != self._reported:
            self._reported = senders
            self._band.notify(self)

    def _accompany(self) -> None:
        """Convert a transfer that was alone into an ordinary one, and undo its future slots."""
        self.retire()
        alone, now_s = self._alone, self._clock._now
        if alone is None:
            return
        alone.carrier.not_alone(alone)
        plan, self._alone, self._plan = self._plan, None, ()
        slot, gross_bits = self._planned
        self._reset(alone, slot)
        if self._slots.next(now_s) <= plan[0].first:
            alone.is_begun = False  # its blocks are cut again, by its new grant
            return
        alone.left_bits = gross_bits
        for stretch in plan:
            if self._slots.next(now_s) <= stretch.first:
                break
            if self._slots.end_s(stretch.end - 1) > now_s:
                self._stretch = stretch
                break
            self._serve(stretch, stretch.end)

    def _reset(self, transfer: Transfer, slot: int) -> None:
        transfer.left_bits = transfer.tx_s = transfer.rx_s = 0.0
        transfer.slot, transfer.n_attempts = slot, 0
        transfer.attempt_left_bits = transfer.attempt_bits
        transfer.stalled_at_s = None

    # --- from slot to slot ------------------------------------------------------------------------

    def _cut(self, slot: int) -> None:
        """End the current grants before a slot, but not in the middle of one."""
        stretch = self._stretch
        if stretch is not None and slot < stretch.end:
            end = max(slot, self._slots.next(self._clock._now))
            if end <= stretch.first:
                self._stretch = None
            elif end < stretch.end:
                self._stretch = stretch._replace(end=end)

    def _arm(self) -> float:
        """Schedule the end of the current grants, or the next slot in which a grant is possible.

        Returns the number of that slot; infinite if there is nothing to send.
        """
        self._version += 1
        if self._stretch is not None:
            ends_at_s = max(self._clock._now, self._slots.end_s(self._stretch.end - 1))
            self._clock.call_at(ends_at_s, partial(self._end, self._version))
            return self._stretch.end
        if not self._active:
            return math.inf
        number = min(transfer.slot for transfer in self._active)
        number = max(number, self._slots.next(self._clock._now))
        self._begin_at(number)
        return number

    def _begin_at(self, number: int) -> None:
        begins_s = max(self._clock._now, self._slots.begin_s(number))
        self._clock.call_at(begins_s, partial(self._begin, self._version, number), _LATE)

    def _begin(self, version: int, number: int) -> None:
        """Grant the resource blocks of a slot that begins."""
        if version != self._version:
            return  # another change came first
        self._stretch = stretch = self._decide(number)
        if stretch is not None:
            self._arm()
            if self._reported_at_s != self._clock._now:  # once per instant: the others' reaction returns here
                self._reported_at_s = self._clock._now
                self._notify(stretch.senders)
            return
        self._notify({})
        # All transfers that may be sent are out of reach: try again when a channel changes or another may be
        # sent.
        later = [transfer.slot for transfer in self._active if transfer.slot > number]
        if self._granting.until_s < math.inf:
            later.append(max(number + 1, self._slots.next(self._granting.until_s)))
        if later:
            self._begin_at(min(later))

    def _decide(self, number: int) -> Stretch | None:
        """Grant the resource blocks of a slot, and of as many after it as have the same grants.

        None if no transfer that may be sent is in reach.
        """
        granting = self._granting
        stretch = granting.decide(self._active, number)
        for transfer in granting.stalled:
            assert transfer.stalled_at_s is not None
            gives_up_s = max(self._clock._now, transfer.stalled_at_s) + self.medium.give_up_s
            self._clock.call_at(gives_up_s, partial(self._give_up, transfer, transfer.stalled_at_s))
        return stretch

    def _look(self, at_s: float, transfer: Transfer, band_share: float) -> tuple[RadioState, float]:
        """Evaluate a transfer's channel over a part of the band; return it, and until when it is constant."""
        carrier, interference_w, until_s = transfer.carrier, 0.0, math.inf
        if self._band is not None:
            interference_w, until_s = self._band.disturbance(self, carrier, at_s)
            transfer.interference_w = interference_w
        state = carrier.channel.link.state(
            at_s, uplink=carrier.is_uplink, band_share=band_share, interference_w=interference_w
        )
        return state, min(until_s, state.until_s)

    def _end(self, version: int) -> None:
        """Handle the end of a stretch of slots with the same grants."""
        if version != self._version:
            return
        stretch, now_s = self._stretch, self._clock._now
        assert stretch is not None
        self._stretch = None
        self._serve(stretch, stretch.end)
        sent = [part.transfer for part in stretch.parts if part.transfer.left_bits <= DUST_BITS]
        for transfer in sent:
            self._drop(transfer, now_s)
        if self._arm() > stretch.end:  # else the next slot follows at once, and reports its senders
            self._notify({})
        for transfer in sent:
            transfer.left_bits = 0.0
            transfer.carrier.sent(transfer)

    def _serve(self, stretch: Stretch, end: int) -> None:
        """Advance through the slots of a stretch, up to but excluding `end`."""
        slots = self._slots
        first = stretch.first
        n_slots = slots.part(first) if end == first + 1 else slots.parts(first, end)
        if n_slots > 0.0 and stretch.passed is not None:
            stretch.passed()
        passed_s = n_slots * slots.slot_s
        for transfer, slot_bits, tx_share, rx_share in stretch.parts:
            transfer.left_bits -= n_slots * slot_bits
            transfer.tx_s += passed_s * tx_share
            transfer.rx_s += passed_s * rx_share
            if transfer.attempt_bits == math.inf:
                continue
            transfer.attempt_left_bits -= n_slots * slot_bits
            if transfer.attempt_left_bits <= DUST_BITS < transfer.left_bits:
                # The next attempt is a round trip after this one.
                after_s = slots.begin_s(end - 1) + transfer.waits_s[transfer.n_attempts]
                transfer.slot = max(end, slots.next(after_s))
                transfer.attempt_left_bits = transfer.attempt_bits
                transfer.n_attempts += 1

    def _give_up(self, transfer: Transfer, stalled_at_s: float) -> None:
        """Lose a transfer that has waited too long, unless it has been in reach since."""
        if transfer in self._active and transfer.stalled_at_s == stalled_at_s:
            self._accompany()
            self._drop(transfer, self._clock._now)
            self._arm()
            transfer.carrier.given_up(transfer)
