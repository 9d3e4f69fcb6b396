"""Over-the-air sums with estimated channels and synchronisation errors: mean squared error in closed form.

Not modelled: carrier frequency offsets within a tensor (phases stay constant during one sum), pulses
other than rectangular ones, and errors of the station's own clock (only differences matter).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgesim.errors import InputError
from edgesim.radio.collective.aircomp import powers_w

__all__ = ["PERFECT", "ChannelEstimate", "Synchronisation", "estimated", "impaired_mse"]

Matrices = NDArray[np.complex128]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Synchronisation:
    """Synchronisation errors of the devices, independent between devices.

    A device's signal arrives at the station rotated by a phase of ``N(0, phase_std_rad^2)`` and shifted by
    a time uniform in ±timing symbols. With rectangular pulses the station's sample contains ``1 - |shift|``
    of the symbol and ``|shift|`` of its neighbour.

    Parameters
    ----------
    phase_std_rad
        Standard deviation of the phase.
    timing
        Largest shift, in symbol durations; at most 1.
    """

    phase_std_rad: float = 0.0
    timing: float = 0.0

    def __post_init__(self) -> None:
        if not (self.phase_std_rad >= 0.0 and math.isfinite(self.phase_std_rad)):
            raise InputError(
                f"synchronisation: found a phase deviation of {self.phase_std_rad:g} rad; expected 0 or more"
            )
        if not 0.0 <= self.timing <= 1.0:
            raise InputError(
                f"synchronisation: found shifts of up to {self.timing:g} symbols; expected 0 to 1: larger "
                "shifts mix more than the two symbols of this model"
            )

    @property
    def mean_gain(self) -> float:
        """Mean of a symbol's complex gain: ``(1 - timing/2) exp(-phase_std^2 / 2)``."""
        return (1.0 - 0.5 * self.timing) * math.exp(-0.5 * self.phase_std_rad**2)

    @property
    def mean_power(self) -> float:
        """Mean power of symbol and neighbour together, ``E[(1-|shift|)^2 + shift^2]``; at most 1."""
        return 1.0 - self.timing + 2.0 * self.timing**2 / 3.0


PERFECT = Synchronisation()
"""Perfect synchronisation, as assumed in analytical papers."""


@dataclass(frozen=True, slots=True, eq=False)
class ChannelEstimate:
    """Estimates of channels, and the mean and variance of the true i.i.d. entries given the estimates."""

    channels: Matrices
    """Estimates, used for the design: [n_devices, n_receive, n_transmit]."""
    mean: Matrices
    """Mean of the true channels given the estimates, of the same shape."""
    variance: Floats
    """Variance of a true entry given the estimates, [n_devices]."""


def estimated(
    channels: Matrices, errors: Matrices, error: float, mean: Matrices, variance: Floats
) -> ChannelEstimate:
    """Estimate channels with an error of a given size in their scattered part.

    ``h' = mean + sqrt(1 - eps^2) (h - mean) + eps e``: estimates have the distribution of the channels, as in
    :class:`edgesim.radio.channel.csi.ImperfectCsi`; the direct path's part is known exactly.

    Parameters
    ----------
    channels : [n_devices, n_receive, n_transmit]
        h: the true channels.
    errors
        e: of the same shape, complex normal with the variance of the entries.
    error
        eps, from 0 (perfect) to 1 (estimates independent of the channels).
    mean
        Means of the entries, in a shape that broadcasts.
    variance : [n_devices]
        Variance of an entry of each device.
    """
    if not 0.0 <= error <= 1.0:
        raise InputError(f"aircomp: an estimation error of {error:g}; expected 0 to 1")
    kept = math.sqrt(1.0 - error * error)
    estimates: Matrices = mean + kept * (channels - mean) + error * errors
    # Both are normal with equal variance and correlation `kept`.
    expected: Matrices = mean + kept * (estimates - mean)
    return ChannelEstimate(estimates, expected, error * error * np.asarray(variance, dtype=np.float64))


def impaired_mse(
    combiner: Matrices,
    precoders: Matrices,
    estimate: ChannelEstimate,
    noise_w: float,
    synchronisation: Synchronisation = PERFECT,
) -> float:
    """Return the mean squared error over true channels, phases and shifts, given the estimates.

    With ``M_n = A^H E[H_n] B_n``, v_n the variance of the unknown part, and gain c and power q of
    :class:`Synchronisation` ::

        sum_n q (||M_n||^2 + v_n tr(A^H A) tr(B_n B_n^H)) - 2 c Re tr(M_n) + L,   plus noise tr(A^H A)

    For a known channel, pass ``ChannelEstimate(channels, channels, zeros)``.
    """
    n_streams = combiner.shape[-1]
    met = combiner.conj().T @ estimate.mean @ precoders
    amplified = float(np.sum(np.abs(combiner) ** 2))
    unknown = amplified * powers_w(precoders) * estimate.variance
    received = np.sum(np.abs(met) ** 2, axis=(1, 2)) + unknown
    wanted = np.trace(met, axis1=1, axis2=2).real
    each = synchronisation.mean_power * received - 2.0 * synchronisation.mean_gain * wanted + n_streams
    return float(each.sum() + noise_w * amplified)
