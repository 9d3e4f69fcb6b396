"""Interface of link adaptation: signal-to-interference-and-noise ratio to rate and block error probability.

The transmitter chooses a grant from an estimate (:meth:`AirInterface.grant`); the true ratio decides
whether reception succeeds (:meth:`AirInterface.errors`). Both are pure: the same ratios give the same grant
and the same probabilities, independent of earlier transmissions. Ratios are linear, not in dB.

::

    grant = interface.grant(sinr_estimate, bandwidth_hz)
    rate_bps = grant.efficiency * bandwidth_hz
    first, *later = interface.errors(grant, sinr)
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

__all__ = ["OUT_OF_REACH", "AirInterface", "Arq", "Grant", "Gridded"]


class Grant(NamedTuple):
    """Scheme, rate and block size that a transmitter may use, given its estimate of the channel.

    A grant out of reach has ``mcs`` −1, efficiency 0 and blocks of 0 bits; nothing can be sent with it.
    """

    mcs: int
    """Index into the interface's table of modulation and coding schemes; 0 where it has no table."""
    efficiency: float
    """Gross spectral efficiency in bit/s/Hz of the carrier: overhead is subtracted, retransmissions are
    not."""
    block_bits: int
    """Bits that are sent, acknowledged and repeated as one unit: a transport block, or a MAC frame."""
    slot_s: float
    """Airtime of such a block at this bandwidth."""


OUT_OF_REACH = Grant(mcs=-1, efficiency=0.0, block_bits=0, slot_s=0.0)
"""The grant of a link too weak for the most robust scheme."""


class Arq(NamedTuple):
    """Retransmission above the physical layer, of blocks whose attempts all failed."""

    limit: int
    """How many times a block is sent again after all attempts of :meth:`AirInterface.errors` have failed.
    Each time goes through all those attempts. After the last one the block, and with it the message, is
    lost."""
    round_trip_s: float
    """Time from the last failed attempt to the next transmission of the block."""


class AirInterface(Protocol):
    """Mapping from signal-to-interference-and-noise ratios to rates and block errors; frozen and pure."""

    @property
    def round_trip_s(self) -> float:
        """Time from one attempt of a block to the next (HARQ round trip), in seconds."""
        ...

    @property
    def arq(self) -> Arq:
        """Retransmission of blocks that no attempt delivered."""
        ...

    def grant(self, sinr_estimate: float, bandwidth_hz: float) -> Grant:
        """Return rate and block size for the estimated ratio (linear) over a part of the carrier."""
        ...

    def errors(self, grant: Grant, sinr: float) -> tuple[float, ...]:
        """Return the probability that attempt 1, …, M of a block fails **given that all before it failed**.

        The true ratio (linear) is taken as constant over the attempts. The product of the first m entries
        is the probability that a block is still undelivered after m attempts. The failures of n blocks may
        therefore be drawn attempt by attempt, each binomial among the remaining blocks. A grant out of reach
        always fails.
        """
        ...


class Gridded(Protocol):
    """An air interface whose grants consist of whole resource blocks."""

    def fewest_prb(self, sinr_estimate: float, n_bits: float, *, concentrates: bool) -> int:
        """Return the fewest resource blocks whose transport block carries ``n_bits``; all if none does."""
        ...
