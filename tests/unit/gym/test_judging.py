"""What a policy is set against: every fixed choice, however actions are counted."""

from __future__ import annotations

import numpy as np
import pytest
from one_phone import one_phone
from policies import always

from edgesim import runner
from edgesim.gym.decision_judging import Judged, judge
from edgesim.scenario.load import parse

SPLITS = (1, 2, 4)


def judged(options: str) -> Judged:
    split = (
        "{use: rl_split, label: it, to: edge, splits: [1, 2, 4], decide: 2, utility: {latency_per_s: 1}, "
        f"{options}}}"
    )
    text = one_phone(split, name="judged", horizon="3 s", arrivals="poisson: 4 Hz", prompt=8, output=4)
    lesson = runner.lesson(runner.prepare(parse(text)), "it")
    n_actions = len(lesson.training.moves or SPLITS)
    policy = always(0, n_actions, lesson.training.observations)
    return judge(lesson.prepared, "it", lesson.training, policy, n_replications=1)


def test_relative_moves_are_judged_against_the_same_fixed_splits_as_absolute_ones() -> None:
    absolute, relative = (judged(f"actions: {actions}") for actions in ("absolute", "relative"))
    assert absolute.names == relative.names == ("split 1", "split 2", "split 4")
    assert absolute.rivals == relative.rivals == "fixed splits"
    np.testing.assert_array_equal(relative.constant, absolute.constant)
    assert len(np.unique(absolute.constant)) == len(SPLITS)
    assert relative.policy == relative.constant[1]  # it stays where it begins, in the middle


def test_moves_without_a_split_to_see_are_called_moves() -> None:
    found = judged("actions: relative, see: [loss]")
    assert found.rivals == "constant moves"
    assert found.names == ("always +0", "always -1", "always +1", "always -2", "always +2")
    assert found.facts()["best_constant"] in found.names


@pytest.mark.parametrize(("worth", "best"), [((0.0, 2.0, 1.0), "b"), ((3.0, 2.0, 1.0), "a")])
def test_the_best_is_named(worth: tuple[float, ...], best: str) -> None:
    constant = np.array(worth)[:, np.newaxis] + np.array([0.0, 0.5])
    facts = Judged(np.array([4.0, 5.0]), constant, "constant actions", ("a", "b", "c")).facts()
    assert facts["best_constant"] == best
    assert facts["gain_over_best_constant"] == pytest.approx(4.25 - max(worth))
