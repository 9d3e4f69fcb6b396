"""Threshold adaptation of DTO-EE: change exit thresholds where delay and accuracy together improve.

The objective is ``T + exchange_s max(0, floor - A)``. With floor 1 it is the utility w_A A - w_T T of the
reference formulation (exchange_s = w_A / w_T, seconds of mean delay that one unit of accuracy is worth). With
a lower floor it is an exact penalty for an accuracy below it, once exchange_s exceeds the marginal cost of
accuracy there.

For a given plan p, the tasks that reach stage l are proportional to the survival ``S_l = I_1 .. I_(l-1)``,
and so are the rates at all its nodes. A change of delay can be estimated locally in two ways:

- to first order, as in the paper: ``Phi dT = sum_h dI_h sum_j phi_j sum_k p_jk D_jk``, where each node of
  stage h contributes :func:`onward_value`. A threshold also changes which tasks reach later exits, so dI of
  the later exits counts as well (the reference formulation has only the exit's own).
- exactly for the present plan: every node reports the number of tasks in its queue at multiples of its rate
  (:func:`tasks_at`). Near saturation the first-order estimate is far off, and oscillates.
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
    "onward_value",
    "tasks_at",
    "threshold_step",
]

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Objective:
    """Trade-off between delay and accuracy.

    Attributes
    ----------
    exchange_s
        Mean delay [s] that is worth one unit of accuracy (from all wrong to all correct).
    floor
        Accuracy above which a further increase has no value.
    """

    exchange_s: float
    floor: float = 1.0

    def __post_init__(self) -> None:
        if not (self.exchange_s >= 0 and 0 <= self.floor <= 1):
            raise InputError(
                f"offloading: {self}; expected an exchange of at least 0 s and a floor in [0, 1]"
            )

    def cost_s(self, delay_s: float, accuracy: float) -> float:
        """Return the delay plus the cost of the accuracy lacking to the floor [s]."""
        return delay_s + self.exchange_s * max(0.0, self.floor - accuracy)


def onward_value(rate_per_s: float, row: Floats, costs_s: Floats) -> float:
    """Return a node's part of the cost of a higher continuation share: phi_j sum_k p_jk D_jk [tasks]."""
    return rate_per_s * float(row @ costs_s)


def tasks_at(service_s: float, scv: float, rate_per_s: float, times: Floats, barrier: Barrier) -> Floats:
    """Return the mean number of tasks in a node's queue at multiples of its rate: [n_times]."""
    tasks, _, _ = queue_tasks(rate_per_s * service_s * times, np.full(len(times), scv), barrier)
    return tasks


def neighbours(
    table: ExitTable, levels: Levels, *, exits: Sequence[int] | None = None, reach: int = 1
) -> Iterator[Levels]:
    """Yield the levels with each of some exits (default: all) lower or higher by `reach`, or unchanged."""
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
    """Return the best of the levels and their neighbours, by estimated cost.

    Parameters
    ----------
    delay_of
        Function from an outcome to its estimated mean delay [s], up to a common constant.
    exits
        Indices of the exits that may change, from 0: one, as in the paper, or several together.
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
