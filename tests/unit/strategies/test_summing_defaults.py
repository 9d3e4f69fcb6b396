"""What sums are like where a scenario does not say: pinned, for a change of one changes results."""

from __future__ import annotations

import math

import pytest

from edgesim.engine.collective.sums import Summing
from edgesim.strategies.tensor_parallel import TensorParallel


@pytest.mark.parametrize(
    "of", [Summing(scheme="aircomp", value_bytes=4.0), TensorParallel()], ids=["engine", "option"]
)
def test_the_defaults_of_sums_over_the_air(of: Summing | TensorParallel) -> None:
    """The engine's own are those of the strategy's options."""
    assert of.transceiver == "first-order"
    assert of.scaling == "parts"
    # Below a tenth of the mean gain a member is silent: under Rayleigh fading one in ten, 1 - exp(-0.1).
    assert of.truncation == 0.1
    assert 1 - math.exp(-of.truncation) == pytest.approx(0.095, abs=5e-4)


def test_the_defaults_that_have_units_of_their_own() -> None:
    """No cost beside the messages, and no limit of energy but the radio's power."""
    engine, option = Summing(scheme="aircomp", value_bytes=4.0), TensorParallel()
    assert (engine.overhead_s, engine.budget_j, engine.energy_j, engine.is_rounded) == (
        0.0,
        None,
        None,
        False,
    )
    assert (option.per_sum, option.budget, option.energy, option.value_bytes) == (0.0, None, None, None)
