"""Small-scale fading: the power gain of a narrowband link over time, with mean 1.

A law states the distribution of the gains, a process their correlation in time. A gain is a pure function of
(key, time), so every strategy sees the same channel, whatever it sends and in any order.

- :class:`BlockFading`: constant within a coherence time, independent from one to the next.
- :class:`JakesFading`: correlated by the Doppler spread of Clarke's ring of scatterers.

Not modelled: frequency selectivity (one gain for the whole band), a Doppler spread that follows a terminal's
changes of speed, links with two moving ends, and spectra other than Clarke's.
"""

from __future__ import annotations

import math
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from edgesim.errors import InputError
from edgesim.radio.channel.fading_law import FadingLaw, Nakagami, NoFading, Rayleigh, Rician
from edgesim.rng import keyed_normals, keyed_uniforms
from edgesim.units import SPEED_OF_LIGHT_M_PER_S

__all__ = [
    "BlockFading",
    "Fading",
    "FadingLaw",
    "JakesFading",
    "Nakagami",
    "NoFading",
    "Rayleigh",
    "Rician",
    "coherence_s",
    "doppler_hz",
]

Floats = NDArray[np.float64]

N_KEPT = 64  # gains evaluated and cached together: successive calls for a link are for neighbouring instants
N_WAVES = 32  # the distribution function of a sum of this many waves is within 0.4 % of Rayleigh's everywhere


def doppler_hz(speed_m_per_s: float, carrier_hz: float) -> float:
    """Return the largest Doppler shift of a moving terminal: speed times carrier over the speed of light."""
    return speed_m_per_s * carrier_hz / SPEED_OF_LIGHT_M_PER_S


def coherence_s(speed_m_per_s: float, carrier_hz: float) -> float:
    """Return the coherence time of a channel, 0.423 / Doppler shift; infinite at rest.

    The constant is sqrt(9 / 16 pi), the geometric mean of two usual definitions (Rappaport 2002,
    "Wireless Communications", section 5.4.3; not re-read in the book).
    """
    shift_hz = doppler_hz(speed_m_per_s, carrier_hz)
    return math.sqrt(9.0 / (16.0 * math.pi)) / shift_hz if shift_hz > 0 else math.inf


class Fading(Protocol):
    """Power gain of a link over time."""

    def gain(self, at_s: float) -> float:
        """Return the power gain at an instant, linear."""
        ...

    def until_s(self, at_s: float) -> float:
        """Return the instant, later than the given one, at which the gain next changes; infinite if never."""
        ...


class _SteppedGain:
    """A gain that is constant in steps of equal length; neighbouring steps are evaluated together."""

    __slots__ = ("_first", "_kept", "step_s")

    def __init__(self, step_s: float) -> None:
        if not step_s > 0:
            raise InputError(
                f"fading: the gain would change every {step_s:g} s; expected a time above 0: "
                "correct the coherence time, the speed or the carrier"
            )
        self.step_s = step_s
        self._first = 0
        self._kept: list[float] = []

    def gain(self, at_s: float) -> float:
        """Return the power gain at an instant, linear, as a plain float."""
        step_s = self.step_s
        step = int(at_s / step_s)
        # The quotient is rounded. A step begins exactly at its number times step_s, here as in until_s.
        if step * step_s > at_s:
            step -= 1
        elif (step + 1) * step_s <= at_s:
            step += 1
        place = step - self._first
        if 0 <= place < len(self._kept):
            return self._kept[place]
        # Chunks begin at multiples of their size, so that gains do not depend on the first instant requested.
        self._first = first = step - step % N_KEPT
        kept: list[float] = self._evaluated(np.arange(first, first + N_KEPT)).tolist()
        self._kept = kept
        return kept[step - first]

    def until_s(self, at_s: float) -> float:
        """Return the instant, later than the given one, at which the gain next changes; infinite if never."""
        step_s = self.step_s
        step = int(at_s / step_s)
        if step * step_s > at_s:
            return step * step_s
        until_s = (step + 1) * step_s
        return until_s if until_s > at_s else (step + 2) * step_s

    def _evaluated(self, steps: NDArray[np.int64]) -> Floats:
        raise NotImplementedError


