"""The transfers of a cell that are on the air, and their shares of its band.

Rates are constant between two changes: a transfer joins or leaves, a channel changes, a slot ends, a cell on
the same channel becomes silent or active. Each change is an event at its instant, and nothing happens in
between.
"""

from __future__ import annotations

import math
from functools import partial

from edgesim.engine.network.air.band_sharing import band_sharing
from edgesim.engine.network.air.interference import Band
from edgesim.engine.network.air.transfer import Carrier, Transfer
from edgesim.engine.network.hop_state import Prospect
from edgesim.engine.process.clock import Clock
from edgesim.radio.radio_link import RadioState as ChannelState
from edgesim.world.medium import Medium

__all__ = ["Pool"]


class Pool:
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
        self._clock, self.medium, self.is_uplink, self._band = clock, medium, is_uplink, band
        self.terminals: dict[str, None] = {}
        # A slot pattern stretches time: transfers advance only while their direction is open, and then as if
        # only those of that direction existed.
        pattern = is_uplink is not None and medium.duplex.share(uplink=is_uplink) < 1.0
        self._pattern = medium.duplex if pattern else None
        self._sharing = band_sharing(medium, lambda now_s: self._later(now_s, medium.slot_s))
        self._active: dict[Transfer, None] = {}
        self._settled_s = 0.0
        self._version = 0
        self._alone: Transfer | None = None  # the only transfer, for which no tick is scheduled
        if band is not None:
            band.add(self)

    @property
    def is_idle(self) -> bool:
        """Whether there is no transfer on the air."""
        alone = self._alone
        return not self._active or (alone is not None and alone.ends_at_s <= self._clock._now)

    def join_alone(self, transfer: Transfer) -> float | None:
        """Add a transfer; return when it leaves if only another transfer could change that, else None.

        The instant is known if the transfer is alone, no other cell of its band is active, and its channel
        stays constant to its end: then the end is an event only for the process that waits for it. If another
        transfer joins earlier, the transfer's carrier is notified, and it continues like any other. If it is
        not known, the transfer has joined as in :meth:`join`.
        """
        self.retire()
        if self._active or (self._band is not None and not self._band.is_silent_but_for(self)):
            self.join(transfer)
            return None
        now_s = self._settled_s = self._clock._now
        self._active[transfer] = None
        until_s = self._share(now_s)
        if transfer.is_begun and transfer.ends_at_s <= until_s:
            self._version += 1
            self._alone = transfer
            return transfer.ends_at_s
        self._plan(until_s)
        return None

    def join(self, transfer: Transfer) -> None:
        """Add a transfer; from now on it gets its share."""
        self._settle()
        self._active[transfer] = None
        self._refresh()
        self._notify()

    def leave(self, transfer: Transfer) -> None:
        """Remove a transfer from the air; the rest of it stays unsent."""
        self._settle()
        self._drop(transfer)
        self._refresh()
        self._notify()

    def refresh(self) -> None:
        """Recompute the rates after a change outside the cell."""
        self._settle()
        self._refresh()

    def retire(self) -> None:
        """Remove a transfer that was alone, if its end is past."""
        alone = self._alone
        if alone is not None and alone.ends_at_s <= self._clock._now:
            self._alone = None
            airtime_s = alone.left_bits / alone.rate_bps
            alone.tx_s += airtime_s * alone.tx_share
            alone.rx_s += airtime_s * alone.rx_share
            alone.left_bits = 0.0
            self._settled_s = alone.ends_at_s
            self._drop(alone)

    def activity(self, transfer: Transfer, at_s: float) -> tuple[float, float]:
        """Time for which a transfer's sender and receiver have been active for it, up to an instant [s]."""
        if transfer not in self._active:
            return transfer.tx_s, transfer.rx_s
        until_s = at_s if transfer is not self._alone else min(at_s, transfer.ends_at_s)
        passed_s = self._open_s(self._settled_s, until_s)
        return transfer.tx_s + passed_s * transfer.tx_share, transfer.rx_s + passed_s * transfer.rx_share

    def sending(self, *, is_uplink: bool) -> dict[str, float]:
        """Return the devices that send in a direction now, with the share of time for which they do."""
        self.retire()
        return self.glance(is_uplink=is_uplink)

    def glance(self, *, is_uplink: bool) -> dict[str, float]:
        """Like :meth:`sending`, without changing anything."""
        active, shares = self._on_air(), dict[str, float]()
        in_time = self.medium.access not in ("equal", "weighted") or self.is_uplink is None
        for transfer in active:
            if transfer.carrier.is_uplink == is_uplink:
                sender = transfer.carrier.sender
                shares[sender] = shares.get(sender, 0.0) + 1.0 / len(active) if in_time else 1.0
        return shares

    # --- for observers ------------------------------------------------------------------------------

    def prospect(self, carrier: Carrier) -> Prospect:
        """Return what a carrier would get with one more transfer; terminals out of reach get no part."""
        now_s, interference_w = self._clock._now, 0.0
        if self._band is not None:
            interference_w, _ = self._band.disturbance(self, carrier, now_s, glances=True)
        medium, channel, uplink = self.medium, carrier.channel, carrier.is_uplink

        def look(band_share: float) -> ChannelState:
            return channel.link.state(
                now_s, uplink=uplink, band_share=band_share, interference_w=interference_w
            )

        def weight(one: Carrier) -> float:
            return one.channel.weight if medium.access == "weighted" else 1.0

        reached = [one.carrier for one in self._on_air() if one.stalled_at_s is None] + [carrier]
        total = math.fsum(weight(one) for one in reached)
        way = math.fsum(weight(one) for one in reached if one.is_uplink == uplink)
        mine = math.fsum(
            weight(one)
            for one in reached
            if one.is_uplink == uplink and one.channel.terminal == channel.terminal
        )
        whole = look(1.0)
        if medium.access in ("equal", "weighted"):
            state, of_time = look(mine / way), way / total
        else:
            state, of_time = whole, mine / total
        return Prospect(whole, state, medium.alone_bps(state.rate_bps * of_time, channel.mac, uplink=uplink))

    def unsent_bits(self, transfer: Transfer) -> float:
        """Unsent bits of a transfer, including repetitions."""
        if transfer not in self._active:
            return 0.0
        if not transfer.is_begun:
            return transfer.n_bits
        until_s = self._clock._now
        if transfer is self._alone:
            until_s = min(until_s, transfer.ends_at_s)
        return max(0.0, transfer.left_bits - self._open_s(self._settled_s, until_s) * transfer.rate_bps)

    def _on_air(self) -> list[Transfer]:
        """Return the transfers on the air now, without one that was alone and has ended."""
        alone, now_s = self._alone, self._clock._now
        return [one for one in self._active if one is not alone or one.ends_at_s > now_s]

    # --- between changes --------------------------------------------------------------------------

    def _open_s(self, from_s: float, to_s: float) -> float:
        """Time within an interval for which the direction is open [s]."""
        if self._pattern is None:
            return to_s - from_s
        assert self.is_uplink is not None
        return self._pattern.open_s(from_s, to_s, uplink=self.is_uplink)

    def _later(self, from_s: float, airtime_s: float) -> float:
        """Instant at which the given open time has passed."""
        if self._pattern is None:
            return from_s + airtime_s
        assert self.is_uplink is not None
        return self._pattern.finish_s(from_s, airtime_s, uplink=self.is_uplink)

    def _pass(self, to_s: float) -> None:
        """Advance all transfers to an instant."""
        passed_s = 0.0 if to_s == self._settled_s else self._open_s(self._settled_s, to_s)
        self._settled_s = to_s
        if passed_s > 0.0:
            for transfer in self._active:
                transfer.left_bits -= passed_s * transfer.rate_bps
                transfer.tx_s += passed_s * transfer.tx_share
                transfer.rx_s += passed_s * transfer.rx_share

    def _settle(self) -> None:
        """Advance all transfers to the present instant."""
        self.retire()
        if self._alone is not None:
            self._alone.carrier.not_alone(self._alone)
            self._alone = None
        self._pass(self._clock._now)

    def _drop(self, transfer: Transfer) -> None:
        del self._active[transfer]
        self._sharing.forget(transfer)

    def _notify(self) -> None:
        if self._band is not None:
            self._band.notify(self)

    def _refresh(self) -> None:
        """Compute the rates, and schedule the next change."""
        self._version += 1
        if self._active:
            self._plan(self._share(self._clock._now))

    def _share(self, now_s: float) -> float:
        """Set all rates, and cut newly reached transfers into blocks; return until when the rates hold."""
        if len(self._active) == 1:  # under any rule: the whole band
            (only,) = self._active
            until_s = self._look(now_s, only, 1.0)
            only.give_time(1.0)
        else:
            until_s = self._sharing.share(self._active, now_s, partial(self._look, now_s))
        for transfer in self._active:
            if not transfer.is_begun and transfer.state.rate_bps > 0.0:
                transfer.is_begun = True
                transfer.carrier.in_reach(transfer)
            rate_bps = transfer.rate_bps
            if rate_bps > 0.0:
                transfer.stalled_at_s = None
                left_bits = transfer.left_bits
                airtime_s = left_bits / rate_bps if left_bits > 0.0 else 0.0
                transfer.ends_at_s = (
                    now_s + airtime_s if self._pattern is None else self._later(now_s, airtime_s)
                )
                continue
            transfer.ends_at_s = math.inf
            if transfer.state.rate_bps > 0.0:  # another transfer's slot
                transfer.stalled_at_s = None
            elif transfer.stalled_at_s is None:
                transfer.stalled_at_s = now_s
        return until_s

    def _plan(self, until_s: float) -> None:
        """Schedule the next change."""
        for transfer in self._active:
            until_s = min(until_s, transfer.ends_at_s)
            if transfer.stalled_at_s is not None:
                until_s = min(until_s, transfer.stalled_at_s + self.medium.give_up_s)
        self._clock.call_at(until_s, partial(self._tick, self._version))

    def _tick(self, version: int) -> None:
        if version != self._version:
            return  # another change came first
        self._settle()
        now_s = self._clock._now
        sent = [transfer for transfer in self._active if transfer.ends_at_s <= now_s]
        given_up = [
            transfer
            for transfer in self._active
            if transfer.stalled_at_s is not None and transfer.stalled_at_s + self.medium.give_up_s <= now_s
        ]
        for transfer in (*sent, *given_up):
            self._drop(transfer)
        self._refresh()
        if sent or given_up:
            self._notify()
        for transfer in sent:
            transfer.left_bits = 0.0
            transfer.carrier.sent(transfer)
        for transfer in given_up:
            transfer.carrier.given_up(transfer)

    def _look(self, now_s: float, transfer: Transfer, band_share: float) -> float:
        """Evaluate a transfer's channel; return until when it is constant."""
        carrier, interference_w, until_s = transfer.carrier, 0.0, math.inf
        band = self._band
        if band is not None:
            interference_w, until_s = band.disturbance(self, carrier, now_s)
        transfer.state = state = carrier.channel.link.state(
            now_s, uplink=carrier.is_uplink, band_share=band_share, interference_w=interference_w
        )
        transfer.band_share, transfer.interference_w = band_share, interference_w
        return min(until_s, state.until_s)
