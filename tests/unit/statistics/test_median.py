"""Medians over replications: by hand, and how often their interval holds the truth."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import binom, t

from edgesim.statistics.median import median_estimate


def test_it_is_the_geometric_mean_of_medians_with_students_interval() -> None:
    told = median_estimate([np.array([1.0, 2.0, 40.0]), np.array([np.nan, 8.0]), np.array([])])
    assert told is not None
    middle, half = math.log(4.0), t.ppf(0.975, 1) * math.log(2.0)
    assert told.median == pytest.approx(4.0)
    assert (told.low, told.high) == pytest.approx((math.exp(middle - half), math.exp(middle + half)))
    assert told.n_values == 4


def test_one_replication_or_an_infinite_median_has_no_interval() -> None:
    alone = median_estimate([np.array([3.0, 5.0])])
    assert alone is not None
    assert (alone.median, alone.low, alone.high) == (pytest.approx(4.0), None, None)
    lost = median_estimate([np.array([3.0]), np.array([np.inf]), np.array([np.inf])])
    assert lost == (math.inf, None, None, 3)
    assert median_estimate([np.array([np.nan]), np.array([])]) is None


def test_its_interval_covers_where_no_mean_exists() -> None:
    """400 experiments of 8 replications, errors one over an exponential gain: between the binomial's bounds.

    The median is 1 / ln 2 in each; the bias of a median of 41 values is far below its spread.
    """
    generator, n = np.random.default_rng(11), 400
    covered = 0
    for _ in range(n):
        told = median_estimate(list(1 / generator.exponential(size=(8, 41))))
        assert told is not None
        assert told.low is not None
        assert told.high is not None
        covered += told.low <= 1 / math.log(2) <= told.high
    low, high = binom.ppf([0.0005, 0.9995], n, 0.95)
    assert low <= covered <= high
