"""Laws of service times that are drawn: a factor of mean 1 for the time of every pass.

All draw by inversion from one uniform number, its upper tail from small ones: there a float has the finest
steps, and no draw is cut off before 36 times the mean of an exponential.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

from edgesim.errors import InputError

__all__ = ["ErlangService", "Exponential", "GammaService", "Hyperexponential", "Lognormal", "ServiceLaw"]


class ServiceLaw(Protocol):
    """How the time of a pass on a device varies about what its profile says."""

    @property
    def scv(self) -> float:
        """Squared coefficient of variation: the variance over the squared mean."""
        ...

    def factor(self, uniform: float) -> float:
        """The factor of mean 1 above which another lies with this probability, in (0, 1)."""
        ...


@dataclass(frozen=True, slots=True)
class Exponential:
    """Without memory: the service of M/M/1."""

    @property
    def scv(self) -> float:
        """1."""
        return 1.0

    def factor(self, uniform: float) -> float:
        """Inverse of the survival function exp(-x)."""
        return -math.log(uniform)

    def __str__(self) -> str:
        return "exponential"


_LEAST_CV, _MOST_CV = 1e-3, 1e3
"""Less is no variation to speak of, 'constant'; of more no run is long enough to see the mean."""


def _checked(law: str, cv: float) -> float:
    if not _LEAST_CV <= cv <= _MOST_CV:
        raise InputError(
            f"{law} service: expected a cv from {_LEAST_CV:g} to {_MOST_CV:g}, got {cv:g}; without "
            "variation: 'constant'"
        )
    return cv


@dataclass(frozen=True, slots=True)
class GammaService:
    """A gamma law: any variation, more or less than the exponential's, which is shape 1.

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
        """The gamma law of a coefficient of variation."""
        return cls(_checked("gamma", cv) ** -2.0)

    @property
    def scv(self) -> float:
        """1 over the shape."""
        return 1.0 / self.shape

    def factor(self, uniform: float) -> float:
        """Inverse of the regularised upper incomplete gamma function, over the shape."""
        from scipy.special import gammainccinv  # a quarter of a second to import; few runs draw

        return float(gammainccinv(self.shape, uniform)) / self.shape

    def __str__(self) -> str:
        return f"gamma, cv {math.sqrt(self.scv):g}"


class ErlangService(GammaService):
    """A gamma law of a whole shape: the sum of so many exponential stages."""

    __slots__ = ()

    def __str__(self) -> str:
        return f"erlang, {self.shape:g} stages"


@dataclass(frozen=True, slots=True)
class Lognormal:
    """A lognormal law.

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
        """exp(s z - s^2 / 2) of the normal quantile z, with s^2 = log(1 + cv^2)."""
        from scipy.special import ndtri  # a quarter of a second to import; few runs draw

        variance = math.log1p(self.cv**2)
        return math.exp(-math.sqrt(variance) * float(ndtri(uniform)) - variance / 2)

    def __str__(self) -> str:
        return f"lognormal, cv {self.cv:g}"


@dataclass(frozen=True, slots=True)
class Hyperexponential:
    """One of two exponential laws: mostly short, at times long. Both bring in half of the mean.

    Of the two-phase laws of a given variation the one with balanced means (Whitt 1982, "Approximating a
    point process by a renewal process", section 3).

    Parameters
    ----------
    cv
        Coefficient of variation, more than the exponential's 1.
    """

    cv: float

    def __post_init__(self) -> None:
        if not 1 < self.cv <= _MOST_CV:
            raise InputError(
                f"hyperexponential service: expected a cv above 1, and up to {_MOST_CV:g}, got {self.cv:g}; "
                "'gamma' takes less"
            )

    @property
    def scv(self) -> float:
        """The squared `cv`."""
        return self.cv**2

    def factor(self, uniform: float) -> float:
        """The phase from where the number lies, the time from where it lies within."""
        short = (1 + math.sqrt((self.scv - 1) / (self.scv + 1))) / 2  # its probability
        if uniform < 1 - short:
            return -math.log(uniform / (1 - short)) / (2 * (1 - short))
        return -math.log((1 - uniform) / short) / (2 * short)

    def __str__(self) -> str:
        return f"hyperexponential, cv {self.cv:g}"
