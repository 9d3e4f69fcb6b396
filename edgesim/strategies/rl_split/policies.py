"""Rules that choose the split: heuristics, baselines and the oracle."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from edgesim.strategies.rl_split.estimates import Estimates, Reach
from edgesim.strategy import Cluster, LiveRequest

__all__ = ["Bandit", "Situation", "best", "by_threshold", "greedy", "oracle"]

_BINS = (0.001, 0.01, 0.03, 0.1, 0.2, 0.4)  # bounds of a bandit's ranges of the loss probability


@dataclass(frozen=True, eq=False)
class Situation:
    """State in which a decision is taken."""

    cluster: Cluster
    request: LiveRequest
    edge: str
    split: int
    splits: tuple[int, ...]
    seen: Mapping[str, float]
    reach: Reach


def best(values: np.ndarray) -> int:
    """Return the index of the largest value; of equal ones, the first."""
    return int(np.argmax(values))


def greedy(at: Situation, estimates: Estimates) -> int:
    """Return the split of best quality and least load at the present loss."""
    return best(estimates.greedy(at.seen["loss"], at.splits))


def oracle(at: Situation, estimates: Estimates) -> int:
    """Return the split of largest expected utility, given channel, table, queues and times."""
    return best(estimates.utility(at.cluster, at.request, at.edge, at.split, at.splits, at.reach))


def by_threshold(at: Situation, threshold: float) -> int:
    """Return the first split if the loss is at most the threshold, else the last."""
    return 0 if at.seen["loss"] <= threshold else len(at.splits) - 1


@dataclass(eq=False)
class Bandit:
    """Upper confidence bounds (UCB1, Auer et al. 2002) in each of a few ranges of the loss probability.

    Rewards are scaled by their range so far.
    """

    n_arms: int
    explore: float = 1.0
    n: dict[int, list[int]] = field(default_factory=dict)
    total: dict[int, list[float]] = field(default_factory=dict)
    worst: float = math.inf
    top: float = -math.inf

    def context(self, loss: float) -> int:
        """Return the index of the range that contains a loss probability."""
        return sum(loss > bound for bound in _BINS)

    def choose(self, loss: float) -> int:
        """Return the arm to play."""
        context = self.context(loss)
        counts = self.n.setdefault(context, [0] * self.n_arms)
        totals = self.total.setdefault(context, [0.0] * self.n_arms)
        if 0 in counts:
            return counts.index(0)
        span = max(self.top - self.worst, 1e-12)
        n_all = sum(counts)
        bounds = [
            (total / n - self.worst) / span + self.explore * math.sqrt(2.0 * math.log(n_all) / n)
            for total, n in zip(totals, counts, strict=True)
        ]
        return best(np.array(bounds))

    def learn(self, loss: float, arm: int, reward: float) -> None:
        """Record the reward of a choice."""
        context = self.context(loss)
        counts = self.n.setdefault(context, [0] * self.n_arms)
        totals = self.total.setdefault(context, [0.0] * self.n_arms)
        counts[arm] += 1
        totals[arm] += reward
        self.worst, self.top = min(self.worst, reward), max(self.top, reward)
