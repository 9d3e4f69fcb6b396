"""Service-time distributions: a random factor of mean 1 for the time of every pass.

All are sampled by inversion from one uniform number; small numbers map to the upper tail, because floats are
finest near zero: no draw is truncated below 36 times the mean of an exponential.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

from edgesim.errors import InputError

__all__ = ["ErlangService", "Exponential", "GammaService", "Hyperexponential", "Lognormal", "ServiceLaw"]


class ServiceLaw(Protocol):
    """Distribution of the time of a pass, relative to the time by the profile."""

    @property
    def scv(self) -> float:
        """Squared coefficient of variation: the variance over the squared mean."""
        ...

    def factor(self, uniform: float) -> float:
        """Inverse of the survival function of the factor (mean 1), for a probability in (0, 1)."""
        ...


@dataclass(frozen=True, slots=True)
class Exponential:
    """Exponential (memoryless) service, as in M/M/1."""

    @property
    def scv(self) -> float:
        """Squared coefficient of variation, 1."""
        return 1.0

    def factor(self, uniform: float) -> float:
        """Inverse of the survival function exp(-x)."""
        return -math.log(uniform)

    def __str__(self) -> str:
        return "exponential"


_LEAST_CV, _MOST_CV = 1e-3, 1e3
"""Bounds of the coefficient of variation. Below, use 'constant'; above, no run is long enough for its average
to reach the mean."""


def _checked(law: str, cv: float) -> float:
    if not _LEAST_CV <= cv <= _MOST_CV:
        raise InputError(
            f"{law} service: expected a cv from {_LEAST_CV:g} to {_MOST_CV:g}, got {cv:g}; use "
            "'constant' for no variation"
        )
    return cv


@dataclass(frozen=True, slots=True)
class GammaService:
    """Gamma law: variation above or below that of the exponential law, which has shape 1.

    Parameters
    ----------
    shape
        1 over the squared coefficient of variation.
    """

    shape: float

    def __post_init__(self) -> None:
        if not _MOST_CV**-2 <= self.shape <= _LEAST_CV**-2:
            raise InputError(
                f"gamma service: expected a shape from {_MOST_CV**-2:g} to {_LEAST_CV**-2:g}, got "
                f"{self.shape:g}"
            )

    @classmethod
    def from_cv(cls, cv: float) -> GammaService:
        """Return the gamma law with this coefficient of variation."""
        return cls(_checked("gamma", cv) ** -2.0)

    @property
    def scv(self) -> float:
        """Squared coefficient of variation: 1 over the shape."""
        return 1.0 / self.shape

    def factor(self, uniform: float) -> float:
        """Inverse of the regularised upper incomplete gamma function, over the shape."""
        from scipy.special import gammainccinv  # takes a quarter of a second to import; few runs need it

        return float(gammainccinv(self.shape, uniform)) / self.shape

    def __str__(self) -> str:
        return f"gamma, cv {math.sqrt(self.scv):g}"


class ErlangService(GammaService):
    """Erlang law: gamma law with an integer shape, the number of exponential stages."""

    __slots__ = ()

    def __str__(self) -> str:
        return f"erlang, {self.shape:g} stages"


@dataclass(frozen=True, slots=True)
class Lognormal:
    """Lognormal law.

    Parameters
    ----------
    cv
        Coefficient of variation.
    """

    cv: float

    def __post_init__(self) -> None:
        _checked("lognormal", self.cv)

    @property
    def scv(self) -> float:
        """The squared `cv`."""
        return self.cv**2

    def factor(self, uniform: float) -> float:
        """exp(s z - s^2 / 2), with z the normal quantile and s^2 = log(1 + cv^2)."""
        from scipy.special import ndtri  # takes a quarter of a second to import; few runs need it

        variance = math.log1p(self.cv**2)
        return math.exp(-math.sqrt(variance) * float(ndtri(uniform)) - variance / 2)

    def __str__(self) -> str:
        return f"lognormal, cv {self.cv:g}"


@dataclass(frozen=True, slots=True)
class Hyperexponential:
    """Hyperexponential law: mixture of a short and a long exponential law, with balanced means.

    Each phase contributes half of the mean (Whitt 1982, "Approximating a point process by a renewal process",
    section 3).

    Parameters
    ----------
    cv
        Coefficient of variation, above 1.
    """

    cv: float

    def __post_init__(self) -> None:
        if not 1 < self.cv <= _MOST_CV:
            raise InputError(
                f"hyperexponential service: expected a cv above 1, up to {_MOST_CV:g}, got {self.cv:g}; use "
                "'gamma' for smaller ones"
            )

    @property
    def scv(self) -> float:
        """The squared `cv`."""
        return self.cv**2

    def factor(self, uniform: float) -> float:
        """Choose the phase by the uniform number, and its time by the number's position within the phase."""
        short = (1 + math.sqrt((self.scv - 1) / (self.scv + 1))) / 2  # probability of the short phase
        if uniform < 1 - short:
            return -math.log(uniform / (1 - short)) / (2 * (1 - short))
        return -math.log((1 - uniform) / short) / (2 * short)

    def __str__(self) -> str:
        return f"hyperexponential, cv {self.cv:g}"
