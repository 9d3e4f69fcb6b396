"""Arrival laws against their moments, the exponential law, and exact scaling."""

from __future__ import annotations

import math
from itertools import islice

import numpy as np
import pytest
from scipy import stats

from edgesim.errors import InputError
from edgesim.rng import Streams
from edgesim.workload.arrivals import Arrivals, Bursts, Deterministic, Gamma, Poisson

N = 40_000
# 99.99 % two-sided: with the fixed seeds below a failure means a wrong law, not bad luck.
Z = float(stats.norm.ppf(1 - 0.5e-4))


def gaps_s(law: Arrivals, n: int = N, seed: int = 1) -> np.ndarray:
    return np.diff(np.fromiter(islice(law.instants(Streams(seed)["arrivals"]), n), float), prepend=0.0)


@pytest.mark.parametrize("law", [Poisson(2.5), Gamma(2.5, 0.25), Gamma(2.5, 4.0), Gamma.from_cv(0.1, 1.5)])
def test_random_gaps_have_the_stated_mean(law: Poisson | Gamma) -> None:
    cv = law.cv if isinstance(law, Gamma) else 1.0
    assert gaps_s(law).mean() * law.rate_hz == pytest.approx(1.0, abs=Z * cv / math.sqrt(N))


@pytest.mark.parametrize("shape", [0.25, 1.0, 4.0])
def test_gamma_gaps_have_coefficient_of_variation_one_over_root_shape(shape: float) -> None:
    # Variance of the sample variance of a gamma law: sigma^4 (kurtosis - 1) / n, with kurtosis 3 + 6 / shape;
    # the relative error of the cv is half that of the variance, plus that of the mean (bounded by their sum).
    relative = math.sqrt((2 + 6 / shape) / N) / 2 + math.sqrt(1 / shape / N)
    gaps = gaps_s(Gamma(3.0, shape))
    assert gaps.std() / gaps.mean() == pytest.approx(1 / math.sqrt(shape), rel=Z * relative)


def test_from_cv_and_cv_are_inverse() -> None:
    assert Gamma.from_cv(1.0, 2.0) == Gamma(1.0, 0.25)
    assert Gamma(1.0, 0.25).cv == 2.0


@pytest.mark.parametrize("law", [Poisson(0.7), Gamma(0.7, 1.0)])
def test_poisson_gaps_are_exponential_by_kolmogorov_smirnov(law: Arrivals) -> None:
    assert stats.kstest(gaps_s(law), "expon", args=(0, 1 / law.rate_hz)).pvalue > 1e-3


def test_poisson_gaps_are_uncorrelated() -> None:
    gaps = gaps_s(Poisson(1.0))
    assert np.corrcoef(gaps[:-1], gaps[1:])[0, 1] == pytest.approx(0.0, abs=Z / math.sqrt(N))


def test_deterministic_arrivals_are_multiples_of_the_period_without_drift() -> None:
    instants = list(islice(Deterministic(10.0).instants(Streams(0)["arrivals"]), 1001))
    assert instants[:3] == [0.0, 0.1, 0.2]
    assert instants[1000] == 100.0


def test_bursts_are_laid_out_as_stated() -> None:
    law = Bursts(n_requests=3, period_s=10.0, spacing_s=0.5)
    assert list(islice(law.instants(Streams(0)["arrivals"]), 7)) == [0.0, 0.5, 1.0, 10.0, 10.5, 11.0, 20.0]
    assert law.rate_hz == 0.3


@pytest.mark.parametrize(
    ("fast", "slow"),
    [
        (Poisson(3.0), Poisson(1.5)),
        (Gamma(3.0, 0.3), Gamma(1.5, 0.3)),
        (Deterministic(3.0), Deterministic(1.5)),
        (Bursts(4, 3.0, 0.1), Bursts(4, 6.0, 0.2)),
    ],
)
def test_halving_the_rate_doubles_every_instant_bit_for_bit(fast: Arrivals, slow: Arrivals) -> None:
    rng_fast, rng_slow = Streams(4)["arrivals"], Streams(4)["arrivals"]
    pairs = islice(zip(fast.instants(rng_fast), slow.instants(rng_slow), strict=True), 10_000)
    assert all(2 * early_s == late_s for early_s, late_s in pairs)


def test_block_borders_leave_no_mark() -> None:
    # The running sum taken one gap at a time is the oracle; 10 000 instants cross two borders.
    rng, now_s, expected = Streams(5)["arrivals"], 0.0, []
    for gap in rng.standard_exponential(10_000).tolist():
        now_s += 0.5 * gap
        expected.append(now_s)
    assert list(islice(Poisson(2.0).instants(Streams(5)["arrivals"]), 10_000)) == expected


@pytest.mark.parametrize(
    "make",
    [
        lambda: Poisson(0.0),
        lambda: Poisson(-1.0),
        lambda: Poisson(math.nan),
        lambda: Poisson(math.inf),
        lambda: Gamma(1.0, 0.0),
        lambda: Gamma.from_cv(1.0, 0.0),
        lambda: Deterministic(0.0),
        lambda: Bursts(0, 1.0),
        lambda: Bursts(2, 1.0, -0.1),
        lambda: Bursts(11, 1.0, 0.1),
    ],
)
def test_impossible_laws_are_refused(make) -> None:
    with pytest.raises(InputError, match="expected"):
        make()
