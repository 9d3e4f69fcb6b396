"""The sampler against closed forms, and simulation-based calibration of the fit.

Calibration (Talts et al. 2018, "Validating Bayesian inference algorithms with simulation-based calibration",
arXiv 1804.06788): of data made with parameters drawn from the prior, the rank of a true parameter among
independent draws from the posterior is uniform. A sampler that is too sure, or off, bends the histogram.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from edgesim.model.efficiency.effects import ERROR, Design, Rate, Use
from edgesim.model.efficiency.law import Peaks, Terms
from edgesim.model.efficiency.posterior import Likelihood, fit
from edgesim.model.efficiency.sampler import Reference, sample
from edgesim.model.efficiency.stored import N_STORED, shipped_posterior
from edgesim.scenario.rates import published_rates

N_CHAINS = 15  # ranks from 0 to 15, in four bins of four


def peaks(board: str, bytes_per_s: float, *, is_cpu: bool = False) -> Peaks:
    return Peaks(
        board=board,
        is_cpu=is_cpu,
        bytes_per_s=bytes_per_s,
        vector_flop_per_s=10 * bytes_per_s,
        matrix_flop_per_s=80 * bytes_per_s,
        eager_call_s=1e-3,
    )


SMALL, LARGE, CORES = peaks("small", 60e9), peaks("large", 900e9), peaks("cores", 17e9, is_cpu=True)
USES = (
    Use(SMALL, "one", is_quantised=True),
    Use(SMALL, "two", is_quantised=False),
    Use(LARGE, "one", is_quantised=False),
    Use(LARGE, "eager", is_quantised=False, is_eager=True),
    Use(CORES, "one", is_quantised=True),
)


def rates(seconds: np.ndarray) -> list[Rate]:
    """Rates of models of several sizes, from calls that dominate to calls that vanish."""
    found = []
    for index, (use, time_s) in enumerate(zip(USES, seconds, strict=True)):
        size = 10.0 ** (8 + index % 3)
        stream_s, touch_s = size / use.peaks.bytes_per_s, 2 * size / use.peaks.vector_flop_per_s
        terms = Terms(stream_s, touch_s, 1e-4, 30.0, 0.1 * stream_s, 0.1 * touch_s)
        found.append(Rate(use, terms, float(time_s)))
    return found


def test_a_gaussian_posterior_comes_out_as_its_closed_form() -> None:
    # y = A x + noise of 0.3: the posterior is normal, with precision 1 + A'A / 0.09.
    rng = np.random.default_rng(5)
    a, y = rng.standard_normal((4, 3)), np.array([1.0, -0.5, 2.0, 0.3])
    covariance = np.linalg.inv(np.eye(3) + a.T @ a / 0.09)
    mean = covariance @ a.T @ y / 0.09

    def log_likelihood(x: np.ndarray) -> np.ndarray:
        return np.asarray(-0.5 * (((y - x @ a.T) / 0.3) ** 2).sum(axis=1))

    # A reference that is off by a standard deviation, and twice as wide, slows mixing and changes nothing.
    off = Reference(mean + np.sqrt(np.diag(covariance)), 2 * covariance)
    draws = sample(log_likelihood, off, rng, n_chains=400, n_burn_in=30, n_kept=10)
    ends = draws[-400:]  # chains are independent, so these are
    error = np.sqrt(np.diag(covariance) / len(ends))
    assert np.all(np.abs(ends.mean(axis=0) - mean) < 4 * error)
    ratio = ends.var(axis=0, ddof=1) / np.diag(covariance)
    low, high = stats.chi2.ppf([5e-5, 1 - 5e-5], len(ends) - 1) / (len(ends) - 1)
    assert np.all((low < ratio) & (ratio < high))


def test_the_jacobian_is_that_of_finite_differences() -> None:
    likelihood = Likelihood.of(rates(np.array([2e-3, 0.03, 1e-3, 0.1, 0.03])))
    x = np.random.default_rng(2).standard_normal(len(likelihood.design.names))
    step = 1e-6
    by_difference = np.column_stack(
        [
            (likelihood.predicted(x + e)[0] - likelihood.predicted(x - e)[0]) / (2 * step)
            for e in step * np.eye(len(x))
        ]
    )
    assert likelihood.jacobian(x) == pytest.approx(by_difference, abs=1e-7)


def calibration(n_fits: int, *, too_sure: float = 1.0) -> dict[str, float]:
    """Smallest p-value over parameters of the ranks' uniformity; errors taken to be so many times smaller."""
    names = Design.of(USES).names
    watched = (
        ERROR,
        "memory of small",
        "vectors under one on gpu",
        "calls of gpus",
        "calls, eager",
        "head under one on cpu",
    )
    at = [names.index(name) for name in watched]
    counts = np.zeros((len(watched), 4))
    rng = np.random.default_rng(11)
    for _ in range(n_fits):
        likelihood = Likelihood.of(rates(np.ones(len(USES))))
        truth = rng.standard_normal(len(names))
        noise = too_sure * likelihood.error(truth) * rng.standard_normal(len(USES))
        made = rates(np.exp(likelihood.predicted(truth)[0] + noise))
        ends = fit(made, rng, n_chains=N_CHAINS, n_burn_in=11, n_kept=1).draws
        ranks = (ends[:, at] < truth[at]).sum(axis=0)
        counts[np.arange(len(watched)), ranks // 4] += 1
    return dict(zip(watched, stats.chisquare(counts, axis=1).pvalue, strict=True))


def test_ranks_of_true_parameters_are_uniform() -> None:
    found = calibration(150)
    assert min(found.values()) > 1e-3 / len(found), found


def test_the_check_would_see_a_posterior_that_is_too_sure() -> None:
    assert min(calibration(60, too_sure=20.0).values()) < 1e-6


def test_the_set_that_comes_with_edgesim_is_of_the_rates_that_do() -> None:
    # Names change with the rows and with the effects; the numbers are the script's (scripts/fit_engines.py).
    shipped, entries = shipped_posterior(), published_rates()
    assert shipped.names == Design.of([entry.rate().use for entry in entries]).names
    assert shipped.draws.shape == (N_STORED, len(shipped.names))
    fitted = np.array([float(shipped.centre.times_s(entry.rate(), None)[0]) for entry in entries])
    measured = np.array([entry.seconds for entry in entries])
    assert np.median(np.abs(fitted / measured - 1)) < 0.05  # all rows are in the fit
