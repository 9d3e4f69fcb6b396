"""Plans before time zero: rows and thresholds by the strategy's offloading rule, at mean rates."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edgesim.errors import InputError
from edgesim.planning.offloading.descent import State, descend
from edgesim.planning.offloading.exit_table import ExitTable, Levels
from edgesim.planning.offloading.fixed_rules import bandwidth_first, computing_first
from edgesim.planning.offloading.flow import even_plan, flow_of, mean_delay_s
from edgesim.planning.offloading.game import equilibrium
from edgesim.planning.offloading.genetic import Breeding, evolve
from edgesim.planning.offloading.joint import delay_at, plan_jointly, tuned
from edgesim.planning.offloading.marginal import marginals
from edgesim.planning.offloading.network import OffloadingNetwork
from edgesim.planning.offloading.optimum import optimal_plan
from edgesim.planning.offloading.queue_cost import Barrier
from edgesim.planning.offloading.thresholds import Objective
from edgesim.rng import Streams
from edgesim.strategies.early_exit.thresholds import channel_levels

__all__ = ["DecidedPlan", "Offloading", "decide"]

Floats = NDArray[np.float64]

Offloading = Literal["dto-ee", "optimum", "cf", "bf", "ngto", "ga", "jsed", "backpressure", "even"]

Respond = Callable[[OffloadingNetwork, Floats | None], Floats]


@dataclass(frozen=True, eq=False)
class DecidedPlan:
    """A plan with its thresholds and expected values.

    Attributes
    ----------
    network
        Network with the continuation shares at these thresholds.
    continues : [n_stages - 1]
        Continuation shares of tasks, or of tokens where answers have several.
    accuracy
        Accuracy on the text that thresholds were tuned on; nan without exits.
    """

    network: OffloadingNetwork
    plan: Floats
    levels: Levels
    continues: tuple[float, ...]
    accuracy: float

    @property
    def delay_s(self) -> float:
        """Expected mean delay; infinite if a queue is not stable."""
        return mean_delay_s(flow_of(self.network, self.plan))

    @property
    def utilisation(self) -> float:
        """Utilisation of the most loaded server."""
        return float(flow_of(self.network, self.plan).utilisation.max())


def decide(
    network: OffloadingNetwork,
    table: ExitTable | None,
    objective: Objective,
    *,
    offloading: Offloading,
    fixed: Levels | None = None,
    allowed: Sequence[Levels] | None = None,
    joint: bool = False,
    channel_aware: bool = False,
    breeding: Breeding | None = None,
    seed: int = 0,
) -> DecidedPlan:
    """Return a plan for mean rates.

    Parameters
    ----------
    fixed
        Thresholds to keep; None: they are chosen.
    allowed
        Thresholds to choose from, each of which is planned for; None: any. The genetic algorithm uses those
        that are best with the plan of least delay, and evolves rows only.
    joint
        Whether rows and thresholds are chosen together, if the rule supports this; otherwise thresholds are
        tuned for the rule's own rows.
    breeding, seed
        Settings and seed of the genetic algorithm.
    """
    if table is None:
        empty = ExitTable(
            np.full((1, network.n_stages - 1), -np.inf),
            np.zeros((1, network.n_stages - 1), np.bool_),
            np.array([np.inf]),
        )
        made = decide(
            network,
            empty,
            objective,
            offloading=offloading,
            fixed=empty.highest,
            breeding=breeding,
            seed=seed,
        )
        return replace(made, accuracy=float("nan"))
    if allowed is not None and fixed is None:
        fixed = _best_of(allowed, network, table, objective, _responses(offloading))
    respond = _responses(offloading)
    if channel_aware:
        fixed = _channel_aware(network, table, objective, respond)
    if offloading == "ga":
        rng = Streams(seed)["early exit/genetic"]
        found = evolve(network, table, objective, rng, breeding=breeding, levels=fixed)
        return _decision(network, table, found.plan, table.closed(found.levels) if fixed is None else fixed)
    if fixed is not None:
        levels = fixed
    elif joint and offloading == "dto-ee" and network.work is None:
        levels = table.closed(plan_jointly(network, table, objective).levels)
    else:  # also where exits shorten tasks: estimates of thresholds at fixed rows are inaccurate there
        levels = table.closed(tuned(network, table, objective, respond).levels)
    shared = network.with_shares(table.outcome(levels).continues)
    return _decision(network, table, _final(offloading)(shared, None), levels)


def _best_of(
    allowed: Sequence[Levels],
    network: OffloadingNetwork,
    table: ExitTable,
    objective: Objective,
    respond: Respond,
) -> Levels:
    """Return the allowed thresholds of least cost under a rule's own rows."""
    costs_s, plan = [], None
    for levels in allowed:
        outcome = table.outcome(levels)
        plan = respond(network.with_shares(outcome.continues), plan)
        delay_s = delay_at(network, plan, outcome, Barrier())
        costs_s.append(objective.cost_s(delay_s, outcome.accuracy))
    return allowed[int(np.argmin(costs_s))]


def _decision(network: OffloadingNetwork, table: ExitTable, plan: Floats, levels: Levels) -> DecidedPlan:
    outcome = table.outcome(levels)
    shares = tuple(outcome.continues.tolist())
    return DecidedPlan(network.with_shares(shares), plan, levels, shares, outcome.accuracy)


def _responses(offloading: Offloading) -> Respond:
    """Return the function by which a rule plans while thresholds are tuned."""
    return {
        "cf": lambda network, _: computing_first(network),
        "bf": lambda network, _: bandwidth_first(network),
        "even": lambda network, _: even_plan(network),
        "ngto": lambda network, before: equilibrium(network, before).plan,
    }.get(offloading, _descended)


def _descended(network: OffloadingNetwork, before: Floats | None) -> Floats:
    """Return the plan that rounds converge to, starting from a plan for a similar network."""
    return descend(network, State.start(network, before)).plan


def _final(offloading: Offloading) -> Respond:
    """Return the function by which a rule makes its final plan."""
    return _optimal if offloading == "optimum" else _responses(offloading)


def _optimal(network: OffloadingNetwork, before: Floats | None) -> Floats:
    """Return the centralised optimum, or the best plan by rounds if no plan is stable."""
    try:
        return optimal_plan(network).plan
    except InputError:
        return _descended(network, before)


def _channel_aware(
    network: OffloadingNetwork, table: ExitTable, objective: Objective, respond: Respond
) -> Levels:
    """Alternate between planning and the channel-aware rule's thresholds; return the last thresholds."""
    levels, plan = table.highest, None
    for _ in range(5):
        shared = network.with_shares(table.outcome(levels).continues)
        plan = respond(shared, plan)
        costs = marginals(flow_of(shared, plan), plan, Barrier())
        now = channel_levels(table, shared, plan, costs.link_s, objective)
        if now == levels:
            break
        levels = now
    return levels
