"""Shannon capacity with an SNR gap: ideal rate adaptation without a scheme table.

Not modelled: quantised schemes, finite blocks. A block fails if and only if the true ratio does not support
the granted rate (outage).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from edgesim.radio.adaptation.air_interface import OUT_OF_REACH, Arq, Grant

__all__ = ["SHANNON_ARQ", "Shannon", "gap_of_bit_error_rate", "truncated_shannon"]


def gap_of_bit_error_rate(bit_error_rate: float) -> float:
    """Return the SNR gap Γ = −ln(5·BER)/1.5 of uncoded M-QAM, linear.

    Source: Piro, Baldo, Miozzo, "An LTE module for the ns-3 network simulator", 2011; the bound on BER is
    Foschini and Salz's, as used by Goldsmith and Chua, IEEE Trans. Commun. 45(10), 1997. Valid for a BER
    below 0.2·e^(−1.5) = 0.0446, where Γ reaches 1 (capacity).
    """
    if not 0.0 < bit_error_rate < 0.2 * math.exp(-1.5):
        raise ValueError(
            f"bit_error_rate is {bit_error_rate}, expected above 0 and below 0.0446, where the gap is 1"
        )
    return -math.log(5.0 * bit_error_rate) / 1.5


SHANNON_ARQ = Arq(limit=3, round_trip_s=8e-3)
"""Default ARQ; not from any standard."""


@dataclass(frozen=True, slots=True)
class Shannon:
    """Air interface with efficiency = min(cap, attenuation·log2(1 + SINR/Γ)) bit/s/Hz.

    Parameters
    ----------
    gap_db
        SNR gap Γ in dB; 0 is the capacity bound.
    cap
        Highest efficiency in bit/s/Hz.
    attenuation
        Factor on the logarithm, in (0, 1].
    floor_db
        SINR in dB below which the link is out of reach.
    slot_s
        Duration of a block in seconds; it carries the bits that the rate allows in this time.
    round_trip_s
        Part of the interface; without effect, because there is one attempt and no HARQ.
    arq
        Retransmission of blocks in outage.
    target_bler
        Outage probability that an outer loop aims for with an imperfect estimate; with a perfect one it is 0.
    """

    gap_db: float = 0.0
    cap: float = math.inf
    attenuation: float = 1.0
    floor_db: float = -math.inf
    slot_s: float = 1e-3
    round_trip_s: float = 0.0
    arq: Arq = SHANNON_ARQ
    target_bler: float = 0.1

    def __post_init__(self) -> None:
        if not 0.0 < self.attenuation <= 1.0:
            raise ValueError(f"attenuation is {self.attenuation}, expected in (0, 1]")
        if not self.cap > 0.0:
            raise ValueError(f"cap is {self.cap}, expected above 0 bit/s/Hz")
        if not self.slot_s > 0.0:
            raise ValueError(f"slot_s is {self.slot_s}, expected above 0")

    def efficiency(self, sinr: float) -> float:
        """Return the spectral efficiency in bit/s/Hz at a ratio (linear)."""
        if sinr <= 0.0 or (self.floor_db > -math.inf and sinr < 10.0 ** (0.1 * self.floor_db)):
            return 0.0
        return min(self.cap, self.attenuation * math.log2(1.0 + sinr * 10.0 ** (-0.1 * self.gap_db)))

    def grant(self, sinr_estimate: float, bandwidth_hz: float) -> Grant:
        """Return the rate that the estimate supports; out of reach if a slot carries less than one bit."""
        efficiency = self.efficiency(sinr_estimate)
        block_bits = int(efficiency * bandwidth_hz * self.slot_s)
        if block_bits < 1:
            return OUT_OF_REACH
        return Grant(0, efficiency, block_bits, self.slot_s)

    def errors(self, grant: Grant, sinr: float) -> tuple[float, ...]:
        """Return one entry: 1 in outage (the true ratio supports less than was granted), else 0."""
        if grant.mcs < 0:
            return (1.0,)
        return (0.0,) if self.efficiency(sinr) >= grant.efficiency else (1.0,)

    def reach_db(self, bandwidth_hz: float) -> tuple[float, float]:
        """Return the ratios in dB between which the grant varies; −10 without a floor, 30 without a cap."""
        low_db = max(self.floor_db, -10.0)
        if math.isinf(self.cap):
            return low_db, 30.0
        return low_db, self.gap_db + 10.0 * math.log10(2.0 ** (self.cap / self.attenuation) - 1.0)


def truncated_shannon(slot_s: float = 1e-3) -> Shannon:
    """Return 3GPP TR 36.942 Annex A.1's truncated bound: 0.6·log2(1 + SINR) from −10 dB up to 4.4 bit/s/Hz.

    For the downlink. Not re-read in the printed report.
    """
    return Shannon(cap=4.4, attenuation=0.6, floor_db=-10.0, slot_s=slot_s)
