"""Shadowing and line of sight as random fields over the plane: constant in time at every place.

A field is a sum of plane waves with random wave vectors and phases, so its value is a pure function of
(key, place). A terminal that returns to a place finds the same shadowing, and no grid or history is
stored. The method is that of Cai and Giannakis 2003, IEEE Transactions on Vehicular
Technology 52(4), "A two-dimensional channel simulation model for shadowing processes". Wave numbers
are drawn by inverting the spectrum of the exponential autocorrelation exp(-distance / d) (Gudmundson
1991; TR 38.901, section 7.4.4), which has a closed form::

    P(wave number <= k) = 1 - 1 / sqrt(1 + (k d)^2)

Not modelled: correlation between shadowing and other large-scale parameters, or between two stations
(TR 38.901 has none between sites).
"""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from edgesim.errors import InputError
from edgesim.rng import keyed_uniforms
from edgesim.units import FloatLike

__all__ = ["GaussianField", "LosField", "ShadowField"]

N_WAVES = 64  # a sum of this many waves is Gaussian except for an excess kurtosis of -1.5 / 64
_SHORTEST = 1e-6  # share of the power, in the shortest waves, that is assigned to the shortest wave allowed


class GaussianField:
    """A stationary, isotropic Gaussian field of mean 0 and variance 1, correlated in the places of both ends.

    The correlation between two pairs of places is the product over the two ends of exp(-moved / d): the joint
    process of Wang, Tameh and Nix 2008, IEEE Transactions on Vehicular Technology 57(1), for links between
    moving ends. With the other end at rest it is that of a single moving terminal.

    Parameters
    ----------
    key
        Key of the field. With one field per station, neighbouring terminals have the same shadowing; for one
        per link, independent of the order of its ends, see :func:`edgesim.rng.link_key`.
    correlation_m
        Distance over which the field decorrelates to 1/e; infinite for a constant field.
    """

    __slots__ = ("_here", "_phase_rad", "_there", "correlation_m", "key")

    def __init__(self, key: int, correlation_m: float) -> None:
        if not correlation_m > 0:
            raise InputError(
                f"shadowing: correlation distance is {correlation_m:g} m; expected more than 0: correct it"
            )
        self.key = key
        self.correlation_m = correlation_m
        uniforms = keyed_uniforms(key, np.arange(5 * N_WAVES)).reshape(5, N_WAVES)
        self._phase_rad = 2.0 * math.pi * uniforms[0]
        # The near end's wave vectors are stratified, so that a single field already has the autocorrelation
        # of the average over fields: lengths by quantile, directions by golden angles from a random start.
        order = np.arange(N_WAVES)
        turns = uniforms[2, 0] + order * (math.sqrt(5.0) - 1.0) / 2.0
        self._here = _wave_vectors((order + uniforms[1]) / N_WAVES, turns) / correlation_m
        self._there = _wave_vectors(uniforms[3], uniforms[4]) / correlation_m

    def value(
        self, x_m: FloatLike, y_m: FloatLike, other_x_m: float = 0.0, other_y_m: float = 0.0
    ) -> FloatLike:
        """Return the value at a place, with the other end at another place; arrays of places give arrays."""
        phase_rad = self._phase_rad
        if other_x_m or other_y_m:
            phase_rad = phase_rad + self._there[0] * other_x_m + self._there[1] * other_y_m
        scale = math.sqrt(2.0 / N_WAVES)
        if isinstance(x_m, np.ndarray):
            along, across = np.asarray(x_m)[..., np.newaxis], np.asarray(y_m)[..., np.newaxis]
            waves = np.cos(along * self._here[0] + across * self._here[1] + phase_rad)
            values: NDArray[np.float64] = waves.sum(axis=-1) * scale
            return values
        return scale * float(np.cos(x_m * self._here[0] + y_m * self._here[1] + phase_rad).sum())


class ShadowField:
    """Shadowing in dB by place: Gaussian with mean 0, exponentially correlated.

    Parameters
    ----------
    key
        Key of the field: see :class:`GaussianField`. Use different keys for a link's states (line of sight,
        no line of sight, indoors), which are uncorrelated in TR 38.901.
    sigma_db
        Standard deviation.
    correlation_m
        Distance over which shadowing decorrelates to 1/e.
    """

    __slots__ = ("_field", "sigma_db")

    def __init__(self, key: int, sigma_db: float, correlation_m: float) -> None:
        if not (sigma_db >= 0 and math.isfinite(sigma_db)):
            raise InputError(
                f"shadowing: sigma is {sigma_db:g} dB; expected a finite number of at least 0: correct it"
            )
        self.sigma_db = sigma_db
        self._field = GaussianField(key, correlation_m)

    def at(self, x_m: FloatLike, y_m: FloatLike, other_x_m: float = 0.0, other_y_m: float = 0.0) -> FloatLike:
        """Return the shadowing in dB, added to the loss, with one end at (x, y) and the other elsewhere."""
        if self.sigma_db == 0.0:
            return x_m * 0.0
        return self.sigma_db * self._field.value(x_m, y_m, other_x_m, other_y_m)


class LosField:
    """Line-of-sight state by place, in patches of the size of streets and blocks.

    A Gaussian field is compared with the quantile of the probability of line of sight: TR 38.901, section
    7.6.3.3 (not re-read in the printed report). The share of places at one distance that are in line of sight
    is therefore the model's probability, and a moving terminal changes state from time to time, not at random
    at each message.

    Parameters
    ----------
    key
        Key of the field: see :class:`GaussianField`.
    correlation_m
        ``los_correlation_m`` of the propagation model.
    """

    __slots__ = ("_field",)

    def __init__(self, key: int, correlation_m: float) -> None:
        self._field = GaussianField(key, correlation_m)

    def is_los(
        self,
        x_m: float,
        y_m: float,
        probability: float,
        other_x_m: float = 0.0,
        other_y_m: float = 0.0,
    ) -> bool:
        """Return whether a place is in line of sight, given the probability there."""
        if probability >= 1.0:
            return True
        if probability <= 0.0:
            return False
        return self._field.value(x_m, y_m, other_x_m, other_y_m) < _NORMAL.inv_cdf(probability)

    def are_los(
        self, x_m: NDArray[np.float64], y_m: NDArray[np.float64], probability: NDArray[np.float64]
    ) -> NDArray[np.bool_]:
        """Return :meth:`is_los` for several places, with the other end at rest."""
        inside = np.clip(probability, 1e-300, 1.0 - 1e-16)
        quantiles = np.array([_NORMAL.inv_cdf(p) for p in inside.tolist()])
        seen: NDArray[np.bool_] = self._field.value(x_m, y_m) < quantiles
        return np.where(probability >= 1.0, True, np.where(probability <= 0.0, False, seen))


_NORMAL = NormalDist()


def _wave_vectors(quantiles: NDArray[np.float64], turns: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return wave vectors (rows x and y) for a correlation distance of 1, from length quantiles and turns."""
    passing = 1.0 - np.minimum(quantiles, 1.0 - _SHORTEST)
    lengths = np.sqrt(1.0 / (passing * passing) - 1.0)
    angles_rad = 2.0 * math.pi * turns
    return np.stack([lengths * np.cos(angles_rad), lengths * np.sin(angles_rad)])
