"""Readable names of modulation and coding schemes."""

from __future__ import annotations

from edgesim.radio.adaptation.air_interface import AirInterface
from edgesim.radio.adaptation.nr import Nr
from edgesim.radio.adaptation.nr_tables import MCS_TABLES
from edgesim.radio.adaptation.wifi import Wifi
from edgesim.radio.adaptation.wifi_rates import WIFI_MCS

__all__ = ["reported_cqi", "scheme_name"]


def scheme_name(air: AirInterface, mcs: int) -> str:
    """Return modulation and code rate of a scheme, such as '64-QAM 0.75'; empty without a scheme table."""
    if mcs < 0:
        return ""
    if isinstance(air, Nr):
        scheme = MCS_TABLES[air.mcs_table][mcs]
        return f"{_modulation(scheme.modulation_bits)} {scheme.rate_1024 / 1024.0:.2f}"
    if isinstance(air, Wifi):
        return f"{_modulation(WIFI_MCS[mcs].modulation_bits)} {WIFI_MCS[mcs].coding}"
    return ""


def reported_cqi(air: AirInterface, sinr: float, bandwidth_hz: float) -> int | None:
    """Return the channel quality indicator of 5G NR at a ratio (linear); None for other air interfaces."""
    return air.cqi(sinr, bandwidth_hz) if isinstance(air, Nr) else None


def _modulation(n_bits: int) -> str:
    return {1: "BPSK", 2: "QPSK"}.get(n_bits, f"{1 << n_bits}-QAM")
