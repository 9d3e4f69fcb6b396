"""Laws of lateness, against SciPy's distributions."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from edgesim.errors import InputError
from edgesim.model.lateness.laws import (
    EmpiricalLateness,
    ExponentialLateness,
    GammaLateness,
    LognormalLateness,
)

MEAN_S = 3e-4


def lognormal(cv: float):
    sigma = math.sqrt(math.log(1 + cv**2))
    return stats.lognorm(sigma, scale=MEAN_S * math.exp(-(sigma**2) / 2))


PAIRS = [
    (ExponentialLateness(MEAN_S), stats.expon(scale=MEAN_S)),
    (GammaLateness(MEAN_S, 0.5), stats.gamma(4.0, scale=MEAN_S / 4)),
    (GammaLateness(MEAN_S, 2.0), stats.gamma(0.25, scale=MEAN_S * 4)),
    (LognormalLateness(MEAN_S, 0.3), lognormal(0.3)),
    (LognormalLateness(MEAN_S, 3.0), lognormal(3.0)),
]


@pytest.mark.parametrize(("law", "truth"), PAIRS, ids=[str(law) for law, _ in PAIRS])
def test_draws_survival_and_moments_are_those_of_the_distribution(law, truth) -> None:
    uniforms = np.array([[1e-12, 1e-3, 0.2], [0.5, 0.9, 1 - 1e-6]])
    np.testing.assert_allclose(law.draws_s(uniforms), truth.isf(uniforms), rtol=1e-9)
    times_s = MEAN_S * np.array([-1.0, 0.0, 0.1, 1.0, 7.0])
    np.testing.assert_allclose(law.survival(times_s), truth.sf(times_s), rtol=1e-9)
    assert law.mean_s == pytest.approx(truth.mean(), rel=1e-12)
    assert law.spread == pytest.approx(truth.std() / truth.mean(), rel=1e-12)


def test_a_median_makes_the_same_law_as_the_mean_that_belongs_to_it() -> None:
    for law, truth in PAIRS:
        made = (
            ExponentialLateness.from_median(truth.median())
            if isinstance(law, ExponentialLateness)
            else type(law).from_median(truth.median(), law.spread)
        )
        assert made.mean_s == pytest.approx(MEAN_S, rel=1e-9)


def test_measured_values_are_equally_likely() -> None:
    values = (0.3, 0.1, 0.1, 0.0)
    law = EmpiricalLateness(values)
    drawn = law.draws_s((np.arange(1000) + 0.5) / 1000)
    assert sorted(drawn) == sorted(np.repeat(values, 250))
    assert list(law.survival(np.array([-0.1, 0.0, 0.05, 0.1, 0.2, 0.3]))) == [1, 0.75, 0.75, 0.25, 0.25, 0]
    assert (law.mean_s, law.spread) == pytest.approx((np.mean(values), np.std(values) / np.mean(values)))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ExponentialLateness(0.0), "mean above 0 s"),
        (lambda: GammaLateness(1.0, 0.0), "from 0.001 to 1000"),
        (lambda: LognormalLateness(math.inf, 1.0), "mean above 0 s"),
        (lambda: GammaLateness.from_median(1.0, 900.0), "give its 'mean' instead"),
        (lambda: EmpiricalLateness(()), "at least one"),
        (lambda: EmpiricalLateness((-1.0,)), "0 s or more"),
    ],
)
def test_what_is_no_law_is_refused(make, message) -> None:
    with pytest.raises(InputError, match=message):
        make()
