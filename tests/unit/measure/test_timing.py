"""The measuring loop on a fake excerpt and a fake clock: known times, made-up disturbances, no waiting."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from edgesim.measure import timing  # noqa: E402  torch comes first
from edgesim.measure.grid import Grid, PassShape  # noqa: E402
from edgesim.model.architecture import Component  # noqa: E402

GRID = Grid.covering(64, 64)
NOISY = PassShape(1, 32, 0)
ONE_PROMPT = replace(GRID, prompts=GRID.prompts[:1], held_out_prompts=())


def true_s(shape: PassShape) -> float:
    return 1e-3 * (1 + shape.n_new / 10 + shape.n_context / 100)


N_BLOCKS = 3
PROMPTS_FIRST = 0.5  # how many times as much longer the first block takes in a prompt


class FakeExcerpt:
    """Times linear in the tokens; a share of the passes takes up to twenty times as long as it should."""

    has_like_blocks = True

    def __init__(
        self, disturbed: dict[PassShape, float] | float, slower: float = 1.0, first_s: float = 0.0
    ) -> None:
        self._first_s = first_s
        self.visits: list[PassShape] = []
        self.passes: list[PassShape] = []
        self.n_called_blocks: list[int] = []
        self.now_s = 0.0
        self._slower = slower
        self._random, self._disturbed = random.Random(0), disturbed

    def n_called(self, n_wanted: int) -> int:
        return max(1, min(n_wanted, N_BLOCKS))

    def time_pass(self, shape: PassShape, n_wanted: int) -> dict[Component, float]:
        n_called = self.n_called(n_wanted)
        self.visits.append(shape)
        self.passes.append(shape)
        self.n_called_blocks.append(n_called)
        share = self._disturbed if isinstance(self._disturbed, float) else self._disturbed.get(shape, 0.0)
        slowness = self._random.uniform(1.3, 20) if self._random.random() < share else 1.0
        block_s = slowness * self._slower * true_s(shape)
        halves = (Component.ATTENTION, Component.MLP)
        self.halves_s = {half: [block_s / 2] * n_called for half in halves}
        first_s = self._first_s if shape.n_context else PROMPTS_FIRST * self._first_s
        self.halves_s[Component.ATTENTION][0] += first_s
        mean_s = first_s / n_called
        times = {
            Component.EMBEDDING: block_s / 4,
            Component.ATTENTION: block_s / 2 + mean_s,
            Component.MLP: block_s / 2,
            Component.BLOCK: block_s + mean_s,
            Component.HEAD: block_s,
        }
        self.now_s += (n_called + 1.25) * block_s
        return times

    def time_steps(self, shape: PassShape, n_wanted: int) -> tuple[float, float]:
        self.visits.append(shape)
        self.now_s += 6e-3
        return 2e-3, 1e-3


@pytest.fixture
def measure(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run the rounds, and return the excerpt, the rounds and what was reported."""

    def run(
        disturbed: dict[PassShape, float] | float,
        budget_s: float,
        grid: Grid = GRID,
        slower: float = 1.0,
        probe_s: float = 0.0,
    ) -> Any:
        excerpt: Any = FakeExcerpt(disturbed, slower)
        monkeypatch.setattr(timing, "perf_counter", lambda: excerpt.now_s)
        rounds = timing.Rounds(dict.fromkeys(grid.shards, excerpt), grid, seed=0)
        rounds.warm_up()
        warm_up_s = excerpt.now_s
        excerpt.visits.clear()
        done: list[float] = []

        def probe() -> None:
            excerpt.now_s += probe_s

        rounds.spend(budget_s, lambda done_s, *_: done.append(done_s), probe, spent_s=warm_up_s)
        return excerpt, rounds.points(), done

    return run


def test_times_stand_firm_though_two_passes_in_three_are_disturbed(measure: Any) -> None:
    for point in measure(2 / 3, budget_s=200)[1]:
        if point.component is Component.BLOCK:
            assert point.median_s == pytest.approx(
                true_s(PassShape(point.batch, point.n_new, point.n_context))
            )


