"""Thermal noise, and the ratio in which a signal stands over noise and interference.

Not modelled: noise temperatures other than that of the usual -174 dBm/Hz, external (man-made) noise,
and phase noise.
"""

from __future__ import annotations

import math

from edgesim.units import db_to_linear, dbm_to_w

__all__ = ["NOISE_DENSITY_DBM_PER_HZ", "sinr", "thermal_noise_dbm", "thermal_noise_w"]

NOISE_DENSITY_DBM_PER_HZ = -174.0
"""Thermal noise in one hertz, rounded as link budgets round it; kT at 290 K is -173.98."""


def thermal_noise_dbm(bandwidth_hz: float, noise_figure_db: float = 0.0) -> float:
    """Noise power in a receiver's band: -174 dBm/Hz + 10 log10(bandwidth) + noise figure.

    Where a band is split, so is the noise: pass the share's bandwidth.

    Parameters
    ----------
    bandwidth_hz
        Width of the band in which is received; above 0.
    noise_figure_db
        What the receiver adds; 0 is a perfect one.
    """
    return NOISE_DENSITY_DBM_PER_HZ + 10.0 * math.log10(bandwidth_hz) + noise_figure_db


def thermal_noise_w(bandwidth_hz: float, noise_figure_db: float = 0.0) -> float:
    """Noise power of :func:`thermal_noise_dbm` in watts; proportional to the bandwidth, and 0 for none."""
    return dbm_to_w(NOISE_DENSITY_DBM_PER_HZ) * bandwidth_hz * db_to_linear(noise_figure_db)


def sinr(received_w: float, noise_w: float, interference_w: float = 0.0) -> float:
    """Signal over noise and interference, linear; interference adds to the noise as if it were noise."""
    return received_w / (noise_w + interference_w)
