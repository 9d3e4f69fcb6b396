"""Rates and minimum sensitivities of IEEE 802.11n, ac and ax.

Rate = N_SD·N_BPSCS·R·N_SS/T_sym. Sources: IEEE 802.11-2020 clauses 19 (HT), 21 (VHT); 802.11ax-2021 clause
27 (HE). Tests compare the rates with the digits printed in the standards; sensitivities and the excluded
combinations were not re-read in the printed standards.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Literal, NamedTuple

from edgesim.errors import InputError

__all__ = [
    "GENERATIONS",
    "SENSITIVITY_20_MHZ_DBM",
    "WIFI_MCS",
    "Generation",
    "GenerationFacts",
    "WifiScheme",
    "data_rate_bps",
    "sensitivity_dbm",
]

Generation = Literal["n", "ac", "ax"]


class WifiScheme(NamedTuple):
    """A modulation and its convolutional or LDPC code rate."""

    modulation_bits: int
    """N_BPSCS: coded bits per subcarrier and stream, 1 (BPSK) to 10 (1024-QAM)."""
    coding: Fraction
    """Code rate R."""


WIFI_MCS: tuple[WifiScheme, ...] = tuple(
    WifiScheme(bits, Fraction(*coding))
    for bits, coding in (
        (1, (1, 2)), (2, (1, 2)), (2, (3, 4)), (4, (1, 2)), (4, (3, 4)), (6, (2, 3)), (6, (3, 4)), (6, (5,
        6)), (8, (3, 4)), (8, (5, 6)), (10, (3, 4)), (10, (5, 6)),
    )
)  # fmt: skip
"""MCS 0 to 11 per stream; n has 0–7 (numbered 8 higher with each further stream), ac 0–9, ax 0–11."""

SENSITIVITY_20_MHZ_DBM: tuple[float, ...] = (
    -82.0, -79.0, -77.0, -74.0, -70.0, -66.0, -65.0, -64.0, -59.0, -57.0, -54.0, -52.0,
)  # fmt: skip
"""Received power at which a conforming receiver's packet error ratio is at most 10 %, MCS 0 to 11, 20 MHz."""


class GenerationFacts(NamedTuple):
    """Properties of a Wi-Fi generation."""

    n_mcs: int
    data_subcarriers: dict[int, int]
    """N_SD by channel width in MHz."""
    useful_symbol_s: float
    guards_s: tuple[float, ...]
    """Supported guard intervals, shortest first."""
    max_streams: int


GENERATIONS: dict[Generation, GenerationFacts] = {
    "n": GenerationFacts(8, {20: 52, 40: 108}, 3.2e-6, (0.4e-6, 0.8e-6), 4),
    "ac": GenerationFacts(10, {20: 52, 40: 108, 80: 234, 160: 468}, 3.2e-6, (0.4e-6, 0.8e-6), 8),
    "ax": GenerationFacts(12, {20: 234, 40: 468, 80: 980, 160: 1960}, 12.8e-6, (0.8e-6, 1.6e-6, 3.2e-6), 8),
}
"""Properties by generation. The ax widths are full-width resource units (RU-242, -484, -996, 2×996)."""

# (MHz, MCS, streams) whose coded bits cannot be divided evenly among the encoders
_VHT_EXCLUDED = {(80, 6, 3), (80, 6, 7), (80, 9, 6), (160, 9, 3)}


def data_rate_bps(
    generation: Generation, mcs: int, width_mhz: int, *, guard_s: float | None = None, n_streams: int = 1
) -> float | None:
    """Return the data rate of the physical layer in bit/s; None if the standard lacks the combination.

    Parameters
    ----------
    guard_s
        Guard interval in seconds; None: the shortest.
    """
    facts = GENERATIONS.get(generation)
    if facts is None or width_mhz not in facts.data_subcarriers:
        known = "; ".join(
            f"802.11{name} has {', '.join(map(str, kind.data_subcarriers))} MHz"
            for name, kind in GENERATIONS.items()
            if facts in (None, kind)
        )
        raise InputError(f"Wi-Fi: no 802.11{generation} channel of {width_mhz} MHz; {known}")
    guard_s = facts.guards_s[0] if guard_s is None else guard_s
    if guard_s not in facts.guards_s:
        known = ", ".join(f"{1e6 * known_s:g}" for known_s in facts.guards_s)
        raise InputError(
            f"Wi-Fi: guard interval of 802.11{generation} is {1e6 * guard_s:g} us; expected one of {known} us"
        )
    if not 1 <= n_streams <= facts.max_streams:
        raise InputError(
            f"Wi-Fi: 802.11{generation} with {n_streams} streams; expected 1 to {facts.max_streams}"
        )
    if not 0 <= mcs < facts.n_mcs:
        raise InputError(f"Wi-Fi: MCS {mcs} of 802.11{generation}; expected 0 to {facts.n_mcs - 1}")
    scheme = WIFI_MCS[mcs]
    data_bits = facts.data_subcarriers[width_mhz] * scheme.modulation_bits * scheme.coding * n_streams
    if generation == "ac" and (data_bits.denominator != 1 or (width_mhz, mcs, n_streams) in _VHT_EXCLUDED):
        return None
    return float(data_bits) / (facts.useful_symbol_s + guard_s)


def sensitivity_dbm(mcs: int, width_mhz: int) -> float:
    """Return the minimum sensitivity in dBm: that of 20 MHz, plus 3 dB for each doubling of the width."""
    return SENSITIVITY_20_MHZ_DBM[mcs] + 3.0 * {20: 0, 40: 1, 80: 2, 160: 3}[width_mhz]
