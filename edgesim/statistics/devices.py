"""What the devices of one run drew and did."""

from __future__ import annotations

import numpy as np
import pandas as pd

from edgesim.statistics.requests import floats

__all__ = ["ORIGINS", "active_j_of", "end_of_run_at_s", "energies_j", "origins", "utilisation"]

_ACTIVE = ("energy_compute_j", "energy_tx_j", "energy_rx_j")

ORIGINS = ("measured", "scaled", "analytic")  # from the most to the least trustworthy


def end_of_run_at_s(devices: pd.DataFrame) -> float | None:
    """When observation ended, the cool-down included; None without devices."""
    return float(floats(devices, "duration_s").max()) if len(devices) else None


def energies_j(devices: pd.DataFrame) -> tuple[float, float]:
    """Active energy (computing, sending, receiving) and idle energy of all devices."""
    active_j = sum(float(np.nansum(floats(devices, column))) for column in _ACTIVE)
    return active_j, float(np.nansum(floats(devices, "energy_idle_j")))


def active_j_of(devices: pd.DataFrame, names: pd.Series) -> float:
    """Active energy of the devices of these names."""
    return energies_j(devices[devices["device"].astype(str).isin(names.astype(str).unique())])[0]


def utilisation(devices: pd.DataFrame) -> dict[str, float]:
    """Share of the run that compute stations worked, by group, averaged over its devices."""
    able = _computing(devices)
    groups = able["group"].astype(str).to_numpy(dtype=np.str_)
    busy_s, duration_s = floats(able, "busy_s"), floats(able, "duration_s")
    shares = np.divide(busy_s, duration_s, out=np.zeros_like(busy_s), where=duration_s > 0)
    return {str(group): float(shares[groups == group].mean()) for group in np.unique(groups)}


def origins(devices: pd.DataFrame) -> tuple[str, ...]:
    """Where the compute times of the devices that computed come from."""
    able = _computing(devices)
    found = set(able["origin"].astype(str)[floats(able, "busy_s") > 0])
    return tuple(origin for origin in ORIGINS if origin in found)


def _computing(devices: pd.DataFrame) -> pd.DataFrame:
    """Leave out what cannot compute (switches), which has no origin of compute times."""
    return devices[devices["origin"].notna()]
