"""Intervals of four and eight nodes hold what they say where the truth is drawn from what fits assume."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from edgesim.validate.published import star_clusters as module
from edgesim.validate.published.star_clusters import REPEATABILITY, fitted, star_clusters

N_EXPERIMENTS = 100


@pytest.fixture(scope="module")
def held() -> dict[int, int]:
    """How many of the experiments have their truth inside the 95 % interval, by number of nodes.

    An experiment draws one set of parameters from the priors, publishes one and two nodes of it with the
    errors that published times have, and has them fitted.
    """
    known = next(row for row in star_clusters() if row.board == "raspberry-pi-4b" and row.one_s)
    rng = np.random.default_rng(11)
    mean, spread = module._undivided_of_others(known, with_own=True)
    one_s = np.full(module.N_SETS, known.one_s)
    undivided = np.abs(mean + spread * rng.standard_normal(module.N_SETS))
    truths = module._sets(known, one_s, undivided, np.full(module.N_SETS, known.rest_s), rng)
    n_inside = {4: 0, 8: 0}
    for number in range(N_EXPERIMENTS):
        truth = truths.taken(np.array([number]))

        def noisy(seconds: float) -> float:
            return float(seconds * np.exp(REPEATABILITY * rng.standard_normal()))

        two_s = float(truth.computing_s(2)[0])
        row = replace(
            known,
            one_s=noisy(float(truth.head_s[0] + truth.blocks_s[0])),
            two_s=noisy(two_s),
            transfer_s={2: noisy(float(truth.total_s(2)[0]) - two_s)},
        )
        sets = fitted(row)
        for n_nodes in n_inside:
            low, high = np.quantile(sets.total_s(n_nodes), [0.025, 0.975])
            n_inside[n_nodes] += low <= truth.total_s(n_nodes)[0] <= high
    return n_inside


@pytest.mark.parametrize("n_nodes", [4, 8])
def test_intervals_hold_the_truth_as_often_as_they_say(held: dict[int, int], n_nodes: int) -> None:
    """Not so seldom as one of a thousand such counts would be, of experiments at 95 %."""
    assert held[n_nodes] >= stats.binom(N_EXPERIMENTS, 0.95).ppf(1e-3)
