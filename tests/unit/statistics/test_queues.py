"""Little's law against a queue worked out by hand and against a random one."""

from __future__ import annotations

import numpy as np
import pytest

from edgesim.statistics.queues import LittlesLaw, littles_law


def test_by_hand() -> None:
    # Present: 1 in [0, 1), 2 in [1, 3), 1 in [3, 4), 0 in [4, 6), 1 in [6, 8).
    assert littles_law([0.0, 1.0, 6.0], [3.0, 4.0, 8.0]) == LittlesLaw(
        mean_number=(1 + 4 + 1 + 0 + 2) / 8, rate_hz=3 / 8, mean_s=8 / 3
    )


def test_number_present_is_rate_times_time_present_on_any_drained_queue() -> None:
    rng = np.random.default_rng(2)
    arrived_at_s = np.cumsum(rng.exponential(1.0, 5000))
    law = littles_law(arrived_at_s, arrived_at_s + rng.lognormal(0.0, 1.0, 5000))
    # Both sides are sums of 10 000 terms of one sign: rounding stays below their number times epsilon.
    assert law.mean_number == pytest.approx(law.rate_hz * law.mean_s, rel=1e4 * np.finfo(float).eps)
