"""Over-the-air computation: all devices of a group send simultaneously and the channel adds their signals.

The model is that of Zhang et al. 2025 (arXiv 2502.12559 and 2503.14882) for tensor parallelism. Device n
sends the L entries of ``s_n`` through its precoder ``B_n``; the station estimates their sum as

::

    estimate = A^H sum_n H_n B_n s_n + A^H z,    z ~ CN(0, noise I)

Entries are independent with mean 0 and variance 1; an entry's scale is restored after the sum. Precoders that
force the misalignment to zero leave ``MSE = noise tr(A^H A)``. With ``A = sqrt(alpha) G``,
``tr(G G^H) = 1``, the power alone determines alpha (:func:`alpha_star`). The search for G is in
:mod:`edgesim.planning.transceiver`.

Arrays are stacked over devices: channels [n_devices, n_receive, n_transmit], precoders
[n_devices, n_transmit, n_streams].

Not modelled: correlated entries (those of one tensor are, to a degree), real and imaginary parts as two
entries (a complex symbol carries one real entry here, as in the paper), peak-power limits, and noise of the
broadcast. For estimated channels and clock errors see :mod:`edgesim.radio.collective.aircomp_impairments`;
for single antennas and separate bands :mod:`edgesim.radio.collective.aircomp_simple`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgesim.errors import InputError
from edgesim.radio.channel.mimo import RicianMatrices

__all__ = [
    "AirComp",
    "Alpha",
    "alpha_star",
    "channel_uses",
    "mse",
    "normalised_mse",
    "power_left",
    "powers_w",
    "zero_forcing",
]

Matrices = NDArray[np.complex128]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class AirComp:
    """Parameters of a group's over-the-air sums, with channels that are pure functions of (keys, block).

    Entries are i.i.d. Rician and constant within a coherence block
    (:class:`~edgesim.radio.channel.mimo.RicianMatrices`). With the defaults the direct path has half of an
    entry's mean power of 1; a gain of 2 gives entries of mean 1 and variance 1. The gain only scales alpha.

    Parameters
    ----------
    n_receive
        N_r: antennas of the station.
    n_transmit
        N_t: antennas of each device.
    n_streams
        L: entries sent per channel use; at most the number of antennas at either end.
    noise_w
        Noise power at each antenna of the station, over the whole band.
    k_db
        Power of the direct path over that of the scattered paths; minus infinity for Rayleigh.
    gain
        Mean power gain of an entry, linear.
    """

    n_receive: int = 20
    n_transmit: int = 4
    n_streams: int = 4
    noise_w: float = 1.0
    k_db: float = 0.0
    gain: float = 1.0

    def __post_init__(self) -> None:
        most = min(self.n_receive, self.n_transmit)
        if not 1 <= self.n_streams <= most:
            raise InputError(
                f"aircomp: {self.n_streams} streams over {self.n_transmit} antennas at a device and "
                f"{self.n_receive} at the station; expected 1 to {most}: choose fewer streams or "
                "more antennas"
            )
        if not (self.noise_w > 0 and self.gain > 0):
            raise InputError(
                f"aircomp: noise is {self.noise_w:g} W and gain {self.gain:g}; expected both above 0"
            )

    def channels(self, keys: Sequence[int], block: int) -> Matrices:
        """Return the devices' channels in a coherence block: [n, n_receive, n_transmit].

        ``keys`` are the devices' keys, from :func:`edgesim.rng.link_key`.
        """
        at = np.asarray(block)
        drawn = [
            RicianMatrices(
                key=key, n_receive=self.n_receive, n_transmit=self.n_transmit, k_db=self.k_db
            ).matrices(at)
            for key in keys
        ]
        scaled: Matrices = math.sqrt(self.gain) * np.stack(drawn)
        return scaled


class Alpha(NamedTuple):
    """Noise amplification of a combiner direction G, and the device that limits it."""

    alpha: float
    """Least alpha that keeps every device within its budget: mean squared error over noise power."""
    device: int
    """The limiting device: it uses its whole budget, the others less."""
    each: Floats
    """The alpha that each device alone would need, [n_devices]."""


def channel_uses(n_entries: int, n_streams: int) -> int:
    """Return the channel uses of a tensor of ``n_entries`` entries: L_0 / L, rounded up."""
    if n_streams < 1 or n_entries < 0:
        raise InputError(
            f"aircomp: {n_entries} entries over {n_streams} streams; expected at least 0 entries and 1 stream"
        )
    return -(-n_entries // n_streams)


def power_left(budgets: Floats, energies: Floats, shares: Floats, n_parameters: float) -> Floats:
    """Return each device's budget for sending after computation: ``P_max - e_n m_n s_tot``.

    The paper's budget is ``e_n m_n s_tot + (L_0/L) tr(B_n B_n^H) <= P_n^max``; computing and sending use the
    same unit (joules per layer, or joules per second).

    Parameters
    ----------
    budgets : [n_devices]
        P_n^max.
    energies : [n_devices]
        e_n: computing cost per parameter.
    shares : [n_devices]
        m_n: share of a layer on the device.
    n_parameters
        s_tot: parameters of a layer.

    Returns
    -------
    [n_devices]
        Zero or less if computing uses up the budget; :func:`alpha_star` is infinite then.
    """
    left: Floats = np.asarray(budgets, np.float64) - np.asarray(energies) * np.asarray(shares) * n_parameters
    return left


def zero_forcing(combiner: Matrices, channels: Matrices) -> Matrices:
    """Return the precoders without misalignment: ``B_n = (A^H H_n)^H (A^H H_n H_n^H A)^-1``.

    Of all precoders with ``A^H H_n B_n = I`` these need the least power.

    Parameters
    ----------
    combiner : [n_receive, n_streams]
        A.
    channels : [n_devices, n_receive, n_transmit]
        H_n, as known when the precoders are designed.

    Returns
    -------
    [n_devices, n_transmit, n_streams]

    Raises
    ------
    InputError
        If a device's channel after the combiner has fewer independent directions than streams.
    """
    seen = combiner.conj().T @ channels
    adjoint: Matrices = seen.conj().swapaxes(-1, -2)
    n_streams = combiner.shape[-1]
    if channels.shape[-1] < n_streams:
        raise InputError(
            f"aircomp: {n_streams} streams from {channels.shape[-1]} antennas cannot be separated; "
            "expected at least one antenna per stream: choose fewer streams"
        )
    try:
        if channels.shape[-1] == n_streams:
            return np.asarray(np.linalg.inv(seen), dtype=np.complex128)
        return np.asarray(adjoint @ np.linalg.inv(seen @ adjoint), dtype=np.complex128)
    except np.linalg.LinAlgError:
        raise InputError(
            "aircomp: a channel after the combiner is singular; expected as many independent "
            "directions as streams: choose fewer streams, or start from another combiner"
        ) from None


def powers_w(precoders: Matrices) -> Floats:
    """Return the transmit power of each device in one channel use, ``tr(B_n B_n^H)``: [n_devices]."""
    powers: Floats = np.sum(np.abs(precoders) ** 2, axis=(-2, -1))
    return powers


def mse(combiner: Matrices, precoders: Matrices, channels: Matrices, noise_w: float) -> float:
    """Return the mean squared error of the sum, over all streams together.

    ``sum_n tr[(A^H H_n B_n - I)(A^H H_n B_n - I)^H] + noise tr(A^H A)``: misalignment, then noise. The
    precoders may be designed for other channels than these.
    """
    excess = combiner.conj().T @ channels @ precoders - np.eye(combiner.shape[-1])
    return float(np.sum(np.abs(excess) ** 2) + noise_w * np.sum(np.abs(combiner) ** 2))


def normalised_mse(error: float, n_devices: int, n_streams: int) -> float:
    """Return the mean squared error over the sum's variance: n_devices for each of n_streams entries."""
    return error / (n_devices * n_streams)


