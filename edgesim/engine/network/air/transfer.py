"""A message on the air, as seen by the band that it shares."""

from __future__ import annotations

import math
from typing import Protocol

from edgesim.engine.network.hop_state import Prospect
from edgesim.radio.radio_link import RadioState
from edgesim.world.medium import Medium, RadioChannel

__all__ = ["Carrier", "SharedAir", "Transfer"]


class Carrier(Protocol):
    """The owner of a transfer, which is notified of its progress."""

    channel: RadioChannel
    sender: str
    is_uplink: bool

    def in_reach(self, transfer: Transfer) -> None:
        """Handle a transfer that is in reach for the first time: cut its blocks, and draw their errors."""
        ...

    def sent(self, transfer: Transfer) -> None:
        """Handle the departure of a transfer's last bit."""
        ...

    def given_up(self, transfer: Transfer) -> None:
        """Handle a transfer that has waited too long for a link that is out of reach."""
        ...

    def not_alone(self, transfer: Transfer) -> None:
        """Handle a transfer that is no longer alone on the air: its end is no longer known."""
        ...


class Transfer:
    """A message on the air.

    Attributes
    ----------
    n_bits
        Its size.
    left_bits
        Bits still to be sent, including repetitions.
    is_begun
        Whether it has been in reach, so that its blocks are cut.
    state
        Its channel over its part of the band.
    band_share, interference_w
        Part of the band and interference for which the state was evaluated.
    tx_s, rx_s
        Time for which sender and receiver have been active for it [s].
    tx_share, rx_share
        Share of time for which they are active at present.
    begins_s
        In a slotted cell: when its first slot begins.
    slot
        In a slotted cell: number of the first slot that it may use, given its request.
    attempt_bits
        In a slotted cell: most bits sent before the other end answers. A message of one block is sent again
        only after a failure; of several blocks some fail while others are on the air.
    attempt_left_bits
        Bits of the attempt still to be sent.
    waits_s
        For a message of one block: times from each attempt to the next.
    n_attempts
        Number of attempts sent.
    """

    __slots__ = (
        "attempt_bits",
        "attempt_left_bits",
        "band_share",
        "begins_s",
        "carrier",
        "ends_at_s",
        "interference_w",
        "is_begun",
        "left_bits",
        "n_attempts",
        "n_bits",
        "rate_bps",
        "rx_s",
        "rx_share",
        "slot",
        "stalled_at_s",
        "state",
        "tx_s",
        "tx_share",
        "waits_s",
    )

    state: RadioState

    def __init__(self, carrier: Carrier, n_bits: float = 0.0) -> None:
        self.carrier, self.n_bits = carrier, n_bits
        self.left_bits = 0.0
        self.is_begun = False
        self.band_share = 1.0
        self.interference_w = 0.0
        self.rate_bps = 0.0
        self.ends_at_s = math.inf
        self.stalled_at_s: float | None = None
        self.tx_s = self.rx_s = 0.0
        self.tx_share = self.rx_share = 0.0
        self.begins_s = -math.inf
        self.slot = self.n_attempts = 0
        self.attempt_bits = self.attempt_left_bits = math.inf
        self.waits_s: tuple[float, ...] = ()

    def give_time(self, share: float) -> None:
        """Set its rate for a share of time, in the evaluated part of the band; 0 if it is out of reach."""
        self.rate_bps = self.state.rate_bps * share
        self.tx_share = self.rx_share = share if self.rate_bps > 0.0 else 0.0


class SharedAir(Protocol):
    """Interface of the air that a hop's messages share with others."""

    medium: Medium
    terminals: dict[str, None]

    def join_alone(self, transfer: Transfer) -> float | None:
        """Add a transfer; return when it leaves if only another transfer could change that, else None."""
        ...

    def join(self, transfer: Transfer) -> None:
        """Add a transfer."""
        ...

    def leave(self, transfer: Transfer) -> None:
        """Remove a transfer from the air; the rest of it stays unsent."""
        ...

    def retire(self) -> None:
        """Remove a transfer that was alone, if its end is past."""
        ...

    def prospect(self, carrier: Carrier) -> Prospect:
        """Return what a carrier would get for one more transfer; changes nothing."""
        ...

    def unsent_bits(self, transfer: Transfer) -> float:
        """Unsent bits of a transfer, including repetitions; changes nothing."""
        ...

    def activity(self, transfer: Transfer, at_s: float) -> tuple[float, ...]:
        """Time for which a transfer's sender and receiver have been active for it, up to an instant [s]."""
        ...
