"""What requests were worth: the sum in the docstring, written out."""

from __future__ import annotations

import numpy as np
import pytest

from edgesim.errors import InputError
from edgesim.planning.splitting.utility import Utility

ROWS = {
    "outcome": ["completed", "failed", "censored"],
    "arrived_at_s": [1.0, 2.0, 3.0],
    "ended_at_s": [1.5, 2.25, None],
    "energy_j": [4.0, 1.0, 0.5],
    "nll": [2.5, None, None],
}


def test_a_request_is_worth_minus_its_weighted_costs() -> None:
    utility = Utility(quality=2, latency_per_s=10, energy_per_j=0.5, load=3, failure=7, clean_nll=2)
    worth = utility.of_requests(ROWS, load=[0.25, 1.0, 1.0])
    expected = [-(2 * 0.5 + 10 * 0.5 + 0.5 * 4 + 3 * 0.25), -(7 + 0.5), -(7 + 0.25)]
    np.testing.assert_allclose(worth, expected, rtol=1e-15)


def test_what_is_not_known_may_have_no_weight() -> None:
    unknown = ROWS | {"nll": [None] * 3}
    np.testing.assert_allclose(Utility(latency_per_s=1).of_requests(unknown), [-0.5, 0, 0])
    with pytest.raises(InputError, match="'quality' has a weight"):
        Utility(quality=1).of_requests(unknown)
    with pytest.raises(InputError, match="'load' has a weight"):
        Utility(load=1).of_requests(ROWS)
    with pytest.raises(InputError, match="finite latency_per_s of 0 or more, got -1"):
        Utility(latency_per_s=-1)
