from __future__ import annotations

import itertools

import numpy as np
import pytest

from edgesim.report.page.time_averages import mean_under_way, merged


def intervals(seed: int, n: int = 60) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    starts = rng.uniform(0, 10, n)
    return rng.integers(0, 4, n), starts, starts + rng.exponential(0.7, n) * rng.integers(0, 2, n)


@pytest.mark.parametrize("seed", range(5))
def test_the_mean_under_way_is_the_overlap_of_every_interval_with_the_stretch(seed: int) -> None:
    _, starts, ends = intervals(seed)
    weights = np.random.default_rng(seed + 100).uniform(0, 1, len(starts))
    edges = np.linspace(0.0, 9.0, 14)
    overlaps = [
        sum(w * max(min(e, b) - max(s, a), 0.0) for s, e, w in zip(starts, ends, weights, strict=True))
        / (b - a)
        for a, b in itertools.pairwise(edges)
    ]
    # A sum of 60 terms, each below 11: rounding stays below 60 * 11 * 2**-52 / the stretch's length.
    assert mean_under_way(starts, ends, edges, weights) == pytest.approx(overlaps, abs=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_merged_intervals_hold_the_same_instants_and_are_apart(seed: int) -> None:
    owners, starts, ends = intervals(seed)
    found = list(zip(*merged(owners, starts, ends), strict=True))
    for owner in range(4):
        own = [(s, e) for o, s, e in found if o == owner]
        assert all(before[1] < after[0] for before, after in itertools.pairwise(own))
        given = [(s, e) for o, s, e in zip(owners, starts, ends, strict=True) if o == owner]
        for instant in np.linspace(0.0, 14.0, 2001):
            assert any(s <= instant < e for s, e in own) == any(s <= instant < e for s, e in given)


def test_nothing_merged_is_nothing() -> None:
    owners, starts, ends = merged(np.empty(0, np.int64), np.empty(0), np.empty(0))
    assert len(owners) == len(starts) == len(ends) == 0
