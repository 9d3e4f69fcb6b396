"""Shares within limits, against the conditions that single out the nearest point."""

from __future__ import annotations

import numpy as np
import pytest

from edgesim.errors import InputError, PlacementError
from edgesim.planning.shares import compute_proportional, even, nearest_shares, share_limits

TINY = 1e-12  # rounding: sums of a dozen numbers of size 1, a thousand times over


@pytest.mark.parametrize("seed", range(50))
def test_the_projection_meets_the_optimality_conditions(seed: int) -> None:
    generator = np.random.default_rng(seed)
    n = int(generator.integers(1, 9))
    limits = generator.uniform(0.0, 1.0, n)
    limits /= min(1.0, limits.sum())
    wanted = generator.normal(1 / n, 1.0, n)
    got = nearest_shares(wanted, limits)

    assert got.sum() == pytest.approx(1.0, abs=TINY)
    assert np.all(got >= 0)
    assert np.all(got <= limits)
    # Karush-Kuhn-Tucker: one shift for all shares inside their bounds, more at 0, less at the limit. The
    # problem is strictly convex, so that no other point meets them.
    shifts = wanted - got
    inside = (got > TINY) & (got < limits - TINY)
    low = shifts[got > TINY].min()
    high = shifts[got < limits - TINY].max(initial=-np.inf)
    assert high <= low + TINY
    assert np.ptp(shifts[inside]) <= TINY if inside.any() else True


def test_shares_that_fit_are_kept() -> None:
    shares = np.array([0.5, 0.2, 0.3])
    np.testing.assert_allclose(nearest_shares(shares, np.ones(3)), shares, atol=TINY)


def test_even_shares_move_what_one_device_cannot_hold_to_the_others_alike() -> None:
    np.testing.assert_allclose(even(np.ones(4)), 0.25)
    np.testing.assert_allclose(even(np.array([0.1, 1.0, 1.0, 1.0])), [0.1, 0.3, 0.3, 0.3])


def test_proportional_shares_finish_together() -> None:
    shares = compute_proportional([4.0, 1.0, 3.0], np.ones(3))
    np.testing.assert_allclose(shares, [0.5, 0.125, 0.375])
    with pytest.raises(InputError, match="speeds"):
        compute_proportional([0.0, 0.0], np.ones(2))


def test_the_tightest_constraint_counts_and_a_cost_of_nothing_is_none() -> None:
    limits = share_limits(3, ([4.0, 10.0, 1.0], [8.0, 8.0, 0.0]), ([3.0, 3.0, -1.0], [10.0, 10.0, 10.0]))
    np.testing.assert_allclose(limits, [0.3, 0.3, 0.0])
    np.testing.assert_array_equal(share_limits(2), [1.0, 1.0])
    with pytest.raises(InputError, match="2 devices"):
        share_limits(2, ([1.0], [1.0]))


def test_limits_below_the_whole_model_are_refused() -> None:
    with pytest.raises(PlacementError, match=r"0.9 of the model together"):
        even(np.array([0.5, 0.4]))
    np.testing.assert_array_equal(even(np.array([0.5, 0.5])), [0.5, 0.5])
