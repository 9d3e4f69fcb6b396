"""What is believed of repeats."""

from __future__ import annotations

import numpy as np
import pytest

from edgesim.measure.trimmed_mean import typical


def test_the_fastest_part_stands_firm_though_most_repeats_are_disturbed() -> None:
    seconds = [1.0, 1.2, 9.0, 1.1, 7.0, 8.0, 20.0, 6.0]
    assert typical(seconds, fastest=4) == pytest.approx(1.05)


def test_typical_times_of_parts_add_up_and_outliers_do_not_count() -> None:
    rng = np.random.default_rng(3)
    speed = np.where(rng.random(4000) < 0.4, 1.5, 1.0)  # of a host that goes to and fro between two
    parts = speed[:, None] * rng.gamma(20.0, [0.05, 0.1, 0.2], size=(4000, 3))

    assert typical(parts.sum(axis=1)) == pytest.approx(typical(parts).sum(), rel=0.005)
    fastest = typical(parts, 4).sum() / typical(parts.sum(axis=1), 4)
    assert fastest < 0.95  # of parts that vary one by one, the fastest do not come together
    held_up = parts.copy()
    held_up[7] = 1e6
    assert typical(held_up) == pytest.approx(typical(parts), rel=0.01)


def test_the_first_axis_is_that_of_the_repeats() -> None:
    seconds = np.arange(24.0).reshape(3, 2, 4)
    assert typical(seconds) == pytest.approx(seconds.mean(axis=0))
    assert typical(seconds[:1]) == pytest.approx(seconds[0])


@pytest.mark.parametrize("n_repeats", [10, 20, 40, 1000])
def test_few_repeats_are_trimmed_as_much_as_many(n_repeats: int) -> None:
    """Of the exponential law, the mean between its 5th and 95th percentile: v - v ln v from 0.05 to 0.95."""
    seconds = -np.log1p(-(np.arange(n_repeats) + 0.5) / n_repeats)
    assert typical(seconds) == pytest.approx(0.8877, rel=0.02)
