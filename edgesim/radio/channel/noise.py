"""Thermal noise and the signal-to-interference-and-noise ratio.

Not modelled: noise temperatures other than that of the usual -174 dBm/Hz, external (man-made) noise,
and phase noise.
"""

from __future__ import annotations

import math

from edgesim.units import db_to_linear, dbm_to_w

__all__ = ["NOISE_DENSITY_DBM_PER_HZ", "sinr", "thermal_noise_dbm", "thermal_noise_w"]

NOISE_DENSITY_DBM_PER_HZ = -174.0
"""Thermal noise density, rounded as usual in link budgets; kT at 290 K is -173.98 dBm/Hz."""


def thermal_noise_dbm(bandwidth_hz: float, noise_figure_db: float = 0.0) -> float:
    """Return the noise power in a receiver's band: -174 dBm/Hz + 10 log10(bandwidth) + noise figure.

    For a share of a band, pass the share's bandwidth: noise scales with it.

    Parameters
    ----------
    bandwidth_hz
        Width of the receiving band; above 0.
    noise_figure_db
        Noise added by the receiver; 0 for an ideal one.
    """
    return NOISE_DENSITY_DBM_PER_HZ + 10.0 * math.log10(bandwidth_hz) + noise_figure_db


def thermal_noise_w(bandwidth_hz: float, noise_figure_db: float = 0.0) -> float:
    """Return the noise power of :func:`thermal_noise_dbm` in watts; 0 for a bandwidth of 0."""
    return dbm_to_w(NOISE_DENSITY_DBM_PER_HZ) * bandwidth_hz * db_to_linear(noise_figure_db)


def sinr(received_w: float, noise_w: float, interference_w: float = 0.0) -> float:
    """Return the signal-to-interference-and-noise ratio, linear; interference is treated as noise."""
    return received_w / (noise_w + interference_w)
