"""Interpolation against scipy's, and what it promises between and beyond the points."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.interpolate import RegularGridInterpolator

from edgesim.model.surface import Surface

BATCHES, NEWS, CONTEXTS = (1, 2, 8), (1, 2, 4, 16), (16, 64, 256)


@pytest.fixture
def surface() -> Surface:
    rng = np.random.default_rng(1)
    return Surface.through({point: rng.uniform(1, 2) for point in product(BATCHES, NEWS, CONTEXTS)})


def test_it_is_multilinear_between_the_points(surface: Surface) -> None:
    rng = np.random.default_rng(2)
    oracle = RegularGridInterpolator((BATCHES, NEWS, CONTEXTS), surface.seconds)
    news, contexts = rng.integers(1, 17, 200), rng.integers(16, 257, 200)
    for batch in range(1, 9):
        expected = oracle(np.column_stack([np.full(200, batch), news, contexts]))
        np.testing.assert_allclose(surface.at(batch, news, contexts), expected, rtol=1e-12)


def test_it_passes_through_its_points_exactly(surface: Surface) -> None:
    for (batch, n_new, n_context), value in zip(surface.grid(), surface.seconds.flat, strict=True):
        assert surface.at(batch, n_new, n_context) == value


@given(st.lists(st.floats(0.1, 10), min_size=2, max_size=6), st.integers(1, 80), st.integers(1, 80))
def test_rising_times_are_never_made_to_fall(steps: list[float], one: int, other: int) -> None:
    rising = np.cumsum(steps)
    surface = Surface.through({(1, 10 * (i + 1), 0): float(t) for i, t in enumerate(rising)})
    near, far = surface.at(1, np.array(sorted((one, other))), 0)
    assert near <= far * (1 + 1e-12)


def test_beyond_the_last_point_a_fall_does_not_go_on() -> None:
    surface = Surface.through({(1, 1, 0): 2.0, (1, 10, 0): 1.0})
    assert surface.at(1, 11, 0) == 1.0


def test_beyond_the_last_point_a_rise_goes_on() -> None:
    surface = Surface.through({(1, 1, 0): 1.0, (1, 11, 0): 2.0})
    assert surface.at(1, 12, 0) == pytest.approx(2.1)


def test_points_that_fill_no_grid_are_refused() -> None:
    with pytest.raises(ValueError, match="do not fill a grid"):
        Surface.through({(1, 1, 0): 1.0, (1, 2, 5): 1.0})
