"""Distributions of the power gain of a fading channel."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edgesim.errors import InputError
from edgesim.units import db_to_linear

__all__ = ["FadingLaw", "Nakagami", "NoFading", "Rayleigh", "Rician"]

Floats = NDArray[np.float64]


class FadingLaw(Protocol):
    """Distribution of power gains with mean 1."""

    def gains(self, in_phase: Floats, quadrature: Floats, direct_rad: Floats | float) -> Floats:
        """Return the power gains for scattered amplitudes and the phase of a direct path.

        Parameters
        ----------
        in_phase, quadrature
            Parts of a complex Gaussian amplitude of unit power: each has variance 1/2.
        direct_rad
            Phase of the direct path, for laws that have one.
        """
        ...


@dataclass(frozen=True, slots=True)
class NoFading:
    """Constant gain of 1."""

    def gains(self, in_phase: Floats, quadrature: Floats, direct_rad: Floats | float) -> Floats:
        del quadrature, direct_rad
        return np.ones(np.shape(in_phase))


@dataclass(frozen=True, slots=True)
class Rayleigh:
    """Scattered paths only: the power gain is exponential."""

    def gains(self, in_phase: Floats, quadrature: Floats, direct_rad: Floats | float) -> Floats:
        del direct_rad
        return in_phase * in_phase + quadrature * quadrature


@dataclass(frozen=True, slots=True)
class Rician:
    """A direct path and scattered ones: h = sqrt(K / (K+1)) e^(j phase) + CN(0, 1 / (K+1)).

    Parameters
    ----------
    k_db
        Power of the direct path over that of all scattered paths together. TR 38.901 draws it once per
        link; for its mean and standard deviation see ``rician_k_db`` of a propagation model.
    """

    k_db: float

    def __post_init__(self) -> None:
        if not math.isfinite(self.k_db):
            raise InputError(
                f"fading rician: k is {self.k_db:g} dB; expected a finite ratio, for instance 9 dB: "
                "without a direct path the law is 'rayleigh', without scattered ones 'none'"
            )

    def gains(self, in_phase: Floats, quadrature: Floats, direct_rad: Floats | float) -> Floats:
        k = db_to_linear(self.k_db)
        direct, scattered = math.sqrt(k / (k + 1.0)), math.sqrt(1.0 / (k + 1.0))
        real = direct * np.cos(direct_rad) + scattered * in_phase
        imaginary = direct * np.sin(direct_rad) + scattered * quadrature
        return real * real + imaginary * imaginary


@dataclass(frozen=True, slots=True)
class Nakagami:
    """Nakagami's m-distribution: the power gain is Gamma(m, 1/m).

    Rayleigh gains of the same amplitudes are transformed by the monotone map between the two distributions,
    so the distribution is exact in both processes. With Jakes fading the autocorrelation is that of the
    transformed process, which differs a little from a Rayleigh channel's.

    Parameters
    ----------
    m
        Shape: 1 is Rayleigh, larger is milder, smaller is harsher; at least 0.5.
    """

    m: float

    def __post_init__(self) -> None:
        if not (self.m >= 0.5 and math.isfinite(self.m)):
            raise InputError(
                f"fading nakagami: m is {self.m:g}; expected a finite number of at least 0.5: "
                "below, the distribution does not exist"
            )

    def gains(self, in_phase: Floats, quadrature: Floats, direct_rad: Floats | float) -> Floats:
        from scipy.special import gammainccinv, gammaincinv  # a quarter of a second to import

        del direct_rad
        power = in_phase * in_phase + quadrature * quadrature
        # Invert each half of the distribution through its nearer tail, to avoid loss of precision.
        gains: Floats = np.where(
            power < math.log(2.0),
            gammaincinv(self.m, -np.expm1(-power)),
            gammainccinv(self.m, np.exp(-power)),
        )
        return gains / self.m
