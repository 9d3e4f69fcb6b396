from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from numpy.typing import NDArray
from offloading_networks import drawn_network

from edgesim.errors import InputError
from edgesim.planning.offloading.capacity import largest_scale
from edgesim.planning.offloading.descent import descend
from edgesim.planning.offloading.exit_table import ExitTable
from edgesim.planning.offloading.fixed_rules import bandwidth_first, computing_first
from edgesim.planning.offloading.flow import Flow, even_plan, flow_of, mean_delay_s
from edgesim.planning.offloading.genetic import Breeding, evolve
from edgesim.planning.offloading.joint import JointPlan, delay_at, plan_jointly, tuned
from edgesim.planning.offloading.marginal import marginals
from edgesim.planning.offloading.network import Heads, OffloadingNetwork
from edgesim.planning.offloading.optimum import optimal_plan
from edgesim.planning.offloading.queue_cost import Barrier
from edgesim.planning.offloading.thresholds import (
    Objective,
    neighbours,
    onward_value,
    tasks_at,
    threshold_step,
)


def exits(n_exits: int, seed: int = 0) -> ExitTable:
    """Samples of different difficulty: later exits are surer, more often right; confidence is calibrated."""
    rng = np.random.default_rng(seed)
    ease = rng.normal(size=(3000, 1))
    depth = np.linspace(-0.5, 1.0, n_exits)
    confidence = 1 / (1 + np.exp(-(1.5 * ease + depth + 0.5 * rng.normal(size=(3000, n_exits)))))
    grid = np.array([0.0, 0.3, 0.5, 0.7, 0.8, 0.9, np.inf])
    return ExitTable(confidence, rng.random(confidence.shape) < confidence, grid)


def staged(seed: int, load: float) -> OffloadingNetwork:
    """Loaded in relation to what it carries without exits."""
    network = drawn_network(seed, n_devices=4, n_servers=(2, 2, 2), continues=1.0)
    return network.scaled(load * largest_scale(network))


def brute_force(network: OffloadingNetwork, table: ExitTable, objective: Objective) -> tuple[float, float]:
    """Every threshold with its best plan: the least cost, and the delay that is part of it."""
    found = []
    for levels in product(range(table.n_levels), repeat=table.n_exits - 1):
        outcome = table.outcome(levels)
        shared = network.with_shares(outcome.continues)
        if largest_scale(shared) > 1.0:
            delay_s = optimal_plan(shared).delay_s
            found.append((objective.cost_s(delay_s, outcome.accuracy), delay_s))
    return min(found)


CASES = [(0, 0.6, 0.3), (1, 0.9, 0.3), (4, 1.2, 0.1), (3, 0.9, 2.0)]


@pytest.mark.slow
@pytest.mark.parametrize(("seed", "load", "exchange_s"), CASES)
def test_rows_and_thresholds_together_come_near_brute_force(
    seed: int, load: float, exchange_s: float
) -> None:
    network, table, objective = staged(seed, load), exits(3), Objective(exchange_s)
    least_s, _ = brute_force(network, table, objective)
    found = plan_jointly(network, table, objective)
    # 2 % of everything that is weighed, and nothing that the price of errors could hide.
    assert least_s * (1 - 1e-6) <= found.cost_s <= 1.02 * least_s
    assert found.cost_s == pytest.approx(objective.cost_s(found.delay_s, found.accuracy), rel=1e-3)
    assert found.cost_s - least_s <= 0.02 * found.delay_s


@pytest.mark.slow
def test_exits_that_ask_for_heads_are_weighed_as_well() -> None:
    """A head costs a third of a part: with it, other thresholds are best, and found."""
    plain, table, objective = staged(1, 0.6), exits(3), Objective(0.3)
    heads = Heads(plain.service_s, np.where(plain.stage < plain.n_stages - 1, plain.service_s / 3, 0.0))
    network = replace(plain, heads=heads)
    least_s, _ = brute_force(network, table, objective)
    found = plan_jointly(network, table, objective)
    assert found.cost_s - least_s <= 0.02 * found.delay_s


@pytest.mark.slow
def test_planning_for_promising_thresholds_finds_it_as_well() -> None:
    network, table, objective = staged(0, 0.8), exits(3), Objective(0.3)
    least_s, delay_s = brute_force(network, table, objective)
    found = tuned(network, table, objective, lambda shared, _: descend(shared, n_most=40).plan)
    assert found.cost_s - least_s <= 0.02 * delay_s
    assert found.n_steps < table.n_levels**2


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 2])
def test_rounds_end_where_planning_for_all_promising_thresholds_does(seed: int) -> None:
    network, table = staged(seed, 0.6), exits(3, seed)
    most = table.outcome(table.highest).accuracy
    for objective in (Objective(0.3), Objective(50.0, floor=most - 0.03)):
        found = plan_jointly(network, table, objective)
        bound = tuned(network, table, objective, lambda shared, _: descend(shared, n_most=40).plan)
        assert found.cost_s - bound.cost_s <= 0.01 * bound.delay_s


def test_an_accuracy_can_be_demanded() -> None:
    network, table = staged(0, 0.8), exits(3)
    most = table.outcome(table.highest).accuracy
    free = plan_jointly(network, table, Objective(0.0))
    bound = plan_jointly(network, table, Objective(100.0, floor=most - 0.02))
    assert free.levels == (0, 0)
    assert free.accuracy < most - 0.02 <= bound.accuracy
    assert bound.delay_s > free.delay_s


