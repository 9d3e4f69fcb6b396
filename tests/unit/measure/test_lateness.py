"""What a profile says of lateness."""

from __future__ import annotations

import numpy as np
import pytest

from edgesim.measure.lateness import lateness_facts
from edgesim.model.lateness.laws import LognormalLateness


def test_family_of_the_late_and_moments_of_all() -> None:
    """Three in four late by a lognormal law: its family, and mean and spread with the zeros among them."""
    law = LognormalLateness(1e-4, 1.2)
    late_s = law.draws_s(np.random.default_rng(0).random(3000))
    told = lateness_facts(np.concatenate([late_s, np.zeros(1000)]))
    assert told is not None
    assert (told["law"], told["share"], told["n"]) == ("lognormal", 0.75, 4000)
    assert told["mean_s"] == pytest.approx(0.75 * late_s.mean())
    square = 0.75 * (late_s**2).mean()
    assert told["spread"] == pytest.approx(np.sqrt(square - told["mean_s"] ** 2) / told["mean_s"])


@pytest.mark.parametrize("late_s", [np.zeros(0), np.zeros(50), np.array([0.0, 1e-6])])
def test_a_machine_that_is_never_late_has_none(late_s) -> None:
    assert lateness_facts(late_s) is None
