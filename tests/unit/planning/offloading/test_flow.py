from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from offloading_networks import drawn_network

from edgesim.errors import InputError
from edgesim.planning.offloading.fixed_rules import computing_first
from edgesim.planning.offloading.flow import (
    cost_tasks,
    even_plan,
    flow_of,
    mean_delay_s,
    plan_of_flow,
    require_plan,
)
from edgesim.planning.offloading.marginal import gradient, marginals
from edgesim.planning.offloading.network import OffloadingNetwork
from edgesim.planning.offloading.queue_cost import Barrier

seeds = st.integers(0, 10_000)


def any_plan(network: OffloadingNetwork, seed: int) -> np.ndarray:
    weight = np.random.default_rng(seed).exponential(size=network.n_links)
    return weight / np.bincount(network.tail, weight, network.n_nodes)[network.tail]


def slow_delay_s(network: OffloadingNetwork, plan: np.ndarray) -> float:
    """The formulas of the reference, one task's way at a time."""
    rates = dict(enumerate(network.arrivals_per_s.tolist()))
    total = 0.0
    for node in range(network.n_nodes):  # in order of stages
        if network.stage[node] > 0:
            rho = rates[node] * network.service_s[node]
            v = (1 + network.scv[node]) / 2
            total += rates[node] * network.service_s[node] * (1 + v * rho / (1 - rho))
        for link in range(network.n_links):
            if network.tail[link] == node:
                sent = rates[node] * network.continues[network.stage[node]] * plan[link]
                rates[int(network.head[link])] += sent
                time_s = network.transfer_s[link]
                if network.link_scv is not None:
                    busy = sent * time_s
                    time_s *= 1 + (1 + network.link_scv[link]) / 2 * busy / (1 - busy)
                total += sent * time_s
    return total / sum(network.arrivals_per_s)


@settings(max_examples=30, deadline=None)
@given(seed=seeds)
def test_tasks_are_kept_at_every_node(seed: int) -> None:
    network = drawn_network(seed)
    flow = flow_of(network, any_plan(network, seed))
    entering = network.arrivals_per_s + np.bincount(network.head, flow.link_per_s, network.n_nodes)
    assert flow.node_per_s == pytest.approx(entering, rel=1e-12)
    leaving = np.bincount(network.tail, flow.link_per_s, network.n_nodes)
    assert leaving == pytest.approx(entering * network.onward, rel=1e-12, abs=1e-15)
    for stage in range(1, network.n_stages):  # what reaches a stage survived all exits before it
        there = flow.node_per_s[network.stage == stage].sum()
        assert there == pytest.approx(network.total_per_s * 0.8 ** (stage - 1), rel=1e-12)


@settings(max_examples=20, deadline=None)
@given(seed=seeds, scv=st.sampled_from([0.0, 1.0, 3.0]), link_scv=st.sampled_from([None, 0.0, 1.0]))
def test_mean_delay_is_that_of_the_formulas(seed: int, scv: float, link_scv: float | None) -> None:
    network = drawn_network(seed, scv=scv, link_scv=link_scv).scaled(0.3)
    plan = any_plan(network, seed)
    delay_s = slow_delay_s(network, plan)
    flow = flow_of(network, plan)
    assert mean_delay_s(flow) == pytest.approx(delay_s, rel=1e-12)
    if flow.utilisation.max() <= 0.98 and (link_scv is None or flow.link_utilisation.max() <= 0.98):
        assert cost_tasks(flow, Barrier()) == pytest.approx(delay_s * network.total_per_s, rel=1e-12)


@settings(max_examples=20, deadline=None)
@given(seed=seeds, load=st.sampled_from([0.3, 1.0, 3.0]), link_scv=st.sampled_from([None, 1.0]))
def test_gradient_matches_finite_differences(seed: int, load: float, link_scv: float | None) -> None:
    network = drawn_network(seed, link_scv=link_scv).scaled(load)
    plan, barrier = any_plan(network, seed), Barrier(0.9, 10.0)
    flow = flow_of(network, plan)
    found = gradient(flow, marginals(flow, plan, barrier))
    h = 1e-6
    for link in range(0, network.n_links, 3):
        step = np.zeros(network.n_links)
        step[link] = h
        up, down = (cost_tasks(flow_of(network, plan + way * step), barrier) for way in (1, -1))
        rounding = 4e-16 * abs(up) * network.n_nodes / h
        assert (up - down) / (2 * h) == pytest.approx(found[link], rel=1e-5, abs=rounding + 1e-9)


def test_an_unstable_plan_has_no_mean_delay_but_a_cost() -> None:
    network = drawn_network(0).scaled(100.0)
    flow = flow_of(network, even_plan(network))
    assert mean_delay_s(flow) == np.inf
    assert np.isfinite(cost_tasks(flow, Barrier()))


def test_a_plan_is_found_again_from_its_flow_and_idle_nodes_keep_a_row() -> None:
    network = drawn_network(3)
    plan = any_plan(network, 5)
    assert plan_of_flow(network, flow_of(network, plan).link_per_s) == pytest.approx(plan)
    nothing = plan_of_flow(network, np.zeros(network.n_links), computing_first(network))
    assert nothing.tolist() == computing_first(network).tolist()


def test_what_is_no_plan_is_refused() -> None:
    network = drawn_network(0)
    require_plan(network, even_plan(network))
    with pytest.raises(InputError, match="sum to"):
        require_plan(network, even_plan(network) * 0.9)
    with pytest.raises(InputError, match="expected one each"):
        require_plan(network, np.ones(1))