def onward_worths_s(
    flow: Flow, plan: NDArray[np.float64], costs_s: NDArray[np.float64]
) -> NDArray[np.float64]:
    """dT/dI_h of sub-models 1 .. H - 1, of marginal costs D of the links: [n_stages - 2]."""
    network = flow.network
    onward = flow.node_per_s[network.tail] * plan * costs_s
    by_stage = np.bincount(network.stage[network.tail], onward, network.n_stages)
    return by_stage[1:-1] / network.total_per_s


def test_worths_are_the_derivatives_of_delay_by_the_shares_that_go_on() -> None:
    network = drawn_network(4).scaled(0.5)
    plan, barrier, h = even_plan(network), Barrier(), 1e-6
    flow = flow_of(network, plan)
    costs = marginals(flow, plan, barrier)
    worths_s = onward_worths_s(flow, plan, costs.link_s)
    for place in range(2):
        step = h * (np.arange(2) == place)
        up, down = (
            mean_delay_s(flow_of(network.with_shares(np.array([0.8, 0.8]) + way * step), plan))
            for way in (1, -1)
        )
        assert worths_s[place] == pytest.approx((up - down) / (2 * h), rel=1e-5)
        there = [node for node in range(network.n_nodes) if network.stage[node] == place + 1]
        local = [
            onward_value(flow.node_per_s[node], plan[network.links(node)], costs.link_s[network.links(node)])
            for node in there
        ]
        assert worths_s[place] == pytest.approx(sum(local) / network.total_per_s)


def test_what_nodes_say_of_other_rates_foretells_the_delay_of_a_plan_exactly() -> None:
    network, table, barrier = staged(1, 0.5), exits(3), Barrier()
    plan = even_plan(network)
    now, then = table.outcome((3, 3)), table.outcome((4, 2))
    flow = flow_of(network.with_shares(now.continues), plan)
    times = np.cumprod(np.concatenate([[1.0, 1.0], then.continues / now.continues]))
    tasks = sum(
        tasks_at(
            network.service_s[node],
            network.scv[node],
            flow.node_per_s[node],
            times[[network.stage[node]]],
            barrier,
        )[0]
        for node in range(network.n_nodes)
    )
    on_links = flow.link_per_s * times[network.stage[network.head]]
    expected = (tasks + float(on_links @ network.transfer_s)) / network.total_per_s
    assert delay_at(network, plan, then, barrier) == pytest.approx(expected)


def test_a_threshold_step_takes_the_best_neighbour() -> None:
    table, objective = exits(3), Objective(1.0)
    assert sorted(neighbours(table, (0, 3), reach=2)) == [(0, 1), (0, 5), (2, 1), (2, 3), (2, 5)]
    assert list(neighbours(table, (3, 3), exits=[1])) == [(3, 2), (3, 4)]
    at_no_delay = threshold_step(table, (2, 2), objective, lambda _: 0.0)
    accuracy = {levels: table.outcome(levels).accuracy for levels in [*neighbours(table, (2, 2)), (2, 2)]}
    assert at_no_delay == max(accuracy, key=lambda levels: accuracy[levels])
    assert threshold_step(table, (2, 2), Objective(0.0), lambda _: 1.0) == (2, 2)


def test_tuned_rivals_and_a_genetic_search_do_not_beat_it() -> None:
    network, table, objective = staged(2, 0.7), exits(3), Objective(0.3)
    ours = plan_jointly(network, table, objective)
    for rule in (computing_first, bandwidth_first):
        closed = table.outcome(table.highest)
        rival = tuned(network, table, objective, lambda shared, _, rule=rule: rule(shared))  # type: ignore[misc]
        assert ours.cost_s <= rival.cost_s
        plan = rule(network.with_shares(closed.continues))
        untuned = objective.cost_s(delay_at(network, plan, closed, Barrier()), closed.accuracy)
        assert rival.cost_s <= untuned

    def bred(n_evaluations: int) -> JointPlan:
        breeding = Breeding(n_evaluations=n_evaluations)
        return evolve(network, table, objective, np.random.default_rng(1), breeding=breeding)

    few, many = bred(40), bred(1500)
    assert ours.cost_s <= many.cost_s <= few.cost_s
    assert (few.n_steps, many.n_steps) == (40, 1500)
    assert bred(200).plan.tolist() == bred(200).plan.tolist()


def test_a_genetic_search_keeps_thresholds_that_are_given() -> None:
    network, table = staged(2, 0.7), exits(3)
    found = evolve(
        network,
        table,
        Objective(0.3),
        np.random.default_rng(1),
        breeding=Breeding(n_evaluations=200),
        levels=(4, 2),
    )
    assert found.levels == (4, 2)
    assert np.bincount(network.tail, found.plan)[:8] == pytest.approx(np.ones(8))


def test_exits_must_fit_the_stages_and_settings_make_sense() -> None:
    with pytest.raises(InputError, match="4 exits for 3 sub-models"):
        plan_jointly(staged(0, 0.5), exits(4), Objective(1.0))
    with pytest.raises(InputError, match="exchange of at least 0"):
        Objective(-1.0)
    with pytest.raises(InputError, match="elite smaller"):
        Breeding(n_elite=50)
