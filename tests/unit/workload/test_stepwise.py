"""Rates that change at stated instants, and sources with weights: against exact integrals and shares."""

from __future__ import annotations

import math
from itertools import islice, takewhile

import numpy as np
import pytest
from scipy import stats

from edgesim.errors import InputError
from edgesim.rng import Streams
from edgesim.steps import Steps
from edgesim.workload.arrivals import Poisson
from edgesim.workload.lengths import Fixed
from edgesim.workload.rates import mean_rates_hz
from edgesim.workload.requests import Workload
from edgesim.workload.stepwise import Stepwise

Z = float(stats.norm.ppf(1 - 0.5e-4))  # 99.99 % two-sided
LAW = Stepwise(Steps((0.0, 100.0, 250.0, 400.0), (2.0, 0.0, 5.0, 1.0)))


def instants(law: Stepwise, until_s: float, replication: int = 0) -> np.ndarray:
    rng = Streams(1, replication)["arrivals"]
    return np.fromiter(takewhile(lambda at_s: at_s < until_s, law.instants(rng)), float)


def test_the_value_of_a_step_holds_from_its_instant_on() -> None:
    steps = Steps((0.0, 1.0, 3.0), (5.0, 7.0, 6.0))
    assert [steps(at_s) for at_s in (0.0, 0.999, 1.0, 2.9, 3.0, 1e9)] == [5.0, 5.0, 7.0, 7.0, 6.0, 6.0]
    assert str(steps) == "5 from 0 s, 7 from 1 s, 6 from 3 s"


@pytest.mark.parametrize(
    ("at_s", "values", "why"),
    [
        ((), (), "0 instants and 0 values; expected at least one"),
        ((1.0,), (2.0,), "the first begins at 1 s; expected 0 s"),
        ((0.0, 1.0), (2.0,), "a value for each"),
        ((0.0, 2.0, 2.0), (1.0, 2.0, 3.0), "follows one at . s; expected increasing instants"),
        ((0.0, 3.0, 2.0), (1.0, 2.0, 3.0), "follows one at . s; expected increasing instants"),
        ((0.0,), (math.inf,), "finite"),
    ],
)
def test_steps_out_of_order_are_refused(at_s: tuple[float], values: tuple[float], why: str) -> None:
    with pytest.raises(InputError, match=why):
        Steps(at_s, values)


@pytest.mark.parametrize("rates_hz", [(1.0, 0.0), (-1.0, 1.0)])
def test_a_last_rate_of_zero_or_a_negative_one_is_refused(rates_hz: tuple[float, float]) -> None:
    with pytest.raises(InputError, match="expected 0 or more, and the last"):
        Stepwise(Steps((0.0, 1.0), rates_hz))


def test_expected_is_the_area_under_the_steps() -> None:
    assert [LAW.expected(at_s) for at_s in (0.0, 50.0, 100.0, 200.0, 300.0, 400.0, 500.0)] == [
        *(0.0, 100.0, 200.0, 200.0, 450.0, 950.0, 1050.0)
    ]
    assert LAW.rate_hz == 2.0
    assert (LAW.rate_at(99.9), LAW.rate_at(100.0), LAW.rate_at(1e6)) == (2.0, 0.0, 1.0)


def test_the_number_of_arrivals_of_each_piece_is_poisson_with_its_exact_mean() -> None:
    n, ends_s = 60, (0.0, 100.0, 250.0, 400.0, 600.0)
    counts = np.array([np.histogram(instants(LAW, 600.0, number), ends_s)[0] for number in range(n)])
    for column, mean in zip(counts.T, (200.0, 0.0, 750.0, 200.0), strict=True):
        assert column.mean() == pytest.approx(mean, abs=Z * math.sqrt(mean / n))
        if mean:
            assert stats.chi2.cdf((n - 1) * column.var(ddof=1) / mean, n - 1) == pytest.approx(
                0.5, abs=0.4995
            )


def test_instants_on_the_laws_own_clock_are_uniform_and_never_go_back() -> None:
    at_s = instants(LAW, 3000.0)
    assert (np.diff(at_s) >= 0).all()
    assert at_s[0] >= 0
    on_clock = [LAW.expected(instant_s) / LAW.expected(3000.0) for instant_s in at_s]
    assert stats.kstest(on_clock, "uniform").pvalue > 1e-3


def test_tables_that_agree_up_to_an_instant_have_the_same_arrivals_up_to_it() -> None:
    other = Stepwise(Steps((0.0, 100.0, 250.0, 300.0), (2.0, 0.0, 5.0, 50.0)))
    assert instants(LAW, 300.0).tolist() == instants(other, 300.0).tolist()


def test_a_single_step_is_plain_poisson() -> None:
    steps = list(islice(Stepwise(Steps((0.0,), (0.5,))).instants(Streams(4)["arrivals"]), 5000))
    poisson = list(islice(Poisson(0.5).instants(Streams(4)["arrivals"]), 5000))
    assert steps == pytest.approx(poisson, rel=1e-9)


def asked(weights: tuple[float, ...], n_requests: int = 20_000) -> list[str]:
    drawn = Workload(
        arrivals=Poisson(1.0),
        prompt_tokens=Fixed(1),
        output_tokens=Fixed(1),
        sources=("a", "b", "c"),
        n_requests=n_requests,
        weights=weights,
    )
    return [request.source for request in drawn.requests(Streams(3))]


def test_sources_are_drawn_by_their_weights() -> None:
    weights, drawn = (1.0, 0.5, 2.5), asked((1.0, 0.5, 2.5))
    observed = [drawn.count(source) for source in "abc"]
    expected = [len(drawn) * weight / sum(weights) for weight in weights]
    assert stats.chisquare(observed, expected).pvalue > 1e-4
    assert asked((2.0, 1.0, 5.0)) == drawn  # nothing but their ratios counts
    assert asked(()) != drawn


def test_planners_count_on_the_first_rate_by_weights() -> None:
    drawn = Workload(
        arrivals=Stepwise(Steps((0.0, 1.0, 2.0), (0.0, 8.0, 1.0))),
        prompt_tokens=Fixed(1),
        output_tokens=Fixed(1),
        sources=("a", "b", "c"),
        n_requests=1,
        weights=(1.0, 0.5, 2.5),
    )
    assert mean_rates_hz(drawn, Streams(0)) == {"a": 2.0, "b": 1.0, "c": 5.0}


@pytest.mark.parametrize("weights", [(1.0, 2.0), (1.0, 0.0, 1.0), (1.0, math.nan, 1.0)])
def test_weights_that_do_not_fit_are_refused(weights: tuple[float, ...]) -> None:
    with pytest.raises(InputError, match=r"workload: weights .* expected a finite number above 0 for each"):
        asked(weights)
