"""The optimum of a split problem by dynamic programming over loss, split and steps left."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgesim.planning.splitting.published import SplitProblem

__all__ = ["Optimum", "optimum"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Optimum:
    """Values of the optimal policy, which depends on the table and the number of steps left.

    Attributes
    ----------
    problem
        The problem solved.
    loss, base : [n_losses], [n_bases]
        Grid points.
    values : [n_steps + 1, n_losses, n_splits, n_bases]
        Expected rewards, by number of steps left.
    """

    problem: SplitProblem
    loss: Floats
    base: Floats
    values: Floats

    def returns(self, loss: Floats, split: Ints, n_left: int, base: Floats | float = 1.0) -> Floats:
        """Return the future reward of every action, followed by optimal ones: [n] to [n, n_actions]."""
        actions = np.arange(self.problem.moves.n_actions)
        bases = np.broadcast_to(base, loss.shape)[:, np.newaxis]
        after, splits, reward = self.problem.step(loss[:, np.newaxis], split[:, np.newaxis], actions, bases)
        return reward + self._value(n_left - 1, after, splits, bases)

    def act(self, loss: Floats, split: Ints, n_left: int, base: Floats | float = 1.0) -> Ints:
        """Return the best action with this number of steps left: [n]."""
        best: Ints = np.argmax(self.returns(loss, split, n_left, base), axis=-1)
        return best

    def _value(self, n_left: int, loss: Floats, split: Ints, base: Floats) -> Floats:
        return _interpolated(
            self.values[n_left], self.loss, self.base, loss, split - self.problem.moves.first, base
        )


def optimum(problem: SplitProblem, *, least_losses: int = 600, n_bases: int = 17) -> Optimum:
    """Solve the problem backwards from the last step.

    Values between grid points are linear in loss. The grid contains the points of the table, so rewards are
    exact there. The remaining error is the bend of a maximum of lines between two neighbours: at most a
    quarter of their distance times the difference of slopes.

    Parameters
    ----------
    least_losses
        Grid points in loss, in addition to those of the table.
    n_bases
        Grid points in reference perplexity, where it depends on the start.
    """
    moves, table = problem.moves, problem.table
    loss = np.unique(
        np.concatenate(
            [np.linspace(0.0, problem.most_loss, least_losses), table.loss[table.loss <= problem.most_loss]]
        )
    )
    base = np.ones(1)
    if problem.is_relative_to_start:
        covered = problem.base(loss[:, np.newaxis], np.arange(moves.first, moves.last + 1))
        # Rewards are linear in the inverse of the reference perplexity.
        base = 1 / np.linspace(1 / covered.min(), 1 / (covered.max() + 1e-9), n_bases)
    values = np.zeros((problem.n_steps + 1, len(loss), moves.n_splits, len(base)))
    solved = Optimum(problem, loss, base, values)
    splits = np.arange(moves.first, moves.last + 1)
    at = np.meshgrid(loss, splits, base, indexing="ij")
    flat = [each.ravel() for each in at]
    for n_left in range(1, problem.n_steps + 1):
        values[n_left] = solved.returns(flat[0], flat[1], n_left, flat[2]).max(axis=1).reshape(at[0].shape)
    return solved


def _interpolated(
    values: Floats, losses: Floats, bases: Floats, loss: Floats, row: Ints, base: Floats
) -> Floats:
    """Return values, [n_losses, n_splits, n_bases], interpolated linearly between losses and bases."""
    low = np.clip(np.searchsorted(losses, loss, side="right") - 1, 0, len(losses) - 2)
    share = (loss - losses[low]) / (losses[low + 1] - losses[low])
    if len(bases) == 1:
        alone: Floats = values[low, row, 0] * (1 - share) + values[low + 1, row, 0] * share
        return alone
    left = np.clip(np.searchsorted(bases, base, side="right") - 1, 0, len(bases) - 2)
    across = (1 / base - 1 / bases[left]) / (1 / bases[left + 1] - 1 / bases[left])

    def at(place: Ints) -> Floats:
        between: Floats = values[place, row, left] * (1 - across) + values[place, row, left + 1] * across
        return between

    found: Floats = at(low) * (1 - share) + at(low + 1) * share
    return found
