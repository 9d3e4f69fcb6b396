"""Every combination of thresholds at once, against replaying samples and pricing plans one by one."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from edgesim.planning.offloading.exit_table import ExitTable
from edgesim.planning.offloading.fixed_rules import computing_first
from edgesim.planning.offloading.joint import delay_at, tuned
from edgesim.planning.offloading.network import Heads, OffloadingNetwork, OffloadingNode
from edgesim.planning.offloading.queue_cost import Barrier
from edgesim.planning.offloading.threshold_search import Combinations, estimated_costs_s
from edgesim.planning.offloading.thresholds import Objective


def _table(n_exits: int, seed: int = 1) -> ExitTable:
    rng = np.random.default_rng(seed)
    certainty = rng.random((300, n_exits))
    is_correct = rng.random((300, n_exits)) < 0.3 + 0.1 * np.arange(n_exits)
    return ExitTable(certainty, is_correct, np.array([0, 0.3, 0.5, 0.8, np.inf]))


def _network(*, queues_on_links: bool) -> OffloadingNetwork:
    nodes = [
        OffloadingNode("home", 0, arrivals_per_s=30.0),
        OffloadingNode("a", 1, service_s=0.01, scv=1.0),
        OffloadingNode("b", 1, service_s=0.03, scv=0.5),
        OffloadingNode("c", 2, service_s=0.02, scv=1.0),
        OffloadingNode("d", 2, service_s=0.04, scv=0.0),
        OffloadingNode("e", 3, service_s=0.028, scv=1.0),
    ]
    pairs = [("home", "a"), ("home", "b"), *product("ab", "cd"), ("c", "e"), ("d", "e")]
    transfer_s = {pair: 0.002 * (1 + number) for number, pair in enumerate(pairs)}
    link_scv = dict.fromkeys(pairs[::2], 1.0) if queues_on_links else None
    return OffloadingNetwork.of(nodes, transfer_s, link_scv=link_scv)


def _with_heads(network: OffloadingNetwork) -> OffloadingNetwork:
    """A quarter of every server's time is its head's; the last stage asks it in any case."""
    heads = Heads(0.75 * network.service_s, 0.25 * network.service_s)
    return replace(network, heads=heads).with_shares(np.ones(network.n_stages - 2))


def test_a_closed_exit_asks_for_no_head() -> None:
    network = _network(queues_on_links=False)
    whole = _with_heads(network)
    stage, full_s = network.stage, network.service_s
    np.testing.assert_allclose(whole.service_s, np.where(stage < 3, 0.75, 1.0) * full_s)
    half = whole.with_shares([1.0, 0.5])
    np.testing.assert_allclose(half.service_s, np.where(stage == 1, 0.75, 1.0) * full_s)
    np.testing.assert_array_equal(half.with_shares([1.0, 1.0]).service_s, whole.service_s)


@pytest.mark.parametrize("n_exits", [1, 2, 3, 4])
def test_combinations_are_what_replaying_each_gives(n_exits: int) -> None:
    table = _table(n_exits)
    found = Combinations.of(table)
    assert len(found) == table.n_levels ** (n_exits - 1)
    for levels, survival, accuracy in zip(found.levels, found.survival, found.accuracy, strict=True):
        one = table.outcome(tuple(levels.tolist()))
        assert accuracy == pytest.approx(one.accuracy, abs=1e-12)
        np.testing.assert_allclose(survival, 1 - np.cumsum([0, *one.leaves[:-1]]), atol=1e-12)


def test_of_too_many_combinations_evenly_spaced_levels_are_kept_the_strictest_among_them() -> None:
    found = Combinations.of(_table(4), n_most=30)
    assert len(found) == 27
    assert sorted(set(found.levels[:, 0].tolist())) == [0, 2, 4]


@pytest.mark.parametrize("queues_on_links", [False, True])
@pytest.mark.parametrize("has_heads", [False, True])
def test_foreseen_costs_are_those_of_the_same_rows_at_other_shares(
    queues_on_links: bool, has_heads: bool
) -> None:
    network, table, barrier = _network(queues_on_links=queues_on_links), _table(3), Barrier()
    if has_heads:
        network = _with_heads(network)
    objective, plan = Objective(0.5, 0.45), computing_first(network)
    found = Combinations.of(table)
    costs_s = estimated_costs_s(network, plan, found, objective, barrier)
    for levels, cost_s in zip(found.levels, costs_s, strict=True):
        outcome = table.outcome(tuple(levels.tolist()))
        alone_s = objective.cost_s(delay_at(network, plan, outcome, barrier), outcome.accuracy)
        assert cost_s == pytest.approx(alone_s, rel=1e-9)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("floor", [0.35, 0.42, 1.0])
def test_thresholds_tuned_for_rows_that_do_not_answer_are_the_best_of_all(seed: int, floor: float) -> None:
    network, table, barrier = _network(queues_on_links=False), _table(3, seed), Barrier()
    objective = Objective(20.0, floor)

    def cost_s(levels: tuple[int, ...]) -> float:
        outcome = table.outcome(levels)
        return objective.cost_s(
            delay_at(network, computing_first(network), outcome, barrier), outcome.accuracy
        )

    best_s = min(cost_s(levels) for levels in product(range(table.n_levels), repeat=2))
    found = tuned(network, table, objective, lambda shared, _: computing_first(shared))
    assert found.cost_s == pytest.approx(best_s, rel=1e-9)
