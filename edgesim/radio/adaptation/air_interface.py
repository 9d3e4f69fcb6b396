"""What an air interface makes of a signal-to-interference-and-noise ratio.

The transmitter decides on an estimate (:meth:`AirInterface.grant`), the receiver succeeds on the truth
(:meth:`AirInterface.errors`). Both are pure: the same ratios give the same grant and the same
probabilities, whatever was sent before. Ratios are linear, not in dB.

::

    grant = interface.grant(sinr_estimate, bandwidth_hz)
    rate_bps = grant.efficiency * bandwidth_hz
    first, *later = interface.errors(grant, sinr)
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

__all__ = ["OUT_OF_REACH", "AirInterface", "Arq", "Grant", "Gridded"]


class Grant(NamedTuple):
    """What a transmitter may send after it has seen an estimate of the channel.

    A grant out of reach has ``mcs`` −1, efficiency 0 and blocks of 0 bits; nothing can be sent with it.
    """

    mcs: int
    """Index into the interface's table of modulation and coding schemes; 0 where it has no table."""
    efficiency: float
    """Gross spectral efficiency in bit/s/Hz: what a second and a hertz of the carrier bear, with overhead
    taken off but not retransmissions."""
    block_bits: int
    """Bits that are sent, acknowledged and repeated together: a transport block, or a MAC frame."""
    slot_s: float
    """Time that such a block takes on the air at this bandwidth."""


OUT_OF_REACH = Grant(mcs=-1, efficiency=0.0, block_bits=0, slot_s=0.0)
"""The grant of a link too weak for the most robust scheme."""


class Arq(NamedTuple):
    """Retransmission above the physical layer, of what its own attempts have left undelivered."""

    limit: int
    """How many times a block is sent anew after all attempts of :meth:`AirInterface.errors` have failed; each
    time goes through all those attempts again. After that the block, and with it the message, is lost."""
    round_trip_s: float
    """Time from the last failed attempt until the block is on the air again."""


class AirInterface(Protocol):
    """A rule from signal-to-interference-and-noise ratios to rates and block errors; frozen and pure."""

    @property
    def round_trip_s(self) -> float:
        """Time from a block's attempt to its next attempt (HARQ round trip), in seconds."""
        ...

    @property
    def arq(self) -> Arq:
        """What happens to blocks that no attempt delivered."""
        ...

    def grant(self, sinr_estimate: float, bandwidth_hz: float) -> Grant:
        """Choose rate and block size from the estimated ratio (linear) for this much of the carrier."""
        ...

    def errors(self, grant: Grant, sinr: float) -> tuple[float, ...]:
        """Probability that attempt 1, 2, …, M of a block fails **given that all before it failed**.

        The true ratio (linear) is taken as constant over the attempts. The product of the first m entries
        is the probability that a block is still undelivered after m attempts. So the failures of n blocks
        may be drawn attempt by attempt, each binomial among those that remain. A grant out of reach fails
        with certainty.
        """
        ...


class Gridded(Protocol):
    """An air interface whose grants are of whole resource blocks."""

    def fewest_prb(self, sinr_estimate: float, n_bits: float, *, concentrates: bool) -> int:
        """Fewest resource blocks whose transport block carries so many bits; all, where none does."""
        ...
