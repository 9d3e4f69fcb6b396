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
        if not (self.shape > 0 and math.isfinite(self.shape)):
            raise InputError(f"gamma service: expected a shape above 0, got {self.shape:g}")

    @classmethod
    def from_cv(cls, cv: float) -> GammaService:
        """The gamma law of a coefficient of variation."""
        if not cv > 0:
            raise InputError(f"gamma service: expected a cv above 0, got {cv:g}; or 'constant'")
        return cls(cv**-2.0)

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
        if not (self.cv > 0 and math.isfinite(self.cv)):
            raise InputError(f"lognormal service: expected a cv above 0, got {self.cv:g}; or 'constant'")

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
        if not (self.cv > 1 and math.isfinite(self.cv)):
            raise InputError(
                f"hyperexponential service: expected a cv above 1, got {self.cv:g}; 'gamma' takes any"
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
