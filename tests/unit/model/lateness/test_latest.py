"""The latest of several, against closed forms and brute force."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from edgesim.errors import InputError
from edgesim.model.lateness.latest import expected_latest_s, growth
from edgesim.model.lateness.laws import (
    EmpiricalLateness,
    ExponentialLateness,
    GammaLateness,
    LognormalLateness,
)


def harmonic(n: int) -> float:
    return sum(1 / k for k in range(1, n + 1))


@pytest.mark.parametrize("n", [1, 2, 4, 8])
def test_the_latest_of_exponentials_is_late_by_a_harmonic_number(n) -> None:
    assert expected_latest_s([ExponentialLateness(2.0)] * n) == pytest.approx(2 * harmonic(n), rel=1e-12)
    # A gamma law of shape 1 is the same law, and takes the way through the integral.
    assert expected_latest_s([GammaLateness(2.0, 1.0)] * n) == pytest.approx(2 * harmonic(n), rel=1e-8)


def test_unlike_exponentials() -> None:
    """E max(X, Y) = 1/a + 1/b - 1/(a + b) for rates a and b."""
    told = expected_latest_s([ExponentialLateness(1.0), ExponentialLateness(0.25)])
    assert told == pytest.approx(1 + 0.25 - 1 / (1 + 4), rel=1e-8)


@pytest.mark.parametrize(("n", "standard"), [(2, 1 / math.sqrt(math.pi)), (3, 1.5 / math.sqrt(math.pi))])
def test_normals_by_their_order_statistics(n, standard) -> None:
    """A lognormal law of small spread is normal but for terms of its square."""
    cv = 1e-3
    told = expected_latest_s([LognormalLateness(1.0, cv)] * n)
    assert (told - 1) / cv == pytest.approx(standard, abs=2 * cv)


def test_a_member_that_is_ready_later_and_one_that_is_never_late() -> None:
    """Of a member ready at r and an exponential one: r + exp(-r) / rate."""
    for ready_s in (0.0, 0.5, 3.0):
        told = expected_latest_s([None, ExponentialLateness(1.0)], [ready_s, 0.0])
        assert told == pytest.approx(ready_s + math.exp(-ready_s), rel=1e-8)
    assert expected_latest_s([None, None], [0.2, 0.7]) == 0.7


def test_measured_values_by_trying_all() -> None:
    laws = [EmpiricalLateness((0.0, 0.1, 0.7)), EmpiricalLateness((0.2, 0.2, 0.3, 1.0))]
    starts = [0.05, 0.0]
    every = itertools.product(*(law.values_s for law in laws))
    truth = np.mean([max(s + v for s, v in zip(starts, values, strict=True)) for values in every])
    assert expected_latest_s(laws, starts) == pytest.approx(truth, rel=1e-12)


@pytest.mark.parametrize("law", [GammaLateness(1.0, 2.0), LognormalLateness(1.0, 3.0)])
def test_growth_by_drawing(law) -> None:
    """Within four standard errors of what 400,000 groups say."""
    rng = np.random.default_rng(5)
    drawn = law.draws_s(rng.random((400_000, 8))).max(axis=1)
    slack = 4 * drawn.std() / math.sqrt(len(drawn))
    assert expected_latest_s([law] * 8) == pytest.approx(drawn.mean(), abs=slack)
    pair = expected_latest_s([law] * 2)
    assert growth(law, 8) == pytest.approx(expected_latest_s([law] * 8) / pair)
    assert growth(law, 2) == 1.0


def test_no_members_are_refused() -> None:
    with pytest.raises(InputError, match="expected one for each"):
        expected_latest_s([])
