"""The measuring loop on a fake excerpt, whose times are known and whose disturbances are made up."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from edgesim.measure.grid import Grid, Shape  # noqa: E402  torch comes first
from edgesim.measure.timing import _Rounds, _threads  # noqa: E402
from edgesim.model.architecture import Component  # noqa: E402

GRID = Grid.covering(64, 64)


class FakeExcerpt:
    """Linear in the tokens; three passes in four take up to twenty times too long."""

    def __init__(self, disturbed: float) -> None:
        self.visits: list[Shape] = []
        self._random, self._disturbed = random.Random(0), disturbed

    def time_pass(self, shape: Shape) -> dict[Component, float]:
        self.visits.append(shape)
        slowness = self._random.uniform(1.3, 20) if self._random.random() < self._disturbed else 1.0
        block_s = slowness * true_s(shape)
        return {
            Component.EMBEDDING: block_s / 4,
            Component.ATTENTION: block_s / 2,
            Component.MLP: block_s / 2,
            Component.BLOCK: block_s,
            Component.HEAD: block_s,
        }

    def pass_s(self, times: dict[Component, float]) -> float:
        return 3 * times[Component.BLOCK]

    def time_steps(self, shape: Shape) -> tuple[float, float]:
        self.visits.append(shape)
        return 2e-3, 1e-3


def true_s(shape: Shape) -> float:
    return 1e-3 * (1 + shape.n_new / 10 + shape.n_context / 100)


def measured(disturbed: float, budget_s: float = 0.3) -> tuple[FakeExcerpt, _Rounds]:
    excerpt = FakeExcerpt(disturbed)
    fake: Any = excerpt
    rounds = _Rounds(fake, GRID, seed=0)
    rounds.warm_up()
    excerpt.visits.clear()
    rounds.spend(budget_s, lambda *_: None, lambda: None)
    return excerpt, rounds


def test_times_stand_firm_though_two_passes_in_three_are_disturbed() -> None:
    for point in measured(disturbed=2 / 3)[1].points():
        if point.component is Component.BLOCK:
            shape = Shape(point.batch, point.n_new, point.n_context)
            assert point.median_s == pytest.approx(true_s(shape))


def test_points_held_out_are_predicted_from_the_others() -> None:
    points = measured(disturbed=0)[1].points()

    assert [p.predicted_s is not None for p in points] == [p.held_out for p in points]
    assert {p.predicted_s == pytest.approx(p.median_s) for p in points if p.held_out} == {True}


def test_a_round_visits_every_point_and_each_round_in_another_order() -> None:
    visits = measured(disturbed=0, budget_s=0)[0].visits
    n_rounds = 3  # the least, whatever the budget
    per_round = Counter(visits)

    assert all(count % n_rounds == 0 for count in per_round.values())
    first, second = (list(dict.fromkeys(visits[i * len(visits) // 3 :])) for i in (0, 1))
    assert set(first) == set(second) == {*GRID.shapes(), *GRID.step_shapes()}
    assert first != second


def test_a_spent_budget_ends_the_rounds() -> None:
    done: list[float] = []
    fake: Any = FakeExcerpt(disturbed=0.5)
    rounds = _Rounds(fake, GRID, seed=0)
    rounds.warm_up()
    rounds.spend(0.05, lambda done_s, *_: done.append(done_s), lambda: None)

    assert done == sorted(done)
    assert done[-1] == pytest.approx(0.05, abs=0.01)


def test_measuring_ends_early_when_nothing_varies() -> None:
    assert len(measured(disturbed=0, budget_s=60)[0].visits) < 10 * len(GRID.shapes())


def test_the_least_certain_points_get_the_rest_of_the_budget() -> None:
    points = measured(disturbed=0.5)[1].points()
    repeats = [point.n_repeats for point in points if point.component is Component.BLOCK]

    assert max(repeats) > 1.5 * min(repeats)


def test_torchs_number_of_threads_is_put_back() -> None:
    before = torch.get_num_threads()
    with pytest.raises(RuntimeError, match="inside"), _threads(before + 1):
        assert torch.get_num_threads() == before + 1
        raise RuntimeError("inside")
    assert torch.get_num_threads() == before
