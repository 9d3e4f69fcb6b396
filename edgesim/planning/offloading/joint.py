"""Joint choice of rows and thresholds on a static network: DTO-EE, and thresholds tuned for any rule."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from edgesim.errors import InputError
from edgesim.planning.offloading.descent import State, all_rows, play_round
from edgesim.planning.offloading.exit_table import ExitTable, Levels, ThresholdOutcome
from edgesim.planning.offloading.flow import cost_tasks, flow_of, mean_delay_s
from edgesim.planning.offloading.network import OffloadingNetwork
from edgesim.planning.offloading.queue_cost import Barrier
from edgesim.planning.offloading.rounds import RoundRule
from edgesim.planning.offloading.threshold_search import Combinations, estimated_costs_s, least_cost
from edgesim.planning.offloading.thresholds import Objective

__all__ = ["JointPlan", "delay_at", "plan_jointly", "tuned"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class JointPlan:
    """A plan with its thresholds.

    Attributes
    ----------
    cost_s
        Value of the objective, with the delay continued beyond capacity: finite even for overloaded queues.
    n_steps
        Number of rounds, or of plans tried.
    """

    levels: Levels
    plan: Floats
    delay_s: float
    accuracy: float
    cost_s: float
    n_steps: int


def delay_at(network: OffloadingNetwork, plan: Floats, outcome: ThresholdOutcome, barrier: Barrier) -> float:
    """Return a plan's mean delay, continued beyond capacity, with the thresholds' shares [s]."""
    shared = network.with_shares(outcome.continues)
    return cost_tasks(flow_of(shared, plan), barrier) / network.total_per_s


def plan_jointly(
    network: OffloadingNetwork,
    table: ExitTable,
    objective: Objective,
    *,
    levels: Levels | None = None,
    start: State | None = None,
    barrier: Barrier | None = None,
    rule: RoundRule | None = None,
    n_rounds: int = 100,
    n_patient: int = 15,
) -> JointPlan:
    """DTO-EE: in every round, take one step of all rows, then choose the best thresholds for these rows.

    Each stage contributes its queues' contents at other rates, the same information that the steps to
    neighbouring thresholds use during a run
    (:func:`~edgesim.planning.offloading.thresholds.threshold_step`). Accuracy is not a smooth function of
    thresholds: such steps alone end up to 13 % above the optimum.

    Parameters
    ----------
    levels
        Initial thresholds. None: exits closed.
    n_patient
        Number of rounds without an improvement of 0.01 % after which the search ends.
    """
    barrier, rule = barrier or Barrier(), rule or RoundRule()
    _require_exits(network, table)
    levels = table.highest if levels is None else levels
    state = State.start(network, barrier=barrier) if start is None else start
    rows, combinations, improved_at = all_rows(network), Combinations.of(table), 0
    best = _judged(network, table, objective, levels, state.plan, barrier, 0)
    for number in range(n_rounds + 1):
        found = _judged(network, table, objective, levels, state.plan, barrier, number)
        if found.cost_s < best.cost_s * (1 - 1e-4):
            improved_at = number
        if found.cost_s < best.cost_s:
            best = found
        if number - improved_at >= n_patient:
            break
        shared = network.with_shares(table.outcome(levels).continues)
        state = play_round(shared, rows, state, rule, barrier)
        costs_s = estimated_costs_s(network, state.plan, combinations, objective, barrier)
        levels = table.closed(tuple(combinations.levels[int(np.argmin(costs_s))].tolist()))
    return best


def tuned(
    network: OffloadingNetwork,
    table: ExitTable,
    objective: Objective,
    respond: Callable[[OffloadingNetwork, Floats | None], Floats],
    *,
    levels: Levels | None = None,
    barrier: Barrier | None = None,
) -> JointPlan:
    """Return the best thresholds for a rule that maps every network to a plan.

    See :mod:`~edgesim.planning.offloading.threshold_search`. With the optimum as the rule, the result
    approximates a joint optimum that is too large to enumerate: exact in the plan, heuristic in the levels.

    Parameters
    ----------
    respond
        Function from a network and the best plan so far (as a starting point) to the network's plan.
    levels
        Initial thresholds, in addition to the strictest and the loosest.
    """
    barrier = barrier or Barrier()
    _require_exits(network, table)

    def judged(candidate: Levels, plan: Floats | None) -> JointPlan:
        shared = network.with_shares(table.outcome(candidate).continues)
        return _judged(network, table, objective, candidate, respond(shared, plan), barrier, 0)

    starts = (*([] if levels is None else [levels]), table.highest, (0,) * len(table.highest))
    best, n_judged = least_cost(
        network,
        table,
        objective,
        judged,
        barrier=barrier,
        starts=starts,
    )
    return replace(best, n_steps=n_judged)


def _judged(
    network: OffloadingNetwork,
    table: ExitTable,
    objective: Objective,
    levels: Levels,
    plan: Floats,
    barrier: Barrier,
    n_steps: int,
) -> JointPlan:
    outcome = table.outcome(levels)
    continued_s = delay_at(network, plan, outcome, barrier)
    delay_s = mean_delay_s(flow_of(network.with_shares(outcome.continues), plan))
    cost_s = objective.cost_s(continued_s, outcome.accuracy)
    return JointPlan(levels, plan, delay_s, outcome.accuracy, cost_s, n_steps)


def _require_exits(network: OffloadingNetwork, table: ExitTable) -> None:
    if table.n_exits != network.n_stages - 1:
        raise InputError(
            f"offloading: {table.n_exits} exits for {network.n_stages - 1} sub-models; expected one "
            "after each"
        )
