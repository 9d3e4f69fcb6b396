"""Monotone regression against brute force, and how a change is counted."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linprog

from edgesim.model.architecture import FloatArray
from edgesim.model.monotone import Correction, monotone


def least_change(values: FloatArray) -> float:
    """The smallest largest change of a logarithm, by linear programming over every pair of neighbours."""
    index = np.arange(values.size).reshape(values.shape)
    rows, limits = [], []

    def limit(row: dict[int, float], at_most: float) -> None:
        rows.append([row.get(column, 0.0) for column in range(values.size + 1)])
        limits.append(at_most)

    for axis in range(values.ndim):
        for lower, upper in zip(
            np.delete(index, -1, axis).ravel(), np.delete(index, 0, axis).ravel(), strict=True
        ):
            limit({lower: 1.0, upper: -1.0}, 0.0)
    for i, value in enumerate(np.log(values).ravel()):
        limit({i: 1.0, values.size: -1.0}, value)
        limit({i: -1.0, values.size: -1.0}, -value)
    bounds = [(None, None)] * values.size + [(0, None)]
    return float(linprog([0.0] * values.size + [1.0], rows, limits, bounds=bounds).fun)


@pytest.mark.parametrize("seed", range(8))
def test_the_largest_change_is_the_least_possible(seed: int) -> None:
    values = np.random.default_rng(seed).lognormal(size=(2, 3, 4))
    risen = monotone(values)
    for axis in range(3):
        assert np.diff(risen, axis=axis).min() >= 0
    assert np.abs(np.log(risen / values)).max() == pytest.approx(least_change(values), rel=1e-6)


@given(st.lists(st.floats(1e-9, 1e9), min_size=1, max_size=20))
def test_what_rises_stays_to_the_last_bit(values: list[float]) -> None:
    rising = np.sort(values)
    np.testing.assert_array_equal(monotone(rising), rising)
    assert monotone(np.zeros(3)).tolist() == [0.0, 0.0, 0.0]


def test_changes_are_counted_and_the_largest_is_kept() -> None:
    one = Correction.between(np.array([1.0, 4.0, 0.0]), np.array([1.0, 3.0, 0.0]))
    other = Correction.between(np.ones((2, 2)), np.ones((2, 2)) * [[1.0, 1.1], [1.0, 1.0]])
    assert one == Correction(3, 1, 0.25)
    assert one + other == Correction(7, 2, 0.25)