@pytest.mark.parametrize("share", [0.0, 0.3])
def test_what_disturbs_decoding_is_told_as_lateness(share: float) -> None:
    """Half blocks are behind by their slowness, between 0.3 and 19 of them, in so many passes of ten."""
    excerpt: Any = FakeExcerpt(share)
    rounds = timing.Rounds(dict.fromkeys(GRID.shards, excerpt), GRID, seed=0)
    rounds.warm_up()
    for _ in range(40):
        for shape in GRID.shapes():
            rounds.visit(shape, False)
    late_s = rounds.late_s()
    decoded = [true_s(shape) / 2 for shape in GRID.shapes() if shape.n_context and shape.batch == 1]
    assert late_s.size > 2 * 40 * len(decoded)  # both halves of every block of every pass
    assert (late_s > 0).mean() == pytest.approx(share, abs=0.05)
    assert late_s.max() <= 19 * max(decoded)
    assert share == 0.0 or late_s[late_s > 0].min() >= 0.3 * min(decoded)


@pytest.mark.parametrize("fastest", [1, 4])
@pytest.mark.parametrize("first_s", [1e-3, -0.2e-3])
@pytest.mark.parametrize("has_like_blocks", [True, False])
@pytest.mark.parametrize("whole_passes", [True, False])
def test_a_first_block_counts_once_however_many_blocks_the_model_has(
    whole_passes: bool, has_like_blocks: bool, first_s: float, fastest: int
) -> None:
    """Three blocks are called, of which the first takes longer, or shorter."""
    excerpt: Any = FakeExcerpt(0.0, first_s=first_s)
    excerpt.has_like_blocks = has_like_blocks
    grid = ONE_PROMPT if whole_passes else GRID
    rounds = timing.Rounds(
        dict.fromkeys(grid.shards, excerpt), grid, seed=0, fastest=fastest, whole_passes=whole_passes
    )
    rounds.warm_up()
    shapes = [shape for shape in grid.shapes() if N_BLOCKS * 1.1 * (true_s(shape) + first_s) < 0.05]
    for shape in shapes:
        rounds.visit(shape, False)

    found = {
        (p.component, PassShape(p.batch, p.n_new, p.n_context, p.held_out, p.n_shards)): p
        for p in rounds.points()
    }
    assert {shape.n_context > 0 for shape in shapes} == {True, False}
    for shape in shapes:
        longer_s = first_s if shape.n_context else PROMPTS_FIRST * first_s
        is_apart = has_like_blocks and (shape.n_context > 0 or whole_passes)
        mean_s = 0.0 if is_apart else longer_s / N_BLOCKS
        assert found[Component.BLOCK, shape].median_s == pytest.approx(true_s(shape) + mean_s)
        assert found[Component.ATTENTION, shape].median_s == pytest.approx(true_s(shape) / 2 + mean_s)
        if shape.n_shards == 1:
            apart_s = longer_s if is_apart else 0.0
            assert found[Component.EMBEDDING, shape].median_s == pytest.approx(true_s(shape) / 4 + apart_s)


def test_a_decoding_pass_calls_two_blocks_where_one_would_do_and_long_ones_alone() -> None:
    excerpt: Any = FakeExcerpt(0.0, slower=20.0)
    rounds = timing.Rounds(dict.fromkeys(GRID.shards, excerpt), GRID, seed=0)
    rounds.warm_up()
    for shape in GRID.shapes():
        block_s = 20.0 * true_s(shape)
        n_fit = int(0.05 / block_s)
        rounds.visit(shape, False)
        expected = max(1, min(n_fit, N_BLOCKS))
        assert excerpt.n_called_blocks[-1] == (2 if n_fit == 1 and shape.n_context else expected)


def test_whole_passes_call_all_blocks_however_long_they_take() -> None:
    excerpt: Any = FakeExcerpt(0.0, slower=200.0)
    rounds = timing.Rounds(dict.fromkeys(ONE_PROMPT.shards, excerpt), ONE_PROMPT, seed=0, whole_passes=True)
    rounds.warm_up()
    excerpt.n_called_blocks.clear()
    for shape in ONE_PROMPT.shapes():
        rounds.visit(shape, False)

    assert set(excerpt.n_called_blocks) == {N_BLOCKS}
    with pytest.raises(ValueError, match="one length"):
        timing.Rounds({1: excerpt}, GRID, seed=0, whole_passes=True)


def test_points_held_out_are_predicted_from_the_others(measure: Any) -> None:
    points = measure(0.0, budget_s=1)[1]

    assert [p.predicted_s is not None for p in points] == [p.held_out for p in points]
    assert all(p.predicted_s == pytest.approx(p.median_s) for p in points if p.held_out)


