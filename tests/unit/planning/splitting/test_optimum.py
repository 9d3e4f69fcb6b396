"""Dynamic programming against enumeration of all action sequences, and rules against the optimum."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from split_tables import rough, tables

from edgesim.errors import InputError
from edgesim.planning.splitting.moves import Moves
from edgesim.planning.splitting.optimum import optimum
from edgesim.planning.splitting.published import SplitProblem, published_problem
from edgesim.planning.splitting.rules import Bandit, fit_thresholds, greedy, random_splits
from edgesim.planning.splitting.table import SplitTable
from edgesim.planning.splitting.worth import best_fixed, fixed, worth


def every_sequence(problem: SplitProblem, loss: float, split: int) -> float:
    """The best return over all sequences, by a loop over plain numbers."""
    base = 1.0 - float(problem.table.value(loss, split)) if problem.is_relative_to_start else 1.0
    first, last = problem.moves.first, problem.moves.last
    best = -np.inf
    for actions in product(range(problem.moves.n_actions), repeat=problem.n_steps):
        p, at, total = loss, split, 0.0
        for action in actions:
            if problem.moves.kind == "absolute":
                to = first + action
                p *= 1 - problem.drift.share * ((to > at) - (to < at))
            else:
                jump = (action + 1) // 2 * (-1 if action % 2 else 1)
                to = min(max(at + jump, first), last)
                p *= 1 - problem.drift.share * (to - at)
            p, at = min(max(p, 0.0), problem.most_loss), to
            relative = 1 - (1 - float(problem.table.value(p, at))) / base
            total += problem.quality_weight * relative + problem.load_weight * (last - at) / last
        best = max(best, total)
    return best


@pytest.mark.parametrize("variant", ["true", "surrogate"])
@pytest.mark.parametrize("seed", [1, 2])
def test_the_optimum_is_that_of_all_sequences(variant: str, seed: int) -> None:
    table = rough(4, seed)
    problem = published_problem(table, variant)  # type: ignore[arg-type]
    solved = optimum(problem, least_losses=3000, n_bases=129)
    slopes = np.abs(np.diff(table.relative, axis=0)).max() / 0.02
    # What linear interpolation can miss: see optimum(); every step adds its own.
    bound = problem.n_steps * problem.quality_weight * (2 * slopes) * (0.3 / 2999) / 4 + 1e-9
    if problem.is_relative_to_start:  # and likewise between bases
        step = np.abs(np.diff(1 / solved.base)).max()
        bound += problem.n_steps * problem.quality_weight * np.ptp(table.relative) * step / 4
    for loss, split in ((0.1, 2), (0.17, 1), (0.295, 3)):
        base = problem.base(np.array([loss]), np.array([split]))
        found = solved.returns(np.array([loss]), np.array([split]), problem.n_steps, base).max()
        assert found == pytest.approx(every_sequence(problem, loss, split), abs=bound)
    assert bound < 0.25  # of returns that differ by several


def test_published_variants_are_those_of_the_source() -> None:
    table = tables(10)["smooth"]
    true, surrogate = published_problem(table, "true"), published_problem(table, "surrogate")
    assert (true.moves.n_actions, surrogate.moves.n_actions) == (10, 9)
    assert (true.start_loss, true.start_splits) == ((0.08, 0.22), (3, 4, 5, 6))
    assert (surrogate.start_loss, surrogate.start_splits) == ((0.01, 0.3), tuple(range(1, 10)))
    loss, split, reward = surrogate.step(0.2, 5, 4)  # 4: up by two
    assert (loss, split) == (pytest.approx(0.2 * 0.999), 7)
    assert reward == pytest.approx(10 * table.value(loss, 7) + 0.3)
    loss, split, _ = true.step(0.2, 5, 2, true.base(0.2, 5))  # to split 3
    assert (loss, split) == (pytest.approx(0.2 * 1.0005), 3)
    assert true.step(0.2, 5, 4, true.base(0.2, 5))[2] == pytest.approx(0.5)  # nothing changed but the load


def test_presets_scale_to_other_numbers_of_splits() -> None:
    for n_splits in (2, 3, 7, 30):
        table = rough(n_splits, 0)
        for variant in ("true", "surrogate"):
            problem = published_problem(table, variant)  # type: ignore[arg-type]
            assert set(problem.start_splits) <= set(range(1, n_splits + 1))
            assert problem.moves.n_actions == (n_splits if variant == "true" else 2 * problem.moves.reach + 1)


def test_moves_lead_where_a_loop_says() -> None:
    moves = Moves("relative", 1, 6, 2)
    steps = [0, -1, 1, -2, 2]
    for split in range(1, 7):
        assert [moves.after(split, a) for a in range(5)] == [min(max(split + s, 1), 6) for s in steps]
        assert moves.allowed(split).tolist() == [1 <= split + s <= 6 for s in steps]
        for wanted in range(1, 7):
            nearest = min(abs(moves.after(split, a) - wanted) for a in range(5))
            assert abs(moves.after(split, moves.towards[split - 1, wanted - 1]) - wanted) == nearest


def test_the_optimum_has_no_regret_and_the_best_fixed_split_has_all_of_it() -> None:
    problem = published_problem(tables()["two changes"], load_weight=0.0)
    solved = optimum(problem)
    of_best = worth(problem, solved.act, solved)
    assert of_best.regret == pytest.approx(0.0, abs=1e-9)
    assert of_best.agreement == of_best.near_optimal == 1.0
    assert not of_best.is_nothing_to_learn
    assert worth(problem, fixed(problem, best_fixed(problem)), solved).regret == pytest.approx(1.0)
    for split in range(1, 11):
        assert worth(problem, fixed(problem, split), solved).regret >= 1.0 - 1e-9


def test_on_a_flat_table_there_is_nothing_to_learn() -> None:
    problem = published_problem(tables()["flat"], load_weight=0.0)
    solved = optimum(problem)
    found = worth(problem, fixed(problem, 5), solved)
    assert found.is_nothing_to_learn
    assert np.isnan(found.regret)


def test_rules_stand_between_chance_and_the_optimum() -> None:
    problem = published_problem(tables()["one change"], load_weight=0.0)
    solved = optimum(problem)
    assert worth(problem, greedy(problem), solved).regret < 0.3
    assert worth(problem, fit_thresholds(problem).chooser(problem), solved).regret < 0.3
    assert worth(problem, random_splits(problem), solved).regret > 1.0
    bandit = Bandit(problem)
    bandit.learn(20_000)
    assert worth(problem, bandit.chooser(), solved).regret < 0.3


def test_thresholds_are_the_best_of_all_cuts() -> None:
    problem = published_problem(rough(5, 3), load_weight=0.0)
    losses = 0.01 + 0.29 * (np.arange(12) + 0.5) / 12
    rewards = problem.reward(losses[:, np.newaxis], np.arange(1, 6))
    best = max(
        sum(
            rewards[start:stop].sum(axis=0).max() for start, stop in ((0, a), (a, b), (b, 12)) if stop > start
        )
        for a in range(13)
        for b in range(a, 13)
    )
    fitted = fit_thresholds(problem, 2, n_losses=12)
    assert rewards[np.arange(12), fitted.split(losses) - 1].sum() == pytest.approx(best)


def test_problems_that_cannot_be_are_refused() -> None:
    table = rough(4, 0)
    with pytest.raises(InputError, match="no variant 'both'"):
        published_problem(table, "both")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="expected at least two"):
        published_problem(table.at_splits([2]))
    with pytest.raises(InputError, match="ends at loss"):
        published_problem(SplitTable(np.array([0.0, 0.005]), np.array([1, 2]), np.zeros((2, 2))))
    with pytest.raises(InputError, match="not relative perplexities"):
        published_problem(table.weighed(100.0), "true")
