"""The threshold half of DTO-EE: moving exits' thresholds where delay and accuracy together gain.

What is minimised is ``T + exchange_s max(0, floor - A)``: with floor 1 the utility w_A A - w_T T of the
reference formulation (exchange_s = w_A / w_T, seconds of mean delay that one unit of accuracy is worth), with
a lower one an exact penalty for an accuracy below it, once exchange_s is above what accuracy costs there.

With a plan p given, the tasks that reach stage l are proportional to the survival ``S_l = I_1 .. I_(l-1)``,
and so are the rates at all its nodes. Two ways to foresee a change of delay, both local:

- first order, as in the paper: ``Phi dT = sum_h dI_h sum_j phi_j sum_k p_jk D_jk``, each node of stage h
  contributing :func:`onward_worth`. A threshold changes which tasks later exits see, so dI of the later exits
  counts as well (the reference formulation has only the exit's own).
- exact for the plan as it is: every node says what its queue would hold if its rate were so many times as
  large (:func:`tasks_at`). Near saturation the first order misleads by far, and swings.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from edgesim.errors import InputError
from edgesim.planning.offloading.exit_table import ExitTable, Levels, ThresholdOutcome
from edgesim.planning.offloading.queue_cost import Barrier, queue_tasks

__all__ = [
    "Objective",
    "neighbours",
    "onward_worth",
    "tasks_at",
    "threshold_step",
]

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Objective:
    """What delay and accuracy are worth against each other.

    Attributes
    ----------
    exchange_s
        Mean delay [s] that one unit of accuracy (from all wrong to all right) is worth.
    floor
        Accuracy above which more is worth nothing.
    """

    exchange_s: float
    floor: float = 1.0

    def __post_init__(self) -> None:
        if not (self.exchange_s >= 0 and 0 <= self.floor <= 1):
            raise InputError(
                f"offloading: {self}; expected an exchange of at least 0 s and a floor in [0, 1]"
            )

    def cost_s(self, delay_s: float, accuracy: float) -> float:
        """Delay and the worth of what accuracy lacks [s]."""
        return delay_s + self.exchange_s * max(0.0, self.floor - accuracy)


def onward_worth(rate_per_s: float, row: Floats, costs_s: Floats) -> float:
    """A node's part in what a higher share that goes on costs: phi_j sum_k p_jk D_jk [tasks]."""
    return rate_per_s * float(row @ costs_s)


def tasks_at(service_s: float, scv: float, rate_per_s: float, times: Floats, barrier: Barrier) -> Floats:
    """What one node's queue would hold at so many times its rate [tasks]: [n_times]."""
    tasks, _, _ = queue_tasks(rate_per_s * service_s * times, np.full(len(times), scv), barrier)
    return tasks


def neighbours(
    table: ExitTable, levels: Levels, *, exits: Sequence[int] | None = None, reach: int = 1
) -> Iterator[Levels]:
    """Levels with each of some exits (all by default) lower, higher by `reach`, or as it is."""
    moving = range(len(levels)) if exits is None else exits
    choices = [
        sorted({max(0, level - reach), level, min(table.n_levels - 1, level + reach)})
        if place in moving
        else [level]
        for place, level in enumerate(levels)
    ]
    return (found for found in product(*choices) if found != levels)


def threshold_step(
    table: ExitTable,
    levels: Levels,
    objective: Objective,
    delay_of: Callable[[ThresholdOutcome], float],
    *,
    exits: Sequence[int] | None = None,
    reach: int = 1,
) -> Levels:
    """The best of the levels and their neighbours, as foreseen.

    Parameters
    ----------
    delay_of
        Mean delay that is foreseen for an outcome [s], up to a constant that is the same for all.
    exits
        Which exits may move, by number from 0: one, as in the paper, or several together.
    """

    def cost_s(candidate: Levels) -> float:
        outcome = table.outcome(candidate)
        return objective.cost_s(delay_of(outcome), outcome.accuracy)

    best, least = levels, cost_s(levels)
    for candidate in neighbours(table, levels, exits=exits, reach=reach):
        found = cost_s(candidate)
        if found < least:
            best, least = candidate, found
    return best
