"""A message on the air, as the band that it shares sees it."""

from __future__ import annotations

import math
from typing import Protocol

from edgesim.engine.network.outlook import Prospect
from edgesim.radio.radio_link import RadioState
from edgesim.world.medium import Medium, RadioChannel

__all__ = ["Carrier", "SharedAir", "Transfer"]


class Carrier(Protocol):
    """Who a transfer belongs to, and hears of what becomes of it."""

    channel: RadioChannel
    sender: str
    is_uplink: bool

    def in_reach(self, transfer: Transfer) -> None:
        """Hear that a transfer is in reach for the first time: its blocks are cut, their fates drawn."""
        ...

    def sent(self, transfer: Transfer) -> None:
        """Hear that a transfer's last bit has left."""
        ...

    def given_up(self, transfer: Transfer) -> None:
        """Hear that a transfer has waited too long for a link that is out of reach."""
        ...

    def not_alone(self, transfer: Transfer) -> None:
        """Hear that a transfer that was to be alone has got company: its end is open again."""
        ...


class Transfer:
    """A message on the air.

    Attributes
    ----------
    n_bits
        Its size.
    left_bits
        What is still to be sent, repetitions included.
    is_begun
        Whether it has been in reach, so that its blocks are cut.
    state
        Its channel over the band that it has.
    band_share, interference_w
        What the state was looked at with.
    tx_s, rx_s
        How long sender and receiver have been active for it.
    tx_share, rx_share
        For which share of time they are at present.
    begins_s
        Of one that goes in slots: when its first slot begins.
    slot
        Of one that goes in slots: number of the first slot that it may have, now that it has asked.
    attempt_bits
        Of one that goes in slots: most that is sent before the other end answers. A message of one block
        sends it again only when that has failed; of several blocks some fail while others are on the air.
    attempt_left_bits
        What of that is still to be sent.
    waits_s
        Of a message of one block: times from each attempt to the next.
    n_attempts
        How many have been sent.
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
        """Give it the band that it was looked at with, for a share of time; out of reach, it has none."""
        self.rate_bps = self.state.rate_bps * share
        self.tx_share = self.rx_share = share if self.rate_bps > 0.0 else 0.0


class SharedAir(Protocol):
    """What a hop asks of the air that its messages share with others."""

    medium: Medium
    terminals: dict[str, None]

    def join_alone(self, transfer: Transfer) -> float | None:
        """Take in a transfer; the instant at which it leaves, where nothing can change that but company."""
        ...

    def join(self, transfer: Transfer) -> None:
        """Take in a transfer."""
        ...

    def leave(self, transfer: Transfer) -> None:
        """Take a transfer off the air; what is left of it stays unsent."""
        ...

    def retire(self) -> None:
        """Let a transfer that was alone have left, if its end is past."""
        ...

    def prospect(self, carrier: Carrier) -> Prospect:
        """What a carrier would have for one more transfer; leaves no trace."""
        ...

    def unsent_bits(self, transfer: Transfer) -> float:
        """What of a transfer has not been sent yet, repetitions included; leaves no trace."""
        ...

    def activity(self, transfer: Transfer, at_s: float) -> tuple[float, ...]:
        """How long a transfer's sender and receiver have been active for it, up to an instant [s]."""
        ...
