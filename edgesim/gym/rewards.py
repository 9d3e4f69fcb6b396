"""Reward functions of environments over the event loop, for the interval between two decisions."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgesim.engine.decisions import Decision
from edgesim.planning.splitting.table import SplitTable
from edgesim.planning.splitting.utility import Utility

__all__ = ["Ended", "Passed", "Reward", "TableReward", "UtilityReward"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """Summary of an ended request, as in its row of a trace.

    Attributes
    ----------
    latency_s
        Time from its arrival to its last token [s]; NaN if it has no answer.
    energy_j
        Energy used for it in addition to idle energy [J].
    nll
        Mean negative log likelihood of its answer; NaN if not measured.
    last
        Its last decision of the environment's name, with the action; None if there was none.
    counts
        Whether it arrived before the scenario's horizon; True without a horizon. Requests of the cooldown add
        load but are not reported. A counted request that is censored had the whole cooldown without
        completing, and is a failure.
    """

    id: int
    source: str
    outcome: str
    counts: bool
    latency_s: float
    energy_j: float
    nll: float
    n_emitted_tokens: int
    last: tuple[Decision, int] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Passed:
    """Interval from a decision to the next one of its name.

    Attributes
    ----------
    decision, action
        The decision, and the action taken.
    first
        First decision of the episode.
    next
        Next decision; None if the run has ended.
    from_s, until_s
        Instants of the decision, and of the next decision or the end of the run [s].
    ended
        Requests that ended in the interval, in order; at the end of the run also the censored ones.
    """

    decision: Decision
    action: int
    first: Decision
    next: Decision | None
    from_s: float
    until_s: float
    ended: tuple[Ended, ...]


Reward = Callable[[Passed], float]
"""Reward of a decision, given the interval until the next one."""


@dataclass(frozen=True, slots=True)
class UtilityReward:
    """Sum of the utilities of counted requests that ended in the interval; over an episode, of all of them.

    Attributes
    ----------
    utility
        Weights of the utility.
    load_of
        Load of a request, given its last decision and action; 0 for requests without a decision.
    """

    utility: Utility
    load_of: Callable[[Decision, int], float] | None = None

    def __call__(self, passed: Passed) -> float:
        """Return the sum of utilities."""
        return math.fsum(self.values(passed).tolist())

    def values(self, passed: Passed) -> Floats:
        """Return the utility of each counted request, [n]."""
        ended = [one for one in passed.ended if one.counts]
        if not ended:
            return np.zeros(0)
        return self.utility.value(
            is_completed=[one.outcome == "completed" for one in ended],
            nll=[one.nll for one in ended],
            latency_s=[one.latency_s for one in ended],
            energy_j=[one.energy_j for one in ended],
            load=None if self.load_of is None else [self._load(one) for one in ended],
        )

    def _load(self, ended: Ended) -> float:
        assert self.load_of is not None
        return 0.0 if ended.last is None else self.load_of(*ended.last)


@dataclass(frozen=True, slots=True)
class TableReward:
    """Reward at the decision itself, by a quality table or surrogate instead of recorded answers.

    Attributes
    ----------
    table
        Value as a function of loss probability and split.
    split_of
        Split that results from a decision and action.
    weight
        Weight of the value.
    loss_at
        Index of the loss probability in the observation.
    besides
        Additional reward, such as a :class:`UtilityReward` of latency and energy.
    """

    table: SplitTable
    split_of: Callable[[Decision, int], int]
    weight: float = 1.0
    loss_at: int = 0
    besides: Reward | None = None

    def __call__(self, passed: Passed) -> float:
        """Return the weighted value of the decision plus the additional reward."""
        split = self.split_of(passed.decision, passed.action)
        worth = self.weight * float(self.table.value(passed.decision.seen[self.loss_at], split))
        return worth + (0.0 if self.besides is None else self.besides(passed))
