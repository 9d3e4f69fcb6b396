"""Evaluation of split rules and policies: value, regret and agreement with the optimum."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgesim.planning.splitting.optimum import Optimum, optimum
from edgesim.planning.splitting.published import SplitProblem

__all__ = ["GAP", "LEAST_GAIN", "Choose", "PolicyWorth", "best_fixed", "fixed", "starts", "worth"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

Choose = Callable[[Floats, Ints, int], Ints]
"""Function from losses [n], splits [n] and the number of steps left to actions [n]."""

GAP = 0.005
"""Relative value difference below which actions count as equally good."""
LEAST_GAIN = 0.03
"""Relative gain of the optimum over the best fixed split, below which there is nothing to learn."""


@dataclass(frozen=True, slots=True)
class PolicyWorth:
    """Comparison of a rule with the optimum and the best fixed split.

    Attributes
    ----------
    value, optimal, best_fixed
        Mean reward of an episode over the problem's starts: of the rule, of the optimum, and of the best
        fixed split.
    regret
        0: equal to the optimum; 1: equal to the best fixed split. nan if these two earn the same.
    agreement
        Of the visited states where the second best outcome is worse than the best by more than :data:`GAP`,
        the fraction in which the rule chooses the best. nan if there is no such state.
    decided
        Fraction of such states.
    near_optimal
        Of all visited states, the fraction in which the chosen outcome is worse by at most :data:`GAP`.
    gain
        Gain of the optimum over the best fixed split, relative to the latter.
    """

    value: float
    optimal: float
    best_fixed: float
    regret: float
    agreement: float
    decided: float
    near_optimal: float
    gain: float

    @property
    def is_nothing_to_learn(self) -> bool:
        """Whether the optimum gains less than :data:`LEAST_GAIN` over a fixed split."""
        return self.gain < LEAST_GAIN


def starts(problem: SplitProblem, n_losses: int = 200) -> tuple[Floats, Ints]:
    """Return starts that represent their distribution: midpoints of equal loss intervals, by every split."""
    low, high = problem.start_loss
    losses = low + (high - low) * (np.arange(n_losses) + 0.5) / n_losses
    loss, split = np.meshgrid(losses, np.array(problem.start_splits), indexing="ij")
    return loss.ravel(), split.ravel()


def fixed(problem: SplitProblem, split: int) -> Choose:
    """Return a rule that moves to a split in the fewest steps and stays there."""
    moves = problem.moves
    return lambda loss, at, n_left: moves.towards[at - moves.first, split - moves.first]


def best_fixed(problem: SplitProblem, n_losses: int = 200) -> int:
    """Return the fixed split with the largest mean reward over the starts; of equal ones, the first."""
    splits = range(problem.moves.first, problem.moves.last + 1)
    return max(splits, key=lambda split: _episodes(problem, fixed(problem, split), n_losses).mean())


def worth(
    problem: SplitProblem, choose: Choose, best: Optimum | None = None, n_losses: int = 200
) -> PolicyWorth:
    """Apply a rule from all starts, and compare it with the optimum step by step.

    A gap is relative to the value of the state or to the mean over the states visited at that step, the
    larger of the two, so that a value near zero does not make a gap large. Actions with the same outcome
    count as one.

    Parameters
    ----------
    best
        The problem's optimum, if already solved.
    """
    best = best or optimum(problem)
    loss, split = starts(problem, n_losses)
    base = problem.base(loss, split)
    optimal = _episodes(problem, lambda p, at, left: best.act(p, at, left, base), n_losses).mean()
    fixed_value = _episodes(problem, fixed(problem, best_fixed(problem, n_losses)), n_losses).mean()
    total = np.zeros(len(loss))
    right, decided, near = [], [], []
    for n_left in range(problem.n_steps, 0, -1):
        returns = best.returns(loss, split, n_left, base)
        action = choose(loss, split, n_left)
        targets = problem.moves.targets[split - problem.moves.first]
        chosen = returns[np.arange(len(loss)), action]
        most = returns.max(axis=1)
        to = targets[np.arange(len(loss)), np.argmax(returns, axis=1)]
        others = np.where(targets == to[:, np.newaxis], -np.inf, returns).max(axis=1)
        least_gap = GAP * np.maximum(np.abs(most), np.abs(most).mean())
        decided.append(most - others > least_gap)
        right.append(targets[np.arange(len(loss)), action] == to)
        near.append(most - chosen <= least_gap)
        loss, split, reward = problem.step(loss, split, action, base)
        total += reward
    counts = np.concatenate(decided)
    between = optimal - fixed_value
    own = total.mean()
    scale = abs(fixed_value)
    return PolicyWorth(
        value=float(own),
        optimal=float(optimal),
        best_fixed=float(fixed_value),
        regret=float((optimal - own) / between) if between > 1e-9 * max(scale, 1.0) else float("nan"),
        agreement=float(np.concatenate(right)[counts].mean()) if counts.any() else float("nan"),
        decided=float(counts.mean()),
        near_optimal=float(np.concatenate(near).mean()),
        gain=float(between / scale) if scale > 0 else (float("inf") if between > 0 else 0.0),
    )


def _episodes(problem: SplitProblem, choose: Choose, n_losses: int) -> Floats:
    """Return the total reward of an episode from every start: [n]."""
    loss, split = starts(problem, n_losses)
    base = problem.base(loss, split)
    total = np.zeros(len(loss))
    for n_left in range(problem.n_steps, 0, -1):
        loss, split, reward = problem.step(loss, split, choose(loss, split, n_left), base)
        total += reward
    return total
