"""Selection and fitting of a lateness law to measured repeats.

Each family is fitted by maximum likelihood and scored by Akaike's criterion (Akaike 1974,
doi:10.1109/TAC.1974.1100705), twice the number of parameters less twice the log-likelihood; the least wins.
The repeats do not distinguish families within 2 of the best (Burnham and Anderson 2002, "Model selection and
multimodel inference", section 2.6): all of these are in `supported`, and if they disagree about a larger
group, the data do not decide.
The measured values themselves (``empirical``) are used if no family fits: if the Kolmogorov-Smirnov distance
to the best one is larger than `n` repeats of it would show once in a thousand.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgesim.errors import InputError
from edgesim.model.lateness.laws import (
    EmpiricalLateness,
    ExponentialLateness,
    GammaLateness,
    Lateness,
    LognormalLateness,
)

__all__ = ["FittedLateness", "fit_lateness", "lateness_of_repeats"]

Floats = NDArray[np.float64]

_LEAST_REPEATS = 8
_SAME_SUPPORT = 2.0
_NO_FAMILY = 1e-3


@dataclass(frozen=True)
class FittedLateness:
    """Lateness law fitted to measured repeats.

    Attributes
    ----------
    law
        Law of the best family, or the empirical law of the repeats if no family fits.
    laws
        Every family with its most likely parameters.
    aic
        Akaike's criterion, by family.
    largest_gap
        Kolmogorov-Smirnov distance: largest gap between the best family's distribution and that of the
        repeats.
    p_value
        Probability of a larger gap if the repeats come from that law. As the parameters are fitted to the
        same repeats, it is biased upwards: a small value is conclusive, a large one is not.
    """

    law: Lateness
    laws: dict[str, Lateness]
    aic: dict[str, float]
    largest_gap: float
    p_value: float

    @property
    def family(self) -> str:
        """Family of `law`: exponential, gamma, lognormal or empirical."""
        return next((name for name, law in self.laws.items() if law is self.law), "empirical")

    @property
    def supported(self) -> tuple[str, ...]:
        """Families that the repeats do not distinguish from the best one, best first."""
        ranked = sorted(self.aic, key=self.aic.__getitem__)
        return tuple(name for name in ranked if self.aic[name] - self.aic[ranked[0]] <= _SAME_SUPPORT)


def fit_lateness(values_s: Sequence[float] | Floats) -> FittedLateness:
    """Fit a lateness law to measured times.

    Parameters
    ----------
    values_s
        Independent measured times [s], above 0; at least 8, the number needed to estimate a spread.

    Raises
    ------
    InputError
        If there are fewer than 8, one is not above 0, or all are equal.
    """
    values = np.asarray(values_s, dtype=np.float64)
    if values.size < _LEAST_REPEATS or not np.all((values > 0) & np.isfinite(values)):
        raise InputError(
            f"lateness: {values.size} measured times; expected at least {_LEAST_REPEATS}, all above 0 s"
        )
    if values.max() <= values.min() * (1 + 1e-12):
        raise InputError("lateness: all measured times are equal; expected repeats that vary")
    fits = {
        "exponential": _exponential(values),
        "gamma": _gamma(values),
        "lognormal": _lognormal(values),
    }
    aic = {
        name: 2.0 * n_parameters - 2.0 * likelihood for name, (_, likelihood, n_parameters) in fits.items()
    }
    laws = {name: law for name, (law, _, _) in fits.items()}
    best = laws[min(aic, key=aic.__getitem__)]
    distance, p_value = _distance(values, best)
    law = best if p_value > _NO_FAMILY else EmpiricalLateness(tuple(values.tolist()))
    return FittedLateness(law, laws, aic, distance, p_value)


def lateness_of_repeats(repeats_s: Sequence[float] | Floats) -> tuple[float, Floats]:
    """Split repeats of one call into the time of the call and the lateness of each repeat [s].

    Interference only adds time; therefore the fastest repeat is taken as the time of the call. The fastest
    repeat, and any equal to it, are not among the latenesses.
    """
    repeats = np.asarray(repeats_s, dtype=np.float64)
    fastest_s = float(repeats.min())
    return fastest_s, repeats[repeats > fastest_s] - fastest_s


def _exponential(values: Floats) -> tuple[Lateness, float, int]:
    mean_s = float(values.mean())
    return ExponentialLateness(mean_s), -values.size * (math.log(mean_s) + 1.0), 1


def _gamma(values: Floats) -> tuple[Lateness, float, int]:
    """Fit the shape by Newton's method, from Minka's start (2002, "Estimating a gamma distribution")."""
    from scipy.special import digamma, gammaln, polygamma

    mean_s, log_mean = float(values.mean()), float(np.log(values).mean())
    gap = math.log(mean_s) - log_mean
    shape = (3.0 - gap + math.sqrt((gap - 3.0) ** 2 + 24.0 * gap)) / (12.0 * gap)
    for _ in range(50):
        step = (math.log(shape) - float(digamma(shape)) - gap) / (1.0 / shape - float(polygamma(1, shape)))
        following = shape - step if shape > step else shape / 2.0
        is_there = abs(following - shape) <= 1e-12 * shape
        shape = following
        if is_there:
            break
    scale_s = mean_s / shape
    likelihood = values.size * (
        (shape - 1.0) * log_mean - shape - shape * math.log(scale_s) - float(gammaln(shape))
    )
    return GammaLateness(mean_s, shape**-0.5), likelihood, 2


def _lognormal(values: Floats) -> tuple[Lateness, float, int]:
    logs = np.log(values)
    centre, variance = float(logs.mean()), float(logs.var())
    likelihood = -values.size * (centre + 0.5 * math.log(2.0 * math.pi * variance) + 0.5)
    return (
        LognormalLateness(math.exp(centre + variance / 2.0), math.sqrt(math.expm1(variance))),
        likelihood,
        2,
    )


def _distance(values: Floats, law: Lateness) -> tuple[float, float]:
    from scipy.stats import kstwo

    below = 1.0 - law.survival(np.sort(values))
    steps = np.arange(values.size + 1) / values.size
    distance = float(max((steps[1:] - below).max(), (below - steps[:-1]).max()))
    return distance, float(kstwo.sf(distance, values.size))
