"""Over-the-air sums with single antennas, and analog sums with a separate band for each device.

Devices with one antenna send one entry per channel use to a station with one antenna, which scales the
received sum by one number. Every sender compensates its channel's phase, so only magnitudes matter.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgesim.errors import InputError

__all__ = [
    "Inversion",
    "channel_inversion",
    "least_error_inversion",
    "truncated_inversion",
    "uncoded_fdma_mse",
]

Matrices = NDArray[np.complex128]
Floats = NDArray[np.float64]


class Inversion(NamedTuple):
    """Transmit powers of single-antenna devices, and the resulting error of their sum."""

    powers_w: Floats
    """[n_devices]; 0 for a device that does not send."""
    gain: float
    """Received power of a symbol of power 1; the station divides by its square root."""
    mse: float
    """Mean squared error of the sum of all devices, silent ones included."""


def channel_inversion(gains: Floats, budgets_w: Floats, noise_w: float) -> Inversion:
    """Invert all channels, so that all arrive as strong as the weakest can: ``MSE = noise / min(P_n g_n)``.

    Parameters
    ----------
    gains : [n_devices]
        Power gains, |h_n|^2.
    budgets_w : [n_devices]
        Largest transmit power of each device.
    noise_w
        Noise power at the station.
    """
    return truncated_inversion(gains, budgets_w, noise_w, 0.0)


def truncated_inversion(gains: Floats, budgets_w: Floats, noise_w: float, threshold: float) -> Inversion:
    """Invert the channels of devices whose gain reaches a threshold; the others do not send.

    Weak devices then do not limit the others, as in Zhu, Wang and Huang 2020 (IEEE Transactions on Wireless
    Communications 19(1), "Broadband analog aggregation for low-latency federated edge learning"; not
    re-read) per subchannel. The entry of each silent device is missing, so that
    ``MSE = n_silent + noise / min(P_n g_n)`` over the devices that send.
    """
    power_gains, budgets = _checked(gains, budgets_w, noise_w)
    if not threshold >= 0:
        raise InputError(f"aircomp: a threshold of {threshold:g}; expected a gain of 0 or more")
    sends = power_gains >= threshold
    if not sends.any():
        return Inversion(np.zeros_like(power_gains), 0.0, float(len(power_gains)))
    gain = float((power_gains * budgets)[sends].min())
    powers = np.zeros_like(power_gains)
    if gain == 0.0:
        return Inversion(powers, 0.0, np.inf)
    np.divide(gain, power_gains, out=powers, where=sends)
    return Inversion(powers, gain, float(np.sum(~sends)) + noise_w / gain)


def least_error_inversion(gains: Floats, budgets_w: Floats, noise_w: float) -> Inversion:
    """Choose the powers with the least mean squared error: weak devices at full power, the others inverted.

    Cao, Zhu, Xu and Huang 2020 (IEEE Transactions on Wireless Communications 19(11), "Optimized power
    control for over-the-air computation in fading channels"; derived here, not re-read). With devices in
    the order of ``P_n g_n``, if the k weakest send at full power, the best amplitude is
    ``(noise + sum P_n g_n) / sum sqrt(P_n g_n)`` over them. Of all k from 1 to n, the consistent one is best.
    """
    power_gains, budgets = _checked(gains, budgets_w, noise_w)
    strongest = np.sqrt(power_gains * budgets)
    order = np.sort(strongest)
    with np.errstate(divide="ignore", invalid="ignore"):
        amplitudes = (noise_w + np.cumsum(order**2)) / np.cumsum(order)
    amplitudes = amplitudes[np.isfinite(amplitudes)]
    if not len(amplitudes):
        return Inversion(np.zeros_like(power_gains), 0.0, float(len(power_gains)))
    arrived = np.minimum(strongest, amplitudes[:, np.newaxis])
    errors = np.sum((arrived / amplitudes[:, np.newaxis] - 1.0) ** 2, axis=1) + noise_w / amplitudes**2
    best = int(np.argmin(errors))
    powers = np.zeros_like(power_gains)
    np.divide(arrived[best] ** 2, power_gains, out=powers, where=power_gains > 0)
    return Inversion(powers, float(amplitudes[best] ** 2), float(errors[best]))


def uncoded_fdma_mse(channels: Matrices, budgets_w: Floats, noise_w: float, n_streams: int) -> float:
    """Return the mean squared error of analog sums with a band for each device, all streams together.

    The station has a combiner for each device, and the devices' errors add up. A device with singular
    values s_l has the least error ``noise (sum_l 1/s_l)^2 / P`` over its L strongest directions, with power
    on direction l in proportion to 1/s_l (Cauchy-Schwarz).

    Parameters
    ----------
    channels : [n_devices, n_receive, n_transmit]
    budgets_w : [n_devices]
        Largest transmit power of each device.
    noise_w
        Noise power in one device's band; each part of a split band has its share of the noise.
    n_streams
        L.
    """
    most = min(channels.shape[1:])
    if not 1 <= n_streams <= most:
        raise InputError(f"aircomp: {n_streams} streams; expected 1 to {most}, the antennas of either end")
    singular = np.linalg.svd(channels, compute_uv=False)[:, :n_streams]
    left, each = np.asarray(budgets_w, dtype=np.float64), np.full(len(channels), np.inf)
    with np.errstate(divide="ignore"):  # a direction with gain 0 needs infinite power
        needed = noise_w * np.sum(1.0 / singular, axis=1) ** 2
    np.divide(needed, left, out=each, where=left > 0)
    return float(each.sum())


def _checked(gains: Floats, budgets_w: Floats, noise_w: float) -> tuple[Floats, Floats]:
    power_gains = np.asarray(gains, dtype=np.float64)
    budgets = np.asarray(budgets_w, dtype=np.float64)
    if power_gains.ndim != 1 or power_gains.shape != budgets.shape or not len(power_gains):
        raise InputError(
            f"aircomp: gains of shape {power_gains.shape} and budgets of shape {budgets.shape}; expected one "
            "of each for every device"
        )
    if not ((power_gains >= 0).all() and (budgets >= 0).all() and noise_w > 0):
        raise InputError("aircomp: a gain or budget is negative, or noise is not above 0; correct it")
    return power_gains, budgets
