"""Rewards of environments over the event loop: what has accrued from one decision to the next."""

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
    """A request that has ended, as its row of a trace would say.

    Attributes
    ----------
    latency_s
        From its arrival to its last token; NaN if it has no answer.
    energy_j
        Drawn for it beyond idling.
    nll
        Mean negative log likelihood of its answer; NaN where that was not measured.
    last
        The last decision of this name that was its own, with the action; None if there was none.
    counts
        Whether it arrived before the scenario's horizon, as all do where there is none: those of the
        cooldown load the run, and nothing is reported of them. One that counts and is cut off had all the
        cooldown, and has no answer yet: it is a failure.
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
    """What has happened from a decision to the next one of its name.

    Attributes
    ----------
    decision, action
        What was decided.
    first
        The first decision of the episode.
    next
        The next decision; None where the run has ended.
    from_s, until_s
        Instants of the two, or of the end.
    ended
        Requests that ended in between, in that order; at the end of the run also those that it has cut off.
    """

    decision: Decision
    action: int
    first: Decision
    next: Decision | None
    from_s: float
    until_s: float
    ended: tuple[Ended, ...]


Reward = Callable[[Passed], float]
"""What a learner gets for a decision, from what has passed since."""


@dataclass(frozen=True, slots=True)
class UtilityReward:
    """The utilities of the requests that ended and count: over an episode, those of all of them.

    Attributes
    ----------
    utility
        The weights.
    load_of
        A request's load, from its last decision and the action there; requests that had none have none.
    """

    utility: Utility
    load_of: Callable[[Decision, int], float] | None = None

    def __call__(self, passed: Passed) -> float:
        """Give their sum."""
        return math.fsum(self.values(passed).tolist())

    def values(self, passed: Passed) -> Floats:
        """Give each: [n], of those that count."""
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
    """Quality from a table or a surrogate in the place of recorded answers, paid with the decision.

    Attributes
    ----------
    table
        Value of a loss probability and a split.
    split_of
        The split that an action leads to.
    weight
        Of that value.
    loss_at
        Which number of what is seen is the loss probability.
    besides
        What is added, such as a :class:`UtilityReward` of latency and energy.
    """

    table: SplitTable
    split_of: Callable[[Decision, int], int]
    weight: float = 1.0
    loss_at: int = 0
    besides: Reward | None = None

    def __call__(self, passed: Passed) -> float:
        """Give the value of what was decided."""
        split = self.split_of(passed.decision, passed.action)
        worth = self.weight * float(self.table.value(passed.decision.seen[self.loss_at], split))
        return worth + (0.0 if self.besides is None else self.besides(passed))
