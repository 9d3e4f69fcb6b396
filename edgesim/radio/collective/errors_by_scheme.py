"""How wrong a sum of analog values in a band is: over the air, with single antennas, or in parts of the band.

Each is a function of band, terminals, instant and powers, and gives the mean squared error of all streams
together, for entries of variance 1. Where channels are estimated or clocks differ, so are transceivers
designed for what is expected of the channel, and the error is that over the true one
(:mod:`edgesim.radio.collective.aircomp_impairments`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from edgesim.errors import InputError
from edgesim.radio.collective.aircomp import zero_forcing
from edgesim.radio.collective.aircomp_impairments import ChannelEstimate, impaired_mse
from edgesim.radio.collective.aircomp_simple import (
    Inversion,
    channel_inversion,
    least_error_inversion,
    truncated_inversion,
    uncoded_fdma_mse,
)
from edgesim.radio.collective.band import CollectiveBand

__all__ = ["Combined", "Design", "Designer", "InversionName", "Inverted", "Mse", "uncoded_mse"]

Matrices = NDArray[np.complex128]
Floats = NDArray[np.float64]

Mse = Callable[[CollectiveBand, Sequence[str], float, Floats], float]
"""From a band, terminals, an instant and the terminals' powers [W] to the mean squared error."""

InversionName = Literal["channel-inversion", "truncated-inversion", "least-error"]
"""Ways of single antennas, as users choose them."""


class Design(Protocol):
    """What a transceiver design decides."""

    @property
    def combiner(self) -> Matrices:
        """The station's combiner G of power 1, [n_receive, n_streams]: where the next design may start."""
        ...

    @property
    def alpha(self) -> float:
        """Mean squared error over noise power: of all streams together, each of variance 1 per terminal."""
        ...


Designer = Callable[[Matrices, Floats, int, "Matrices | None"], Design]
"""From channels [n, n_receive, n_transmit], powers [W], streams, and where to start, to a design."""


@dataclass(slots=True)
class Combined:
    """All terminals at once, behind a combiner that a design finds, starting from the one before."""

    design: Designer
    _combiner: Matrices | None = field(default=None, init=False)

    def __call__(self, band: CollectiveBand, group: Sequence[str], at_s: float, powers_w: Floats) -> float:
        """Give ``noise alpha`` of the design, or what imperfect knowledge and clocks make of it."""
        known = band.estimate(group, at_s)
        found = self.design(known.mean, powers_w, band.n_streams, self._combiner)
        if not math.isfinite(found.alpha):
            return math.inf
        self._combiner = found.combiner
        if band.is_perfect:
            return band.noise_w * found.alpha
        combiner = math.sqrt(found.alpha) * found.combiner
        precoders = zero_forcing(combiner, known.mean)
        return impaired_mse(combiner, precoders, known, band.noise_w, band.synchronisation)


@dataclass(frozen=True, slots=True)
class Inverted:
    """All terminals at once, a single antenna at every end, each with a power that undoes its channel.

    Parameters
    ----------
    name
        ``channel-inversion``, ``truncated-inversion``, ``least-error``:
        :mod:`edgesim.radio.collective.aircomp_simple`.
    threshold
        Of ``truncated-inversion``: small-scale power gain (1 in the mean) below which a terminal is silent.
    """

    name: InversionName
    threshold: float = 0.1

    def __call__(self, band: CollectiveBand, group: Sequence[str], at_s: float, powers_w: Floats) -> float:
        """Give the error of the powers that the way chooses; a silent terminal's entry is missing whole."""
        known = band.estimate(group, at_s)
        if known.mean.shape[1:] != (1, 1):
            raise InputError(
                f"transceiver {self.name}: {known.mean.shape[1]} antennas at {band.station} and "
                f"{known.mean.shape[2]} at a terminal; expected one at either end (antennas: {{station: 1, "
                "terminal: 1}), or choose first-order, subspace or sdr"
            )
        # Path loss is part of what a terminal's power is worth, so that the threshold is one of fading.
        path_gains = np.array([band.members[name].gain(at_s) for name in group])
        channels = known.mean[:, 0, 0]
        fading = np.abs(channels) ** 2 / path_gains
        found = self._inverted(fading, powers_w * path_gains, band.noise_w)
        if band.is_perfect or found.gain == 0.0:
            return found.mse
        phases = np.exp(-1j * np.angle(channels))
        precoders = (np.sqrt(found.powers_w / path_gains) * phases)[:, np.newaxis, np.newaxis]
        combiner = np.array([[1.0 / math.sqrt(found.gain)]], dtype=np.complex128)
        return impaired_mse(combiner, precoders, known, band.noise_w, band.synchronisation)

    def _inverted(self, gains: Floats, budgets_w: Floats, noise_w: float) -> Inversion:
        if self.name == "channel-inversion":
            return channel_inversion(gains, budgets_w, noise_w)
        if self.name == "truncated-inversion":
            return truncated_inversion(gains, budgets_w, noise_w, self.threshold)
        return least_error_inversion(gains, budgets_w, noise_w)


def uncoded_mse(band: CollectiveBand, group: Sequence[str], at_s: float, powers_w: Floats) -> float:
    """Each terminal in its own part of the band: the errors of all add up."""
    noise_w = band.noise_w / len(group)  # a part of the band has a part of the noise
    known = band.estimate(group, at_s)
    if band.is_perfect:
        return uncoded_fdma_mse(known.mean, powers_w, noise_w, band.n_streams)
    return sum(
        _alone_mse(known, number, power_w, noise_w, band) for number, power_w in enumerate(powers_w.tolist())
    )


def _alone_mse(
    known: ChannelEstimate, number: int, power_w: float, noise_w: float, band: CollectiveBand
) -> float:
    """One terminal along its strongest directions, with the powers of :func:`uncoded_fdma_mse`."""
    left, singular, right = np.linalg.svd(known.mean[number], full_matrices=False)
    n_streams = band.n_streams
    inverse = 1.0 / singular[:n_streams]
    amplitudes = np.sqrt(power_w * inverse / inverse.sum())
    precoders = (right[:n_streams].conj().T * amplitudes)[np.newaxis]
    combiner = left[:, :n_streams] * (inverse / amplitudes)
    only = slice(number, number + 1)
    own = ChannelEstimate(known.channels[only], known.mean[only], known.variance[only])
    return impaired_mse(combiner, precoders, own, noise_w, band.synchronisation)