class BlockFading(_SteppedGain):
    """Gains that are constant within a block and independent from block to block.

    Parameters
    ----------
    law
        Distribution of the gains.
    key
        Key of the link, from :func:`edgesim.rng.link_key`.
    coherence_s
        Length of a block; infinite for a constant gain.
    """

    __slots__ = ("key", "law")

    def __init__(self, law: FadingLaw, key: int, coherence_s: float) -> None:
        super().__init__(math.inf if isinstance(law, NoFading) else coherence_s)
        self.law = law
        self.key = key

    def gains(self, block_indices: NDArray[np.integer[Any]]) -> Floats:
        """Return the power gains of numbered blocks, in their shape; block i begins at i * coherence_s."""
        pairs = 2 * np.asarray(block_indices)[..., np.newaxis] + np.arange(2)
        parts = keyed_normals(self.key, pairs) * math.sqrt(0.5)
        return self.law.gains(parts[..., 0], parts[..., 1], 0.0)

    def _evaluated(self, steps: NDArray[np.int64]) -> Floats:
        return self.gains(steps)


class JakesFading(_SteppedGain):
    """Gains with Clarke's autocorrelation: that of the amplitude is J0(2 pi Doppler lag).

    A sum of plane waves whose angles are stratified over the circle and whose phases are uniform, with an
    additional direct path where the law has one: the statistical model of Xiao, Zheng and Beaulieu
    2006, IEEE Transactions on Wireless Communications 5(12), "Novel sum-of-sinusoids simulation models for
    Rayleigh and Rician fading channels". Its autocorrelation over links is exact for any number of waves.
    Its power has the variance 1 - 1/32 instead of 1, and a deep fade is 1.6 % less likely.

    :meth:`gains` is continuous in time. :meth:`gain` samples it and keeps each sample for a tenth of the
    coherence time by default; over that time the amplitude's correlation falls to 0.98.

    Parameters
    ----------
    law
        Distribution of the gains.
    key
        Key of the link, from :func:`edgesim.rng.link_key`.
    doppler_hz
        Largest Doppler shift; 0 for a constant gain.
    hold
        Duration of each sample, as a share of the coherence time (0.423 / Doppler shift).
    """

    __slots__ = ("_from_step", "_phase_rad", "_rate_rad_per_s", "doppler_hz", "key", "law")

    def __init__(self, law: FadingLaw, key: int, doppler_hz: float, *, hold: float = 0.1) -> None:
        moves = doppler_hz > 0 and not isinstance(law, NoFading)
        super().__init__(hold * math.sqrt(9.0 / (16.0 * math.pi)) / doppler_hz if moves else math.inf)
        self.law = law
        self.key = key
        self.doppler_hz = doppler_hz
        # The last wave is the direct path.
        uniforms = keyed_uniforms(key, np.arange(2 * (N_WAVES + 1)))
        angles_rad = 2.0 * math.pi * (np.arange(1, N_WAVES + 2) + uniforms[: N_WAVES + 1] - 0.5) / N_WAVES
        angles_rad[-1] = 2.0 * math.pi * (uniforms[N_WAVES] - 0.5)
        self._rate_rad_per_s = 2.0 * math.pi * doppler_hz * np.cos(angles_rad)
        self._phase_rad = 2.0 * math.pi * (uniforms[N_WAVES + 1 :] - 0.5)
        self._from_step: NDArray[np.complex128] | None = None

    def gains(self, times_s: Floats) -> Floats:
        """Return the power gains of the continuous process at given instants, in their shape."""
        amplitudes = self.scattered(times_s)
        direct_rad = self._rate_rad_per_s[-1] * np.asarray(times_s) + self._phase_rad[-1]
        return self.law.gains(amplitudes.real, amplitudes.imag, direct_rad)

    def scattered(self, times_s: Floats) -> NDArray[np.complex128]:
        """Return the complex amplitude of the scattered paths, of mean power 1, at given instants."""
        times = np.asarray(times_s, dtype=np.float64)[..., np.newaxis]
        phases_rad = self._rate_rad_per_s[:-1] * times + self._phase_rad[:-1]
        amplitudes: NDArray[np.complex128] = np.exp(1j * phases_rad).sum(axis=-1) * math.sqrt(1.0 / N_WAVES)
        return amplitudes

    def _evaluated(self, steps: NDArray[np.int64]) -> Floats:
        if math.isinf(self.step_s):
            return self.gains(np.zeros(len(steps)))
        start_s = float(steps[0]) * self.step_s
        offset_s = self.step_s * np.arange(N_KEPT)[:, np.newaxis]
        if self._from_step is None:
            # All chunks share these rotations: each needs cosines for its first instant only, then products.
            self._from_step = np.exp(1j * self._rate_rad_per_s[:-1] * offset_s)
        start_rad = self._rate_rad_per_s * start_s + self._phase_rad
        waves = (self._from_step * np.exp(1j * start_rad[:-1])).sum(axis=1) * math.sqrt(1.0 / N_WAVES)
        direct_rad = start_rad[-1] + self._rate_rad_per_s[-1] * offset_s[:, 0]
        return self.law.gains(waves.real, waves.imag, direct_rad)
