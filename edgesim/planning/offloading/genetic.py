"""GA: a genetic algorithm on rows and thresholds together, with a given budget of evaluations.

Implements the baseline that the paper names; its operators were not available. The design is common:
real-coded rows, tournament selection, a crossover that takes whole rows and thresholds from either parent (a
row is the smallest meaningful unit), a mutation that redraws a row or shifts a threshold, and elitism.
Fitness is the objective of DTO-EE.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgesim.errors import InputError
from edgesim.planning.offloading.descent import all_rows
from edgesim.planning.offloading.exit_table import ExitTable, Levels
from edgesim.planning.offloading.flow import even_plan, flow_of, mean_delay_s
from edgesim.planning.offloading.joint import JointPlan, delay_at
from edgesim.planning.offloading.network import OffloadingNetwork
from edgesim.planning.offloading.queue_cost import Barrier
from edgesim.planning.offloading.rows import Rows
from edgesim.planning.offloading.thresholds import Objective

__all__ = ["Breeding", "evolve"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Breeding:
    """Settings of the genetic algorithm.

    Attributes
    ----------
    n_evaluations
        Budget: number of plans evaluated, those of the first population included.
    row_mutation, level_mutation
        Probability that a row, or a threshold, of a child is mutated.
    """

    n_evaluations: int = 2000
    n_population: int = 40
    n_elite: int = 2
    n_tournament: int = 3
    row_mutation: float = 0.05
    level_mutation: float = 0.2

    def __post_init__(self) -> None:
        if not (1 <= self.n_elite < self.n_population <= self.n_evaluations and self.n_tournament >= 1):
            raise InputError(
                f"offloading: {self}; expected an elite smaller than the population, and a population "
                "within the budget"
            )


def evolve(
    network: OffloadingNetwork,
    table: ExitTable,
    objective: Objective,
    rng: np.random.Generator,
    *,
    breeding: Breeding | None = None,
    levels: Levels | None = None,
    barrier: Barrier | None = None,
) -> JointPlan:
    """Return the best plan and thresholds found within the budget.

    Parameters
    ----------
    levels
        Thresholds to keep fixed; None: they evolve with the rows.
    """
    breeding, barrier = breeding or Breeding(), barrier or Barrier()
    rows, n_free = all_rows(network), table.n_exits - 1
    low, high = (0, table.n_levels) if levels is None else (0, 1)
    fixed = np.zeros(n_free, np.int64) if levels is None else np.array(levels, np.int64)

    def cost_s(plan: Floats, chosen: Ints) -> float:
        outcome = table.outcome(_levels(chosen))
        return objective.cost_s(delay_at(network, plan, outcome, barrier), outcome.accuracy)

    plans = [even_plan(network)] + [_random_rows(rows, rng) for _ in range(breeding.n_population - 1)]
    genes = [fixed + rng.integers(low, high, n_free) for _ in plans]
    costs = np.array([cost_s(*each) for each in zip(plans, genes, strict=True)])
    n_judged = len(plans)
    while n_judged < breeding.n_evaluations:
        elite = np.argsort(costs, kind="stable")[: breeding.n_elite]
        n_children = min(breeding.n_population - breeding.n_elite, breeding.n_evaluations - n_judged)
        new_plans, new_genes = [plans[e] for e in elite], [genes[e] for e in elite]
        for _ in range(n_children):
            one, two = (
                int(min(rng.integers(len(plans), size=breeding.n_tournament), key=lambda each: costs[each]))
                for _ in range(2)
            )
            from_one = rng.random(rows.n_rows) < 0.5
            child = np.where(from_one[rows.row], plans[one], plans[two])
            drawn = _random_rows(rows, rng)
            part = np.where(rng.random(rows.n_rows) < breeding.row_mutation, rng.random(rows.n_rows), 0.0)
            new_plans.append(child + part[rows.row] * (drawn - child))
            gene = np.where(rng.random(n_free) < 0.5, genes[one], genes[two])
            if levels is None:
                steps = rng.integers(-2, 3, n_free) * (rng.random(n_free) < breeding.level_mutation)
                gene = np.clip(gene + steps, 0, table.n_levels - 1)
            new_genes.append(gene)
        born = [cost_s(*each) for each in list(zip(new_plans, new_genes, strict=True))[breeding.n_elite :]]
        plans, genes, costs = new_plans, new_genes, np.concatenate([costs[elite], born])
        n_judged += n_children
    best = int(np.argmin(costs))
    chosen = _levels(genes[best])
    outcome = table.outcome(chosen)
    delay_s = mean_delay_s(flow_of(network.with_shares(outcome.continues), plans[best]))
    return JointPlan(chosen, plans[best], delay_s, outcome.accuracy, float(costs[best]), n_judged)


def _random_rows(rows: Rows, rng: np.random.Generator) -> Floats:
    """Draw rows uniformly from all probability vectors."""
    drawn = rng.exponential(size=len(rows.row))
    plan: Floats = drawn / rows.sums(drawn)[rows.row]
    return plan


def _levels(genes: Ints) -> Levels:
    return tuple(int(gene) for gene in genes)