def alpha_star(
    combiner: Matrices, channels: Matrices, budgets: Floats, n_entries: int | None = None
) -> Alpha:
    """Return the least noise amplification with zero forcing in a direction G, and the limiting device.

    ``alpha = max_n (L_0/L) tr[(G^H H_n H_n^H G)^-1] / left_n`` for ``tr(G G^H) = 1``. A combiner of
    another power is scaled accordingly, so that ``MSE = noise alpha`` with ``A = sqrt(alpha) G``.

    Parameters
    ----------
    combiner : [n_receive, n_streams]
        G, of any power.
    channels : [n_devices, n_receive, n_transmit]
        H_n.
    budgets : [n_devices]
        Budget of each device for sending: :func:`power_left`, or its radio's power.
    n_entries
        L_0, for budgets of a whole tensor. None for budgets of one channel use, such as a radio's power.

    Returns
    -------
    Alpha
        With infinity if a device has no budget left or cannot be received.
    """
    n_streams = combiner.shape[-1]
    uses = 1 if n_entries is None else channel_uses(n_entries, n_streams)
    power = float(np.sum(np.abs(combiner) ** 2))
    try:
        needed = powers_w(zero_forcing(combiner, channels))
    except InputError:
        if channels.shape[-1] < n_streams:
            raise
        # Some devices cannot be received: singular values identify them.
        seen = np.linalg.svd(combiner.conj().T @ channels, compute_uv=False)
        reachable = seen[:, -1] > 1e-12 * max(float(seen.max()), 1e-300)
        needed = np.full(len(channels), np.inf)
        needed[reachable] = np.sum(seen[reachable] ** -2.0, axis=1)
    needed = needed * (uses * power) if power > 0 else needed
    left = np.asarray(budgets, dtype=np.float64)
    each: Floats = np.full(len(channels), np.inf)
    np.divide(needed, left, out=each, where=left > 0)
    device = int(np.argmax(each))
    return Alpha(float(each[device]), device, each)
