"""Ways of choosing the cut: rules, rivals, and what was trained."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from edgesim.strategies.rl_split.estimates import Estimates, Reach
from edgesim.strategy import Cluster, LiveRequest

__all__ = ["Bandit", "Situation", "best", "by_threshold", "greedy", "oracle"]

_BINS = (0.001, 0.01, 0.03, 0.1, 0.2, 0.4)  # of the loss probability, between which a bandit tells apart


@dataclass(frozen=True, eq=False)
class Situation:
    """One decision."""

    cluster: Cluster
    request: LiveRequest
    edge: str
    split: int
    splits: tuple[int, ...]
    seen: Mapping[str, float]
    reach: Reach


def best(values: np.ndarray) -> int:
    """The first of the largest."""
    return int(np.argmax(values))


def greedy(at: Situation, estimates: Estimates) -> int:
    """The cut of best answers and least load at the loss of the instant."""
    return best(estimates.greedy(at.seen["loss"], at.splits))


def oracle(at: Situation, estimates: Estimates) -> int:
    """The best of all cuts by the expected utility, for whoever knows channel, table, queues and times."""
    return best(estimates.utility(at.cluster, at.request, at.edge, at.split, at.splits, at.reach))


def by_threshold(at: Situation, threshold: float) -> int:
    """The first cut while the channel loses no more than a threshold, else the last."""
    return 0 if at.seen["loss"] <= threshold else len(at.splits) - 1


@dataclass(eq=False)
class Bandit:
    """Upper confidence bounds (UCB1, Auer et al. 2002) in each of a few ranges of the loss probability.

    Rewards are scaled by the range that was seen so far.
    """

    n_arms: int
    explore: float = 1.0
    n: dict[int, list[int]] = field(default_factory=dict)
    total: dict[int, list[float]] = field(default_factory=dict)
    worst: float = math.inf
    top: float = -math.inf

    def context(self, loss: float) -> int:
        """The range that a loss probability is in."""
        return sum(loss > bound for bound in _BINS)

    def choose(self, loss: float) -> int:
        """An arm."""
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
        """Take in what a choice was worth."""
        context = self.context(loss)
        counts = self.n.setdefault(context, [0] * self.n_arms)
        totals = self.total.setdefault(context, [0.0] * self.n_arms)
        counts[arm] += 1
        totals[arm] += reward
        self.worst, self.top = min(self.worst, reward), max(self.top, reward)
