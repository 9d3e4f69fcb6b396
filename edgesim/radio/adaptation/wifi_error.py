"""Bit error rates of 802.11's coded schemes over AWGN, after decoding.

The shape of each curve is the NIST model (Pei and Henderson, "Validation of OFDM error rate model in ns-3",
2010): bit errors of Gray-mapped QAM, then the union bound of the convolutional code (133, 171) with hard
decisions and the code's distance spectrum, punctured as 802.11 does. Its position is either the model's
own, or shifted so that packets of 4096 octets fail with 10 % at the standard's minimum sensitivity
(:func:`sensitivity_sinr_db`).

Not modelled: LDPC and soft decisions (a real receiver is better than either curve by some dB), frequency
selectivity, preamble detection.
"""

from __future__ import annotations

import math
from fractions import Fraction
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from edgesim.radio.adaptation.bler_curve import BlerCurve, error_of_one
from edgesim.radio.adaptation.wifi_rates import SENSITIVITY_20_MHZ_DBM, WIFI_MCS
from edgesim.units import bits

__all__ = [
    "CODE_SPECTRUM",
    "SENSITIVITY_BITS",
    "SENSITIVITY_BLER",
    "decoded_bit_error",
    "nist_curve",
    "sensitivity_curve",
    "sensitivity_sinr_db",
    "uncoded_bit_error",
]

SENSITIVITY_BLER = 0.1
SENSITIVITY_BITS = int(bits(4096))
# Both are assumed by the standard's sensitivities, 802.11-2020 §17.3.10.2 (not re-read in the printed
# standard).
_ASSUMED_NOISE_FIGURE_DB = 10.0
_ASSUMED_MARGIN_DB = 5.0
_THERMAL_20_MHZ_DBM = -174.0 + 10.0 * math.log10(20e6)
_STEP_DB = 0.1
_LOWEST_LOG = -15.0

CODE_SPECTRUM: dict[Fraction, tuple[int, int, tuple[int, ...]]] = {
    Fraction(1, 2): (
        1, 10,
        (36, 0, 211, 0, 1404, 0, 11633, 0, 77433, 0, 502690, 0, 3322763, 0, 21292910, 0, 134365911),
    ),
    Fraction(2, 3): (2, 6, (3, 70, 285, 1276, 6160, 27128, 117019, 498835, 2103480, 8781268)),
    Fraction(3, 4): (
        3, 5, (42, 201, 1492, 10469, 62935, 379546, 2252394, 13064540, 75080308, 427474864),
    ),
    Fraction(5, 6): (
        5, 4, (92, 528, 8694, 79453, 791795, 7369828, 67809347, 609896348, 5416272113, 47544404956),
    ),
}  # fmt: skip
"""Code rate → (k input bits per puncturing period, free distance d_f, information weights c_d from d_f on).

Counted over the trellis (first error events, all phases of puncturing). The table in ns-3, from Frenger et
al., "Multi-rate convolutional codes", Chalmers R021/1998, is up to 0.3 % higher in its later terms.
"""


def uncoded_bit_error(modulation_bits: int, sinr: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the bit error rate of Gray-mapped BPSK, QPSK or square QAM at E_s/N_0; nearest neighbours.

    With γ = E_s/N_0, linear: BPSK ½·erfc(√γ); else (2/m)·(1 − 1/√M)·erfc(√(3γ/(2(M−1)))) with M = 2^m
    (Proakis, Digital Communications, §5.2).
    """
    erfc = np.vectorize(math.erfc, otypes=[np.float64])
    if modulation_bits == 1:
        return np.asarray(0.5 * erfc(np.sqrt(sinr)), dtype=np.float64)
    size = 2.0**modulation_bits
    factor = 2.0 / modulation_bits * (1.0 - 1.0 / math.sqrt(size))
    return np.asarray(factor * erfc(np.sqrt(1.5 * sinr / (size - 1.0))), dtype=np.float64)


def decoded_bit_error(coding: Fraction, uncoded: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the bit error rate after the decoder: (1/2k)·Σ c_d·D^d, D = √(4p(1−p)), at most 1/2."""
    k, free_distance, weights = CODE_SPECTRUM[coding]
    bound = np.sqrt(4.0 * uncoded * (1.0 - uncoded))  # D
    total = np.zeros_like(bound)
    for distance, weight in enumerate(weights, free_distance):
        total += weight * bound**distance
    return np.minimum(0.5, total / (2.0 * k))


@lru_cache(maxsize=16)
def nist_curve(mcs: int) -> BlerCurve:
    """Return the decoded bit error rate of an MCS over E_s/N_0 in dB."""
    scheme = WIFI_MCS[mcs]
    grid_db = np.arange(-10.0, 50.0, _STEP_DB)
    uncoded = uncoded_bit_error(scheme.modulation_bits, 10.0 ** (0.1 * grid_db))
    logs = np.log10(np.maximum(decoded_bit_error(scheme.coding, uncoded), 1e-300))
    first = int(np.argmax(logs < math.log10(0.5)))  # where the bound becomes informative
    last = int(np.argmax(logs < _LOWEST_LOG))
    start_db = float(grid_db[first]) - _STEP_DB
    return BlerCurve(start_db, _STEP_DB, [0.0, *logs[first : last + 1].tolist()])


def sensitivity_sinr_db(mcs: int) -> float:
    """Return the ratio in dB at the standard's minimum sensitivity, less noise figure 10 dB and margin 5 dB.

    It is the same at every width, because sensitivity and noise both rise by 3 dB with each doubling.
    """
    noise_dbm = _THERMAL_20_MHZ_DBM + _ASSUMED_NOISE_FIGURE_DB + _ASSUMED_MARGIN_DB
    return SENSITIVITY_20_MHZ_DBM[mcs] - noise_dbm


@lru_cache(maxsize=16)
def sensitivity_curve(mcs: int) -> BlerCurve:
    """Return the NIST curve, shifted so that 4096 octets fail with 10 % at the standard's sensitivity."""
    curve = nist_curve(mcs)
    own_db = curve.threshold_db(error_of_one(SENSITIVITY_BLER, SENSITIVITY_BITS))
    return curve.shifted(sensitivity_sinr_db(mcs) - own_db)
