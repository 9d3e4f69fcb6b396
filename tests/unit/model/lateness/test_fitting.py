"""Fits of lateness, on draws of known laws and against SciPy's own maximum likelihood."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from edgesim.errors import InputError
from edgesim.model.lateness.fitting import fit_lateness, lateness_of_repeats
from edgesim.model.lateness.laws import (
    EmpiricalLateness,
    ExponentialLateness,
    GammaLateness,
    LognormalLateness,
)

LAWS = {
    "exponential": ExponentialLateness(2e-4),
    "gamma": GammaLateness(2e-4, 0.4),
    "lognormal": LognormalLateness(2e-4, 1.5),
}


def drawn(law, n: int, seed: int = 0) -> np.ndarray:
    return law.draws_s(np.random.default_rng(seed).random(n))


@pytest.mark.parametrize("family", LAWS)
def test_family_and_parameters_come_back(family) -> None:
    """Parameters within four standard errors, which 200 other samples of the same size show."""
    truth, n = LAWS[family], 1500
    told = fit_lateness(drawn(truth, n))
    assert family in told.supported
    if family != "exponential":  # which is a gamma law, too: the simpler one wins, or ties
        assert told.family == family
    others = [fit_lateness(drawn(truth, n, seed)).laws[family] for seed in range(1, 41)]
    for name in ("mean_s", "spread"):
        error = np.std([getattr(law, name) for law in others])
        assert abs(getattr(told.laws[family], name) - getattr(truth, name)) <= 4 * error + 1e-12


def test_likelihoods_are_scipys_largest() -> None:
    values = drawn(LAWS["gamma"], 400)
    told = fit_lateness(values)
    shape, _, scale = stats.gamma.fit(values, floc=0)
    assert told.laws["gamma"].shape == pytest.approx(shape, rel=1e-4)
    sigma, _, median = stats.lognorm.fit(values, floc=0)
    assert told.laws["lognormal"].sigma == pytest.approx(sigma, rel=1e-4)
    likelihoods = {
        "exponential": stats.expon.logpdf(values, scale=values.mean()).sum(),
        "gamma": stats.gamma.logpdf(values, shape, scale=scale).sum(),
        "lognormal": stats.lognorm.logpdf(values, sigma, scale=median).sum(),
    }
    for family, likelihood in likelihoods.items():
        n_parameters = 1 if family == "exponential" else 2
        assert told.aic[family] == pytest.approx(2 * n_parameters - 2 * likelihood, rel=1e-6)


def test_repeats_of_no_family_stand_for_themselves() -> None:
    rng = np.random.default_rng(3)
    values = np.concatenate([rng.normal(1e-4, 1e-6, 300), rng.normal(1e-2, 1e-4, 300)])
    told = fit_lateness(values)
    assert told.family == "empirical"
    assert isinstance(told.law, EmpiricalLateness)
    assert sorted(told.law.values_s) == sorted(values)


def test_few_repeats_do_not_tell_families_apart() -> None:
    assert len(fit_lateness(drawn(ExponentialLateness(1.0), 12)).supported) > 1


def test_repeats_are_parted_into_what_a_call_takes_and_how_late_it_was() -> None:
    fastest_s, late_s = lateness_of_repeats([3.0, 1.0, 1.5, 1.0])
    assert fastest_s == 1.0
    assert sorted(late_s) == [0.5, 2.0]


@pytest.mark.parametrize(
    ("values", "message"),
    [([1.0] * 7, "at least 8"), ([1.0] * 9, "all measured times are equal"), ([0.0] + [1.0] * 9, "above 0")],
)
def test_what_says_nothing_is_refused(values, message) -> None:
    with pytest.raises(InputError, match=message):
        fit_lateness(values)
