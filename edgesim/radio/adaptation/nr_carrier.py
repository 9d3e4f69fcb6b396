"""Dimensions of a 5G NR carrier: slot length, resource blocks, peak rate."""

from __future__ import annotations

from edgesim.errors import InputError
from edgesim.radio.adaptation.nr_tables import N_PRB, Scheme

__all__ = ["SUBCARRIERS_PER_PRB", "SYMBOLS_PER_SLOT", "peak_rate_bps", "resource_blocks", "slot_s"]

SUBCARRIERS_PER_PRB = 12
SYMBOLS_PER_SLOT = 14  # normal cyclic prefix, TS 38.211 §4.3.2


def slot_s(subcarrier_spacing_hz: float) -> float:
    """Return the length of a slot in seconds: 1 ms/2^μ with μ = log2(Δf/15 kHz) (TS 38.211 §4.3)."""
    ratio = subcarrier_spacing_hz / 15e3
    if ratio not in (1.0, 2.0, 4.0, 8.0, 16.0):
        raise InputError(
            f"NR: subcarrier spacing is {subcarrier_spacing_hz / 1e3:g} kHz; expected 15, 30, 60, 120 or 240 "
            f"(TS 38.211 Table 4.2-1)"
        )
    return 1e-3 / ratio


def resource_blocks(bandwidth_hz: float, subcarrier_spacing_hz: float, frequency_range: int = 1) -> int:
    """Return N_PRB of a channel (TS 38.101-1 Table 5.3.2-1; frequency range 2: TS 38.101-2 Table 5.3.2-1)."""
    where = (
        f"NR channel of {bandwidth_hz / 1e6:g} MHz at {subcarrier_spacing_hz / 1e3:g} kHz, "
        f"frequency range {frequency_range}"
    )
    by_mhz = N_PRB.get((frequency_range, round(subcarrier_spacing_hz / 1e3)))
    if by_mhz is None:
        known = ", ".join(f"{khz} kHz in FR{fr}" for fr, khz in N_PRB)
        raise InputError(f"{where}: no such subcarrier spacing; known are {known}")
    n_prb = by_mhz.get(round(bandwidth_hz / 1e6))
    if n_prb is None or abs(bandwidth_hz / 1e6 - round(bandwidth_hz / 1e6)) > 1e-9:
        widths = ", ".join(map(str, by_mhz))
        raise InputError(f"{where}: not a channel bandwidth of the standard; choose one of {widths} MHz")
    return n_prb


def peak_rate_bps(
    scheme: Scheme,
    n_prb: int,
    subcarrier_spacing_hz: float,
    *,
    overhead_ratio: float = 0.14,
    n_layers: int = 1,
) -> float:
    """Return the peak rate of one carrier in bit/s: v·Q_m·R·(12·N_PRB/T_s)·(1−OH), TS 38.306 §4.1.2.

    OH is 0.14 downlink and 0.08 uplink in frequency range 1, 0.18 and 0.10 in range 2 (not re-read in the
    printed standard).
    """
    symbol_s = slot_s(subcarrier_spacing_hz) / SYMBOLS_PER_SLOT
    return n_layers * scheme.efficiency * SUBCARRIERS_PER_PRB * n_prb / symbol_s * (1.0 - overhead_ratio)