def test_a_round_visits_every_point_and_each_round_in_another_order(measure: Any) -> None:
    visits = measure(0.0, budget_s=0)[0].visits
    n_rounds = 3  # the least, whatever the budget
    size = len(visits) // n_rounds
    orders = [list(dict.fromkeys(visits[i * size : (i + 1) * size])) for i in range(n_rounds)]

    assert all(count % n_rounds == 0 for count in Counter(visits).values())
    assert all(set(order) == {*GRID.shapes(), *GRID.step_shapes()} for order in orders)
    assert orders[0] != orders[1] != orders[2]


def test_a_spent_budget_ends_the_rounds(measure: Any) -> None:
    excerpt, _, done = measure(0.5, budget_s=20)
    longest_visit_s = 4 * (N_BLOCKS + 1.25) * 20 * true_s(PassShape(1, 64, 0))

    assert done == sorted(done)
    assert done[-1] == 20
    assert excerpt.now_s < 20 + longest_visit_s


def test_the_budget_bounds_warming_up_shards_and_ceilings_together(measure: Any) -> None:
    grid = Grid.covering(64, 64, shards=(2, 4, 8))
    excerpt, _, _ = measure(0.5, budget_s=150, grid=grid, slower=10, probe_s=10.0)
    longest_visit_s = 4 * 20 * 10 * (N_BLOCKS + 1.25) * true_s(PassShape(1, 64, 0))

    assert excerpt.now_s < 150 + longest_visit_s
    assert len(excerpt.visits) >= 3 * (len(grid.shapes()) + len(grid.step_shapes()))


def test_what_comes_between_rounds_is_not_charged_to_the_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    def n_visits(between_s: float) -> int:
        excerpt: Any = FakeExcerpt(0.5)
        monkeypatch.setattr(timing, "perf_counter", lambda: excerpt.now_s)
        rounds = timing.Rounds({1: excerpt}, GRID, seed=0)
        rounds.warm_up()

        def between() -> None:
            excerpt.now_s += between_s

        rounds.spend(20, lambda *_: None, lambda: None, between)
        return len(excerpt.visits)

    assert n_visits(0.0) == n_visits(100.0)


@pytest.mark.parametrize(("slower", "n_blocks"), [(0.01, N_BLOCKS), (15.0, 2), (1000.0, 1)])
def test_a_pass_calls_as_many_blocks_as_its_time_allows(measure: Any, slower: float, n_blocks: int) -> None:
    """The shortest decoding step takes 1.26 ms a block at slowness 1, and a pass may take 50 ms."""
    excerpt, _, _ = measure(0.0, budget_s=0, slower=slower)
    shape = PassShape(1, 1, 16)
    called = [n for visit, n in zip(excerpt.passes, excerpt.n_called_blocks, strict=True) if visit == shape]

    assert called[0] == 1  # warming up
    assert set(called[1:]) == {min(N_BLOCKS, max(1, int(0.05 / (slower * true_s(shape)))))}
    assert called[-1] == n_blocks


def test_a_slow_first_pass_does_not_shorten_the_later_ones(measure: Any) -> None:
    """A disturbed first pass lets few blocks be called; as soon as one is not disturbed, more are."""
    excerpt, _, _ = measure(0.5, budget_s=60)
    shape = PassShape(1, 1, 16)
    called = [n for visit, n in zip(excerpt.passes, excerpt.n_called_blocks, strict=True) if visit == shape]

    assert called[-1] == N_BLOCKS


def test_measuring_ends_early_when_nothing_varies(measure: Any) -> None:
    assert measure(0.0, budget_s=1000)[0].now_s < 10


def test_the_least_certain_points_get_the_rest_of_the_budget(measure: Any) -> None:
    visits = Counter(measure({NOISY: 0.5}, budget_s=20)[0].visits)
    alike = PassShape(1, 24, 0)  # about as long, but never disturbed

    assert visits[NOISY] > 1.5 * visits[alike]


def test_of_a_shard_only_what_it_has_a_share_of_is_kept(measure: Any) -> None:
    points = measure(0.0, budget_s=1, grid=Grid.covering(64, 64, shards=(4,)))[1]
    divided = {Component.ATTENTION, Component.MLP, Component.BLOCK}

    assert {p.component for p in points if p.n_shards == 1} == set(Component)
    assert {p.component for p in points if p.n_shards == 4} == divided
    assert {p.at for p in points if p.n_shards == 4} == {
        p.at for p in points if p.n_shards == 1 and p.component is Component.BLOCK
    }


def test_torchs_number_of_threads_is_put_back() -> None:
    before = torch.get_num_threads()
    with timing._threads(before + 1):
        assert torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before
