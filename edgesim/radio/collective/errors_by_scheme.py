"""Errors of analog sums in a band: over the air, with single antennas, or in separate parts of the band.

Each function maps band, terminals, instant and powers to the mean squared error of all streams together,
for entries of variance 1. With estimated channels or synchronisation errors, transceivers are designed for
the expected channel, and the error is that over the true channel
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
"""Maps a band, terminals, an instant and the terminals' powers [W] to the mean squared error."""

InversionName = Literal["channel-inversion", "truncated-inversion", "least-error"]
"""Single-antenna schemes, by the names that users choose."""


class Design(Protocol):
    """Result of a transceiver design."""

    @property
    def combiner(self) -> Matrices:
        """The station's combiner G of power 1, [n_receive, n_streams]; the next design may start from it."""
        ...

    @property
    def alpha(self) -> float:
        """Mean squared error over noise power: of all streams together, each of variance 1 per terminal."""
        ...


Designer = Callable[[Matrices, Floats, int, "Matrices | None"], Design]
"""Maps channels [n, n_receive, n_transmit], powers [W], streams and an initial combiner to a design."""


@dataclass(slots=True)
class Combined:
    """All terminals at once, with a designed combiner; each design starts from the previous combiner."""

    design: Designer
    _combiner: Matrices | None = field(default=None, init=False)

    def __call__(self, band: CollectiveBand, group: Sequence[str], at_s: float, powers_w: Floats) -> float:
        """Return ``noise alpha`` of the design, or its error with imperfect knowledge and synchronisation."""
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
    """All terminals at once with a single antenna at every end; each power compensates the channel's gain.

    Parameters
    ----------
    name
        ``channel-inversion``, ``truncated-inversion``, ``least-error``:
        :mod:`edgesim.radio.collective.aircomp_simple`.
    threshold
        Of ``truncated-inversion``: small-scale power gain (mean 1) below which a terminal does not send.
    """

    name: InversionName
    threshold: float = 0.1

    def __call__(self, band: CollectiveBand, group: Sequence[str], at_s: float, powers_w: Floats) -> float:
        """Return the error with the powers of the scheme; a silent terminal's entry is missing."""
        known = band.estimate(group, at_s)
        if known.mean.shape[1:] != (1, 1):
            raise InputError(
                f"transceiver {self.name}: {known.mean.shape[1]} antennas at {band.station} and "
                f"{known.mean.shape[2]} at a terminal; expected one at either end (antennas: {{station: 1, "
                "terminal: 1}), or choose first-order, subspace or sdr"
            )
        # Path gain is counted with the power, so that the threshold applies to the fading alone.
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
    """Return the error with each terminal in its own part of the band; the errors of all terminals add up."""
    noise_w = band.noise_w / len(group)  # each part of the band has its share of the noise
    known = band.estimate(group, at_s)
    if band.is_perfect:
        return uncoded_fdma_mse(known.mean, powers_w, noise_w, band.n_streams)
    return sum(
        _alone_mse(known, number, power_w, noise_w, band) for number, power_w in enumerate(powers_w.tolist())
    )


def _alone_mse(
    known: ChannelEstimate, number: int, power_w: float, noise_w: float, band: CollectiveBand
) -> float:
    """Return the error of one terminal on its strongest directions, powers as :func:`uncoded_fdma_mse`."""
    left, singular, right = np.linalg.svd(known.mean[number], full_matrices=False)
    n_streams = band.n_streams
    inverse = 1.0 / singular[:n_streams]
    amplitudes = np.sqrt(power_w * inverse / inverse.sum())
    precoders = (right[:n_streams].conj().T * amplitudes)[np.newaxis]
    combiner = left[:, :n_streams] * (inverse / amplitudes)
    only = slice(number, number + 1)
    own = ChannelEstimate(known.channels[only], known.mean[only], known.variance[only])
    return impaired_mse(combiner, precoders, own, noise_w, band.synchronisation)
