"""Rates that follow the hour: counts against the rate's exact integral, instants against the uniform law."""

from __future__ import annotations

import math
from itertools import islice, pairwise, takewhile

import numpy as np
import pytest
from scipy import integrate, stats

from edgesim.errors import InputError
from edgesim.rng import Streams
from edgesim.workload.arrivals import Poisson
from edgesim.workload.diurnal import DAY_S, HOUR_S, Diurnal, Hourly

Z = float(stats.norm.ppf(1 - 0.5e-4))  # 99.99 % two-sided

DIURNAL = Diurnal(mean_hz=0.05, swing=0.8, peak_at_s=5 * HOUR_S)
NIGHT = Hourly(rates_hz=(0.0, 0.2, 0.0, 0.0, 0.5, 0.1), start_s=1800.0)
LAWS = [DIURNAL, Diurnal(mean_hz=0.1, swing=1.0, period_s=HOUR_S), NIGHT, Hourly(rates_hz=(0.05,))]


def instants(law: Diurnal | Hourly, until_s: float, seed: int = 1, replication: int = 0) -> np.ndarray:
    rng = Streams(seed, replication)["arrivals"]
    return np.fromiter(takewhile(lambda at_s: at_s < until_s, law.instants(rng)), float)


@pytest.mark.parametrize("law", LAWS, ids=str)
def test_expected_is_the_integral_of_the_rate(law: Diurnal | Hourly) -> None:
    for until_s in (700.0, 2 * HOUR_S, 3.3 * DAY_S):
        edges = np.unique(np.clip(np.arange(0.0, until_s + HOUR_S, HOUR_S) - 1800.0, 0.0, until_s))
        area = sum(integrate.quad(law.rate_at, a, b, limit=200)[0] for a, b in pairwise((*edges, until_s)))
        assert law.expected(until_s) == pytest.approx(area, rel=1e-6)


@pytest.mark.parametrize("law", LAWS, ids=str)
def test_the_number_of_arrivals_is_poisson_with_the_exact_mean(law: Diurnal | Hourly) -> None:
    # 60 replications; for a Poisson law mean and variance of a count are equal.
    until_s, n = 1.4 * DAY_S, 60
    counts = np.array([len(instants(law, until_s, 3, replication)) for replication in range(n)])
    mean = law.expected(until_s)
    assert counts.mean() == pytest.approx(mean, abs=Z * math.sqrt(mean / n))
    assert stats.chi2.cdf((n - 1) * counts.var(ddof=1) / mean, n - 1) == pytest.approx(0.5, abs=0.4995)


@pytest.mark.parametrize("law", LAWS, ids=str)
def test_instants_on_the_laws_own_clock_are_uniform(law: Diurnal | Hourly) -> None:
    # Given their number, the arrivals of a Poisson process are uniform on the clock of expected counts.
    until_s = 3 * DAY_S
    on_clock = [law.expected(at_s) / law.expected(until_s) for at_s in instants(law, until_s)]
    assert stats.kstest(on_clock, "uniform").pvalue > 1e-3


def test_no_request_comes_in_an_hour_of_rate_zero() -> None:
    rates = [NIGHT.rate_at(at_s) for at_s in instants(NIGHT, 2 * DAY_S)]
    assert min(rates) > 0
    assert set(rates) == {0.2, 0.5, 0.1}


@pytest.mark.parametrize("law", LAWS, ids=str)
def test_instants_never_go_back_and_are_never_negative(law: Diurnal | Hourly) -> None:
    at_s = np.fromiter(islice(law.instants(Streams(2)["arrivals"]), 20_000), float)
    assert at_s[0] >= 0
    assert (np.diff(at_s) >= 0).all()


def test_the_peak_is_where_it_is_said_to_be() -> None:
    assert DIURNAL.rate_at(5 * HOUR_S) == pytest.approx(0.05 * 1.8)
    assert DIURNAL.rate_at(17 * HOUR_S) == pytest.approx(0.05 * 0.2)
    assert DIURNAL.rate_hz == 0.05
    assert NIGHT.rate_hz == pytest.approx(0.8 / 6)
    assert (NIGHT.rate_at(0.0), NIGHT.rate_at(1800.0), NIGHT.rate_at(6 * HOUR_S)) == (0.0, 0.2, 0.0)


def test_a_day_without_swing_and_a_table_of_one_rate_are_plain_poisson() -> None:
    # The table's clock is Poisson's own, up to the rounding of adding in another order.
    table = list(islice(Hourly(rates_hz=(0.5,)).instants(Streams(4)["arrivals"]), 5000))
    poisson = list(islice(Poisson(0.5).instants(Streams(4)["arrivals"]), 5000))
    assert table == pytest.approx(poisson, rel=1e-9)
    gaps = np.diff(list(islice(Diurnal(mean_hz=0.5, swing=0.0).instants(Streams(4)["arrivals"]), 20_000)))
    assert stats.kstest(gaps, "expon", args=(0, 2.0)).pvalue > 1e-3


@pytest.mark.parametrize(
    "make",
    [
        lambda: Diurnal(mean_hz=0.0, swing=0.5),
        lambda: Diurnal(mean_hz=1.0, swing=1.1),
        lambda: Diurnal(mean_hz=1.0, swing=-0.1),
        lambda: Diurnal(mean_hz=1.0, swing=math.nan),
        lambda: Diurnal(mean_hz=1.0, swing=0.5, period_s=0.0),
        lambda: Diurnal(mean_hz=1.0, swing=0.5, peak_at_s=math.inf),
        lambda: Hourly(rates_hz=()),
        lambda: Hourly(rates_hz=(0.0, 0.0)),
        lambda: Hourly(rates_hz=(1.0, -1.0)),
        lambda: Hourly(rates_hz=(1.0,), start_s=-1.0),
    ],
)
def test_impossible_laws_are_refused(make) -> None:
    with pytest.raises(InputError, match="expected"):
        make()
