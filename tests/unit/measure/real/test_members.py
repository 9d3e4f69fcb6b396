"""What a group's members compute between sums, against stretches added up by hand."""

from __future__ import annotations

import numpy as np
import pytest

from edgesim.measure.real.members import Members


def slept(*computed_s: float, rest_s: float = 0.25) -> list[tuple[float, float]]:
    """Instants of entering and leaving the sleep behind each of the stretches."""
    ends_s = np.cumsum(computed_s) + rest_s * np.arange(len(computed_s))
    return [(float(end_s), float(end_s) + rest_s) for end_s in ends_s]


def test_stretches_are_distinguished_by_their_places_in_a_pass() -> None:
    """Two blocks: embedding and attention, MLP, attention, MLP; a prompt and two decoding steps."""
    members = Members(n_sums=4)
    one = slept(9.0, 3.0, 1.0, 5.0, *(8.0, 0.4, 0.1, 0.6), *(8.0, 0.5, 0.2, 0.7))
    other = slept(7.0, 4.0, 1.0, 4.0, *(9.0, 0.4, 0.3, 0.4), *(6.0, 0.5, 0.2, 0.7), rest_s=0.5)

    beginning = {"began_at_s": -1.0, "before_s": 0.5}

    members.add([{"sums_s": one, **beginning}, {"sums_s": other, **beginning}])

    prompt, step = members.times(fastest=1)
    assert prompt.attention_s == pytest.approx(1.0)
    assert prompt.mlp_s == pytest.approx((3.0 + 4.0 + 5.0 + 4.0) / 4)
    assert prompt.mean_s == pytest.approx((1.0 + 4.0) / 2)
    # The slower of two takes half their difference longer than their mean.
    assert prompt.late_s == pytest.approx((0.5 + 0.0 + 0.5) / 3)
    assert step.attention_s == pytest.approx((0.2 + 0.2) / 2)
    assert step.mlp_s == pytest.approx((0.45 + 0.6) / 2)
    # The first of a step follows the head and the embedding.
    assert step.late_s == pytest.approx(((0.5 + 0.0 + 0.1 + 0.1) / 4 + 1.0 / 4) / 2)
    # A prompt's first stretch begins behind its preparation, and ends with the last member.
    assert members.first_stretch_s(fastest=1) == pytest.approx(9.0 + 1.0 - 0.5)


def test_a_wait_is_for_the_slowest_of_any_number() -> None:
    members = Members(n_sums=4)
    rng = np.random.default_rng(3)
    computed_s = rng.exponential(1.0, (3, 4 * 2000))  # members, stretches of 2000 passes

    members.add([{"sums_s": slept(*each), "began_at_s": 0.0, "before_s": 0.0} for each in computed_s])

    _, step = members.times(fastest=1)
    assert step.late_s == pytest.approx(1.0 + 1 / 2 + 1 / 3 - 1.0, rel=0.05)  # a harmonic number
