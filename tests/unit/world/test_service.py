"""Laws of service: each against scipy's law of the same moments, quantile by quantile."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import integrate, optimize, stats

from edgesim.errors import InputError
from edgesim.world.service import ErlangService, Exponential, GammaService, Hyperexponential, Lognormal

UNIFORMS = (2.0**-53, 1e-9, 1e-3, 0.1, 0.5, 0.9, 1 - 1e-3, 1 - 1e-9, 1 - 2.0**-53)


def hyperexponential(cv: float) -> stats.rv_continuous:
    """Two phases of balanced means, found as a root of the variance and not by its closed form."""

    def excess(p: float) -> float:
        second = 2 * (p / (2 * p) ** 2 + (1 - p) / (2 * (1 - p)) ** 2)
        return second - 1 - cv**2

    p = optimize.brentq(excess, 0.5, 1 - 1e-9, xtol=1e-15)

    class Law(stats.rv_continuous):
        def _cdf(self, x):
            return 1 - p * np.exp(-2 * p * x) - (1 - p) * np.exp(-2 * (1 - p) * x)

    return Law(a=0.0)


LAWS = [
    (Exponential(), stats.expon(), 1.0),
    (GammaService.from_cv(0.5), stats.gamma(4.0, scale=0.25), 0.25),
    (GammaService.from_cv(2.0), stats.gamma(0.25, scale=4.0), 4.0),
    (ErlangService(3.0), stats.erlang(3, scale=1 / 3), 1 / 3),
    (Lognormal(0.7), stats.lognorm(math.sqrt(math.log(1.49)), scale=1 / math.sqrt(1.49)), 0.49),
]


@pytest.mark.parametrize(("law", "truth", "scv"), LAWS, ids=[str(law) for law, *_ in LAWS])
def test_a_law_inverts_its_survival_function(law, truth, scv) -> None:
    factors = [law.factor(u) for u in UNIFORMS]
    np.testing.assert_allclose(factors, truth.isf(UNIFORMS), rtol=1e-9)
    assert truth.mean() == pytest.approx(1.0, rel=1e-12)
    assert truth.var() == pytest.approx(scv, rel=1e-12)
    assert law.scv == pytest.approx(scv, rel=1e-12)


@pytest.mark.parametrize("cv", [1.5, 3.0])
def test_the_hyperexponential_law_has_balanced_means_and_its_variation(cv: float) -> None:
    law, truth = Hyperexponential(cv), hyperexponential(cv)
    # Each phase is inverted by itself, so the survival function holds for the law and not number by number.
    bins = np.linspace(0, 1, 200_001)
    factors = np.array([law.factor(u) for u in (bins[:-1] + bins[1:]) / 2])
    for x in (0.1, 0.5, 1.0, 3.0, 10.0):
        assert np.mean(factors > x) == pytest.approx(1 - truth.cdf(x), abs=2e-5)  # two edges of 5e-6 each
    split = 1 - (1 + math.sqrt((cv**2 - 1) / (cv**2 + 1))) / 2
    for power, moment in ((1, 1.0), (2, 1 + cv**2)):
        total = sum(
            integrate.quad(lambda u, n=power: law.factor(u) ** n, a, b, limit=200)[0]
            for a, b in ((0, split), (split, 1))
        )
        assert total == pytest.approx(moment, rel=1e-6)
    assert law.scv == pytest.approx(cv**2)


@pytest.mark.parametrize("make", [GammaService, GammaService.from_cv, Lognormal, Hyperexponential])
@pytest.mark.parametrize("value", [0.0, -1.0, math.inf, math.nan])
def test_parameters_that_make_no_law_are_refused(make, value: float) -> None:
    with pytest.raises(InputError, match="service: expected a"):
        make(value)


@pytest.mark.parametrize(
    ("make", "cv"),
    [
        (GammaService.from_cv, 1e-160),
        (GammaService.from_cv, 1e5),
        (Lognormal, 1e200),
        (Hyperexponential, 1e200),
    ],
)
def test_variations_beyond_all_measure_are_refused(make, cv: float) -> None:
    with pytest.raises(InputError, match="service: expected a cv"):
        make(cv)


def test_a_hyperexponential_law_of_little_variation_is_refused() -> None:
    with pytest.raises(
        InputError, match="expected a cv above 1, up to 1000, got 1; use 'gamma' for smaller ones"
    ):
        Hyperexponential(1.0)
