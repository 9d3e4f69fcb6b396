"""Link adaptation of 802.11n, ac and ax: from a ratio to an MCS and a frame error probability.

A block is one MAC frame (MPDU) of an aggregate; block acknowledgement repeats failed frames only.
Efficiency is that of the data field: preambles, contention, acknowledgements and frame headers are added by
the medium access (:mod:`edgesim.radio.access.wifi_mac`).

Not modelled: the trials of rate adaptation (the MCS follows from the ratio at once, unlike in any commodity
adapter), transmit beamforming, resource units smaller than the channel, DCM, preamble detection and capture.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from edgesim.errors import InputError
from edgesim.radio.adaptation.air_interface import OUT_OF_REACH, Arq, Grant
from edgesim.radio.adaptation.bler_curve import BlerCurve, error_of_all, error_of_one
from edgesim.radio.adaptation.wifi_error import nist_curve, sensitivity_curve
from edgesim.radio.adaptation.wifi_rates import GENERATIONS, Generation, data_rate_bps
from edgesim.units import bits

__all__ = ["RETRY", "Wifi"]

RETRY = Arq(limit=6, round_trip_s=0.0)
"""Seven attempts in all (dot11ShortRetryLimit's default is 7; not re-read in the printed standard). Each
contends for the channel, which is the time between them."""


@dataclass(frozen=True)
class Wifi:
    """Air interface of a Wi-Fi channel.

    Parameters
    ----------
    generation
        ``n``, ``ac`` or ``ax``.
    channel_width_hz
        20 or 40 MHz; with ac and ax also 80 and 160 MHz.
    n_streams
        Spatial streams, each at the given ratio.
    guard_s
        Guard interval; None: the generation's shortest (0.4 µs for n and ac, 0.8 µs for ax).
    mpdu_bytes
        Bytes of a message in a MAC frame, the unit of retransmission.
    curve
        ``sensitivity``: error curves placed by the standard's minimum sensitivity, less a noise figure of
        10 dB and a margin of 5 dB. ``nist``: the NIST model unchanged.
    target_bler
        Highest frame error probability of the granted MCS at the estimate.
    arq
        Retries of the MAC; there is no HARQ.
    """

    takes_whole_band: ClassVar[bool] = True  # a weak sender cannot concentrate its power on part of it
    generation: Generation = "ax"
    channel_width_hz: float = 20e6
    n_streams: int = 1
    guard_s: float | None = None
    mpdu_bytes: int = 1500
    curve: Literal["sensitivity", "nist"] = "sensitivity"
    target_bler: float = 0.1
    arq: Arq = RETRY
    _thresholds: tuple[float, ...] = field(init=False, repr=False, compare=False)
    _grants: tuple[Grant, ...] = field(init=False, repr=False, compare=False)
    _curves: tuple[BlerCurve, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.generation not in GENERATIONS:
            raise InputError(f"Wi-Fi: generation is {self.generation!r}; expected one of n, ac, ax")
        if self.curve not in ("sensitivity", "nist"):
            raise InputError(f"Wi-Fi: error curve is {self.curve!r}; expected 'sensitivity' or 'nist'")
        if not 1 <= self.mpdu_bytes <= 11454:  # the longest VHT and HE frame, 802.11-2020 Table 9-25
            raise InputError(f"Wi-Fi: a frame of {self.mpdu_bytes} bytes; expected 1 to 11454")
        if not 1e-6 <= self.target_bler <= 0.9:
            raise InputError(f"Wi-Fi: target BLER is {self.target_bler:g}; expected 1e-06 to 0.9")
        shape = sensitivity_curve if self.curve == "sensitivity" else nist_curve
        n_mcs = GENERATIONS[self.generation].n_mcs
        curves = tuple(shape(mcs) for mcs in range(n_mcs))
        block_bits = int(bits(self.mpdu_bytes))
        wanted = error_of_one(self.target_bler, block_bits)
        thresholds: list[float] = []
        grants: list[Grant] = []
        for mcs in reversed(range(n_mcs)):
            rate_bps = self.rate_bps(mcs)
            threshold = 10.0 ** (0.1 * curves[mcs].threshold_db(wanted))
            if rate_bps is not None and (not thresholds or threshold < thresholds[-1]):
                thresholds.append(threshold)
                grants.append(Grant(mcs, rate_bps / self.channel_width_hz, block_bits, block_bits / rate_bps))
        object.__setattr__(self, "_thresholds", tuple(reversed(thresholds)))
        object.__setattr__(self, "_grants", (OUT_OF_REACH, *reversed(grants)))
        object.__setattr__(self, "_curves", curves)

    def rate_bps(self, mcs: int) -> float | None:
        """Return the data rate of an MCS over the whole channel; None if the standard excludes it."""
        width_mhz = round(self.channel_width_hz / 1e6)
        return data_rate_bps(self.generation, mcs, width_mhz, guard_s=self.guard_s, n_streams=self.n_streams)

    @property
    def round_trip_s(self) -> float:
        """Time to the next attempt, which is an ARQ retry."""
        return self.arq.round_trip_s

    def grant(self, sinr_estimate: float, bandwidth_hz: float) -> Grant:
        """Return the fastest MCS whose frames meet the target; a frame takes longer in a narrower share."""
        grant = self._grants[bisect_right(self._thresholds, sinr_estimate)]
        if bandwidth_hz == self.channel_width_hz or grant.mcs < 0:
            return grant
        return grant._replace(slot_s=grant.slot_s * self.channel_width_hz / bandwidth_hz)

    def errors(self, grant: Grant, sinr: float) -> tuple[float, ...]:
        """Return one entry: the frame error probability at the true ratio."""
        if grant.mcs < 0 or sinr <= 0.0:
            return (1.0,)
        return (error_of_all(self._curves[grant.mcs].at(10.0 * math.log10(sinr)), grant.block_bits),)

    def reach_db(self, bandwidth_hz: float) -> tuple[float, float]:
        """Return the lowest and highest threshold in dB: the grant is out of reach below, constant above."""
        return 10.0 * math.log10(self._thresholds[0]), 10.0 * math.log10(self._thresholds[-1])
