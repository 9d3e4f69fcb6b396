"""Energy and utilisation of the devices of one run."""

from __future__ import annotations

import numpy as np
import pandas as pd

from edgesim.statistics.requests import floats

__all__ = ["ORIGINS", "active_j_of", "end_of_run_at_s", "energies_j", "origins", "utilisation"]

_ACTIVE = ("energy_compute_j", "energy_tx_j", "energy_rx_j")

ORIGINS = ("measured", "scaled", "analytic")  # from the most to the least trustworthy


def end_of_run_at_s(devices: pd.DataFrame) -> float | None:
    """Return the end of observation [s], including the cool-down; None without devices."""
    return float(floats(devices, "duration_s").max()) if len(devices) else None


def energies_j(devices: pd.DataFrame) -> tuple[float, float]:
    """Return the active energy (computing, sending, receiving) and the idle energy of all devices [J]."""
    active_j = sum(float(np.nansum(floats(devices, column))) for column in _ACTIVE)
    return active_j, float(np.nansum(floats(devices, "energy_idle_j")))


def active_j_of(devices: pd.DataFrame, names: pd.Series) -> float:
    """Return the active energy of the named devices [J]."""
    return energies_j(devices[devices["device"].astype(str).isin(names.astype(str).unique())])[0]


def utilisation(devices: pd.DataFrame) -> dict[str, float]:
    """Return the utilisation of compute stations over the run, by group, averaged over its devices."""
    able = _computing(devices)
    groups = able["group"].astype(str).to_numpy(dtype=np.str_)
    busy_s, duration_s = floats(able, "busy_s"), floats(able, "duration_s")
    shares = np.divide(busy_s, duration_s, out=np.zeros_like(busy_s), where=duration_s > 0)
    return {str(group): float(shares[groups == group].mean()) for group in np.unique(groups)}


def origins(devices: pd.DataFrame) -> tuple[str, ...]:
    """Return the sources of compute times of all devices that computed."""
    able = _computing(devices)
    found = set(able["origin"].astype(str)[floats(able, "busy_s") > 0])
    return tuple(origin for origin in ORIGINS if origin in found)


def _computing(devices: pd.DataFrame) -> pd.DataFrame:
    """Return the devices that can compute: those with an origin of compute times, which switches lack."""
    return devices[devices["origin"].notna()]
