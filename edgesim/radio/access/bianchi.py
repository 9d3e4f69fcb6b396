"""Contention of Wi-Fi stations: Bianchi's model of 802.11's distributed coordination function (DCF).

Stations that always have a frame to send draw a backoff, count it down over slots, and send at zero. Those
that send in the same slot collide and double their window. Source: G. Bianchi, "Performance analysis of the
IEEE 802.11 distributed coordination function", IEEE Journal on Selected Areas in Communications 18(3),
2000.

This is theory. A run simulates contention itself (:mod:`edgesim.engine.network.wifi.contention`), and is
validated against this model with saturated stations.

Not modelled: hidden terminals (stations that cannot receive one another), capture of the stronger frame, a
retry limit of the contention itself, the longer wait after a garbled frame (EIFS), access categories (EDCA)
and OFDMA of 802.11ax. Busy slots count down the backoff as idle ones do, as in the paper.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from edgesim.errors import InputError

__all__ = [
    "Dcf",
    "attempt_probability",
    "collision_probability",
    "goodputs",
    "saturation_throughput",
    "share_of_rate",
]


def _check_window(w: int, m: int) -> None:
    if w < 1 or m < 0:
        raise InputError(
            f"dcf: first window of {w} slots, doubled {m} times; expected at least 1 slot and 0 times: "
            "802.11 has 16 and 6"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Dcf:
    """Timing and contention windows of 802.11 at 5 GHz (OFDM PHY), for a station without aggregation.

    Defaults are those of IEEE 802.11-2020 (table 17-21: slot, SIFS, CWmin 15, CWmax 1023; DIFS = SIFS + 2
    slots), not re-read in the printed standard. Control frames are sent at 24 Mb/s after a preamble of 20
    us: two symbols, 28 us in all, for an acknowledgement or a CTS of 14 bytes as for an RTS of 20.

    Parameters
    ----------
    slot_s, sifs_s, difs_s
        Durations of an idle slot and of the two interframe spaces.
    w
        First contention window: backoffs are 0 … w - 1 slots. CWmin + 1.
    m
        Number of times the window doubles, up to w times 2^m. CWmax + 1 = 1024 is m = 6.
    preamble_s
        PHY preamble and header of a data frame; 40 us for 802.11ac, about 44 us for 802.11ax with one stream.
    header_bits
        MAC header and checksum, sent at the data rate: 26 + 4 bytes for QoS data.
    ack_s, rts_s, cts_s
        Control frames, preambles included.
    uses_rts
        Whether an RTS/CTS exchange precedes each data frame, so that only RTS frames collide.
    """

    slot_s: float = 9e-6
    sifs_s: float = 16e-6
    difs_s: float = 34e-6
    w: int = 16
    m: int = 6
    preamble_s: float = 20e-6
    header_bits: int = 240
    ack_s: float = 28e-6
    rts_s: float = 28e-6
    cts_s: float = 28e-6
    uses_rts: bool = False

    def __post_init__(self) -> None:
        _check_window(self.w, self.m)
        if not self.slot_s > 0:
            raise InputError(f"dcf: a slot is {self.slot_s:g} s; expected more than 0: correct it")

    def frame_s(self, payload_bits: float, rate_bps: float) -> float:
        """Return the airtime of a data frame: preamble, MAC header and payload."""
        if not rate_bps > 0:
            raise InputError(
                f"dcf: a station's PHY rate is {rate_bps:g} bit/s; expected more than 0: "
                "leave out stations that are out of reach"
            )
        return self.preamble_s + (self.header_bits + payload_bits) / rate_bps

    def success_s(self, frame_s: float) -> float:
        """Return how long a successful frame keeps the channel busy, with the following DIFS (Ts)."""
        exchange_s = self.rts_s + self.cts_s + 2.0 * self.sifs_s if self.uses_rts else 0.0
        return exchange_s + frame_s + self.sifs_s + self.ack_s + self.difs_s

    def collision_s(self, frame_s: float) -> float:
        """Return how long a collision keeps the channel busy, given its longest data frame (Tc)."""
        return (self.rts_s if self.uses_rts else frame_s) + self.difs_s


DCF = Dcf()


def attempt_probability(p: float, w: int = 16, m: int = 6) -> float:
    """Return the probability tau that a station sends in a slot, if its frames collide with probability p.

    Bianchi 2000, equation 7, with the quotient that is 0/0 at p = 1/2 written as a sum:
    tau = 2 / (1 + W + p W (1 + 2p + … + (2p)^(m-1))).
    """
    return 2.0 / (1.0 + w + p * w * sum((2.0 * p) ** stage for stage in range(m)))


@lru_cache(maxsize=4096)
def collision_probability(n: int, w: int = 16, m: int = 6) -> float:
    """Return the probability that a frame of one of n saturated stations collides.

    Solves p = 1 - (1 - tau(p))^(n-1) (Bianchi 2000, equation 9) by bisection to the last bit. The
    right-hand side falls with p, so the solution is unique.

    Parameters
    ----------
    n
        Number of stations; a single one never collides.
    w
        First contention window in slots.
    m
        Number of times the window doubles.
    """
    _check_window(w, m)
    if n < 1:
        raise InputError(f"dcf: {n} stations contend; expected at least 1")
    low, high = 0.0, 1.0
    while True:
        p = 0.5 * (low + high)
        if p in (low, high) or n == 1:
            return low
        if 1.0 - (1.0 - attempt_probability(p, w, m)) ** (n - 1) > p:
            low = p
        else:
            high = p


def saturation_throughput(n: int, payload_bits: float, rate_bps: float, dcf: Dcf = DCF) -> float:
    """Return the total payload bits per second of n saturated stations that all send at one rate.

    Bianchi 2000, equation 13: P_s P_tr E[P] over the mean length of a slot, which is idle, a success or a
    collision.

    Parameters
    ----------
    n
        Number of stations.
    payload_bits
        Payload of a frame without its MAC header; of the whole aggregate, if frames are aggregated.
    rate_bps
        PHY rate.
    dcf
        Timing and windows.
    """
    tau = attempt_probability(collision_probability(n, dcf.w, dcf.m), dcf.w, dcf.m)
    frame_s = dcf.frame_s(payload_bits, rate_bps)
    idle = (1.0 - tau) ** n
    success = n * tau * (1.0 - tau) ** (n - 1)
    collision = max(0.0, 1.0 - idle - success)
    slot_s = idle * dcf.slot_s + success * dcf.success_s(frame_s) + collision * dcf.collision_s(frame_s)
    return success * payload_bits / slot_s


def share_of_rate(n: int, payload_bits: float, rate_bps: float, dcf: Dcf = DCF) -> float:
    """Return the goodput of each of n equal stations over its PHY rate, after contention and overhead."""
    return saturation_throughput(n, payload_bits, rate_bps, dcf) / (n * rate_bps)


def goodputs(payloads_bits: Sequence[float], rates_bps: Sequence[float], dcf: Dcf = DCF) -> tuple[float, ...]:
    """Return the goodput of each of several stations with individual rates, in bit/s.

    All stations win the channel equally often, so the long frames of a slow station slow all others down
    (Heusse, Rousseau, Berger-Sabbatel and Duda 2003, "Performance anomaly of 802.11b"). The mean over slots
    is Bianchi's, with each station's own success time. A collision lasts as long as its longest frame,
    which is exact for independent attempts. For equal stations the sum is :func:`saturation_throughput`.

    Parameters
    ----------
    payloads_bits
        Payload of a frame, for each station.
    rates_bps
        PHY rates, in the same order.
    dcf
        Timing and windows, the same for all.
    """
    n = len(rates_bps)
    if len(payloads_bits) != n:
        raise InputError(
            f"dcf: {len(payloads_bits)} payloads for {n} rates; expected one for each: give as many"
        )
    if n == 0:
        return ()
    tau = attempt_probability(collision_probability(n, dcf.w, dcf.m), dcf.w, dcf.m)
    frames_s = [dcf.frame_s(bits, rate) for bits, rate in zip(payloads_bits, rates_bps, strict=True)]
    alone = tau * (1.0 - tau) ** (n - 1)  # probability that one given station sends and no other
    slot_s = (1.0 - tau) ** n * dcf.slot_s + alone * math.fsum(dcf.success_s(s) for s in frames_s)
    for place, frame_s in enumerate(sorted(frames_s)):
        # This frame is a collision's longest: no longer one is sent, and at least one shorter one is.
        longest = tau * (1.0 - tau) ** (n - 1 - place) * (1.0 - (1.0 - tau) ** place)
        slot_s += longest * dcf.collision_s(frame_s)
    return tuple(alone * bits / slot_s for bits in payloads_bits)
