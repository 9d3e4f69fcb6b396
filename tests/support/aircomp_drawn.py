"""Errors of sums over the air by drawing what is random: what the formulas are checked against.

Symbols and noise are complex Gaussian. Nothing here knows the formulas of
:mod:`edgesim.radio.collective.aircomp`.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from edgesim.radio.collective.aircomp_impairments import ChannelEstimate, Synchronisation

__all__ = ["simulated_impaired_mse", "simulated_mse"]

Matrices = NDArray[np.complex128]


def simulated_mse(
    combiner: Matrices,
    precoders: Matrices,
    channels: Matrices,
    noise_w: float,
    n_draws: int,
    generator: np.random.Generator,
) -> tuple[float, float]:
    """Mean squared error by drawing symbols and noise: the mean, and its standard error."""
    n_devices, n_receive, _ = channels.shape
    n_streams = combiner.shape[-1]
    symbols = _complex_normals((n_devices, n_streams, n_draws), generator)
    received = math.sqrt(noise_w) * _complex_normals((n_receive, n_draws), generator)
    for channel, precoder, symbol in zip(channels, precoders, symbols, strict=True):
        received += channel @ (precoder @ symbol)
    errors = np.sum(np.abs(combiner.conj().T @ received - symbols.sum(axis=0)) ** 2, axis=0)
    return float(errors.mean()), float(errors.std(ddof=1) / math.sqrt(n_draws))


def simulated_impaired_mse(
    combiner: Matrices,
    precoders: Matrices,
    estimate: ChannelEstimate,
    noise_w: float,
    synchronisation: Synchronisation,
    n_draws: int,
    generator: np.random.Generator,
) -> tuple[float, float]:
    """The same by drawing channels, phases, shifts, symbols and noise: the mean, and its standard error."""
    n_devices, n_receive, n_transmit = estimate.mean.shape
    n_streams = combiner.shape[-1]

    received = math.sqrt(noise_w) * _complex_normals((n_draws, n_receive), generator)
    wanted = np.zeros((n_draws, n_streams), dtype=np.complex128)
    for device in range(n_devices):
        spread = math.sqrt(float(estimate.variance[device]))
        true = estimate.mean[device] + spread * _complex_normals((n_draws, n_receive, n_transmit), generator)
        symbols, neighbours = _complex_normals((2, n_draws, n_streams), generator)
        shift = np.abs(generator.uniform(-synchronisation.timing, synchronisation.timing, (n_draws, 1)))
        turn = np.exp(1j * generator.normal(0.0, synchronisation.phase_std_rad, (n_draws, 1)))
        sampled = turn * ((1.0 - shift) * symbols + shift * neighbours)
        received += np.einsum("drt,dt->dr", true, sampled @ precoders[device].T)
        wanted += symbols
    errors = np.sum(np.abs(received @ combiner.conj() - wanted) ** 2, axis=1)
    return float(errors.mean()), float(errors.std(ddof=1) / math.sqrt(n_draws))


def _complex_normals(shape: tuple[int, ...], generator: np.random.Generator) -> Matrices:
    parts = generator.standard_normal((*shape, 2)) * math.sqrt(0.5)
    drawn: Matrices = parts[..., 0] + 1j * parts[..., 1]
    return drawn
