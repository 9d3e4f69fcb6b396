"""Rules with little or no training, as baselines for learned policies.

Fixed splits and the best of them are in :mod:`edgesim.planning.splitting.worth`, the oracle in
:mod:`edgesim.planning.splitting.optimum`.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from edgesim.errors import InputError
from edgesim.planning.splitting.published import SplitProblem
from edgesim.planning.splitting.worth import Choose

__all__ = ["Bandit", "Thresholds", "fit_thresholds", "greedy", "random_splits"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def greedy(problem: SplitProblem) -> Choose:
    """Return a rule that chooses the action with the largest reward of this step, by the table itself."""
    actions = np.arange(problem.moves.n_actions)

    def choose(loss: Floats, split: Ints, n_left: int) -> Ints:
        base = problem.base(loss, split)[:, np.newaxis]
        _, _, reward = problem.step(loss[:, np.newaxis], split[:, np.newaxis], actions, base)
        best: Ints = np.argmax(reward, axis=1)
        return best

    return choose


def random_splits(problem: SplitProblem, seed: int = 0) -> Choose:
    """Return a rule that chooses actions at random, all equally probable."""
    rng = np.random.default_rng(seed)
    return lambda loss, split, n_left: rng.integers(problem.moves.n_actions, size=len(loss))


@dataclass(frozen=True)
class Thresholds:
    """A rule that assigns a split to each interval of the loss probability.

    Attributes
    ----------
    losses : [n]
        Thresholds, increasing.
    splits : [n + 1]
        Split below the first threshold, between each two, and above the last.
    """

    losses: tuple[float, ...]
    splits: tuple[int, ...]

    def split(self, loss: Floats) -> Ints:
        """Return the split for each loss: [n]."""
        chosen: Ints = np.asarray(self.splits)[np.searchsorted(np.asarray(self.losses), loss, side="right")]
        return chosen

    def chooser(self, problem: SplitProblem) -> Choose:
        """Return a rule that moves to the split of the current loss in the fewest steps."""
        moves = problem.moves
        return lambda loss, at, n_left: moves.towards[at - moves.first, self.split(loss) - moves.first]


def fit_thresholds(problem: SplitProblem, n_thresholds: int = 1, n_losses: int = 200) -> Thresholds:
    """Fit thresholds to a table: the piecewise constant rule of largest reward, by dynamic programming.

    Parameters
    ----------
    n_thresholds
        Most thresholds; fewer are used if more gain nothing.
    n_losses
        Number of evenly spaced losses between which a threshold may lie.
    """
    if n_thresholds < 0 or n_losses <= n_thresholds:
        raise InputError(
            f"thresholds: {n_thresholds} among {n_losses} losses; expected fewer thresholds than losses"
        )
    low, high = problem.start_loss
    losses = low + (high - low) * (np.arange(n_losses) + 0.5) / n_losses
    splits = np.arange(problem.moves.first, problem.moves.last + 1)
    gained = np.zeros((n_losses + 1, len(splits)))
    gained[1:] = np.cumsum(problem.reward(losses[:, np.newaxis], splits), axis=0)
    piece = (gained[np.newaxis] - gained[:, np.newaxis]).max(axis=2)  # [first loss, end of losses]
    best, cuts = piece[0].copy(), [np.zeros(n_losses + 1, np.int64)]
    for _ in range(n_thresholds):
        every = np.where(np.tri(n_losses + 1, dtype=np.bool_).T, best[:, np.newaxis] + piece, -np.inf)
        cuts.append(np.argmax(every, axis=0))
        best = every.max(axis=0)
    ends = [n_losses]
    for back in reversed(cuts):
        ends.append(int(back[ends[-1]]))
    bounds = sorted(set(ends))
    chosen = [int(splits[np.argmax(gained[stop] - gained[start])]) for start, stop in pairwise(bounds)]
    inner = [float((losses[cut - 1] + losses[cut]) / 2) for cut in bounds[1:-1]]
    kept = [place for place in range(len(inner)) if chosen[place] != chosen[place + 1]]
    return Thresholds(tuple(inner[k] for k in kept), (*(chosen[k] for k in kept), chosen[-1]))


class Bandit:
    """A contextual bandit: upper confidence bounds (UCB1) of each split, per bin of the loss.

    Auer, Cesa-Bianchi and Fischer 2002, doi:10.1023/A:1013689704352, with rewards divided by the range seen.

    Parameters
    ----------
    n_bins
        Bins of the loss, from 0 to the problem's largest.
    width
        Width of the confidence bound, relative to UCB1's.
    """

    def __init__(self, problem: SplitProblem, n_bins: int = 15, width: float = 0.3) -> None:
        self._problem, self._n_bins, self._width = problem, n_bins, width
        self._sums = np.zeros((n_bins, problem.moves.n_splits))
        self._counts = np.zeros((n_bins, problem.moves.n_splits))

    def learn(self, n_steps: int, seed: int = 0) -> None:
        """Try a split for each of `n_steps` losses drawn from the starts' range, and store the rewards."""
        rng, problem = np.random.default_rng(seed), self._problem
        low, high = np.inf, -np.inf
        for loss in rng.uniform(*problem.start_loss, n_steps):
            row = self._bins(np.array([loss]))[0]
            counts, sums = self._counts[row], self._sums[row]
            if (counts == 0).any():
                arm = int(np.argmin(counts))
            else:
                bound = self._width * np.sqrt(2 * np.log(counts.sum()) / counts)
                arm = int(np.argmax(sums / counts + bound * max(high - low, 1e-12)))
            reward = float(problem.reward(loss, problem.moves.first + arm))
            low, high = min(low, reward), max(high, reward)
            counts[arm] += 1
            sums[arm] += reward

    def chooser(self) -> Choose:
        """Return a rule that moves to the split with the best mean reward in the loss's bin."""
        moves = self._problem.moves
        tried = self._counts > 0
        means = np.where(tried, self._sums / np.maximum(self._counts, 1), -np.inf)
        best = np.argmax(means, axis=1)
        return lambda loss, at, n_left: moves.towards[at - moves.first, best[self._bins(loss)]]

    def _bins(self, loss: Floats) -> Ints:
        found: Ints = np.clip(
            (loss / self._problem.most_loss * self._n_bins).astype(np.int64), 0, self._n_bins - 1
        )
        return found
