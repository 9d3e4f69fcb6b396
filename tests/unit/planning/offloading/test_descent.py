from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from offloading_networks import drawn_network

from edgesim.errors import InputError
from edgesim.planning.offloading.capacity import largest_scale
from edgesim.planning.offloading.descent import Descent, State, descend
from edgesim.planning.offloading.fixed_rules import bandwidth_first, computing_first
from edgesim.planning.offloading.flow import cost_tasks, even_plan, flow_of, mean_delay_s
from edgesim.planning.offloading.marginal import excess_tasks, marginals
from edgesim.planning.offloading.network import OffloadingNetwork
from edgesim.planning.offloading.optimum import optimal_plan
from edgesim.planning.offloading.queue_cost import Barrier
from edgesim.planning.offloading.rounds import RoundRule


def loaded(seed: int, load: float, **how: float | None) -> OffloadingNetwork:
    network = drawn_network(seed, **how)  # type: ignore[arg-type]
    return network.scaled(load * largest_scale(network))


@pytest.mark.parametrize("load", [0.5, 0.7, 0.9])
@pytest.mark.parametrize("seed", range(4))
def test_rounds_reach_the_central_optimum(seed: int, load: float) -> None:
    network = loaded(seed, load)
    found = descend(network, n_most=60)
    assert mean_delay_s(found.flow) <= 1.01 * optimal_plan(network).delay_s
    assert found.flow.utilisation.max() < 1


@pytest.mark.parametrize(
    "how", [{"scv": 0.0}, {"scv": 2.5}, {"link_scv": 1.0}, {"scv": 0.0, "link_scv": 0.0}], ids=str
)
def test_so_they_do_with_other_queues(how: dict[str, float]) -> None:
    network = loaded(1, 0.8, **how)
    found = descend(network, n_most=60)
    assert mean_delay_s(found.flow) <= 1.01 * optimal_plan(network).delay_s


@pytest.mark.parametrize("start", [even_plan, bandwidth_first, computing_first])
def test_a_plan_that_asks_too_much_is_led_back(start: object) -> None:
    network = loaded(7, 0.9)
    state = State.start(network, start(network))  # type: ignore[operator]
    worst = flow_of(network, even_plan(network)).utilisation.max()
    assert worst > 1.5
    found = descend(network, state, n_most=60)
    assert found.flow.utilisation.max() < 1
    assert mean_delay_s(found.flow) <= 1.01 * optimal_plan(network).delay_s


def spread(found: Descent) -> tuple[float, float]:
    """By how much hops in use cost more than a row's cheapest, and the cheapest falls short of them."""
    network = found.flow.network
    costs_s = marginals(found.flow, found.plan, Barrier()).link_s
    above = []
    for node in range(network.n_nodes):
        mine = network.links(node)
        if network.n_hops[node] and found.flow.node_per_s[node] > 0:
            used = costs_s[mine][found.plan[mine] > 0.02]
            above.append(used.max() / costs_s[mine].min() - 1)
    return max(above), float(np.mean(above))


@pytest.mark.parametrize("seed", range(3))
def test_at_the_end_hops_in_use_cost_the_same_and_others_no_less(seed: int) -> None:
    found = descend(loaded(seed, 0.7), tolerance=1e-6, n_most=2000)
    assert found.excess <= 1e-6
    # A hop with a share above 0.02 that costs e more than the cheapest adds 0.02 e t_i D to the excess.
    worst, mean = spread(found)
    assert worst <= 0.01
    assert mean <= 0.001


@pytest.mark.parametrize("seed", range(4))
def test_the_certificate_bounds_what_a_plan_costs_too_much(seed: int) -> None:
    network, barrier = loaded(seed, 0.6), Barrier()
    least = optimal_plan(network).delay_s * network.total_per_s
    for plan in (even_plan(network), computing_first(network), descend(network, n_most=5).plan):
        flow = flow_of(network, plan)
        excess = excess_tasks(flow, marginals(flow, plan, barrier))
        assert cost_tasks(flow, barrier) - least <= excess * (1 + 1e-9) + 1e-6 * least


def test_the_papers_step_leads_there_too_if_it_is_small_and_the_load_low() -> None:
    network = loaded(0, 0.4)
    rule = RoundRule("plain", eta_per_s=0.5)
    found = descend(network, rule=rule, n_most=3000, tolerance=0.005)
    assert found.excess <= 0.005
    assert found.n_rounds > descend(network, tolerance=0.005).n_rounds


def test_rounds_go_on_from_where_they_ended_when_arrivals_change() -> None:
    network = loaded(3, 0.6)
    before = descend(network)
    rng = np.random.default_rng(5)
    rates = network.arrivals_per_s * rng.uniform(0.6, 1.4, network.n_nodes)
    changed = replace(network, arrivals_per_s=rates)
    after = descend(changed, before.state, n_most=10, tolerance=0.0)
    assert mean_delay_s(after.flow) <= 1.05 * optimal_plan(changed).delay_s


def test_no_plan_beats_the_optimum() -> None:
    network = loaded(2, 0.5)
    best, rng = optimal_plan(network), np.random.default_rng(0)
    for _ in range(50):
        weight = rng.exponential(size=network.n_links) * best.plan + 1e-4
        plan = weight / np.bincount(network.tail, weight, network.n_nodes)[network.tail]
        assert mean_delay_s(flow_of(network, plan)) >= best.delay_s * (1 - 1e-6)


def test_arrivals_beyond_the_largest_flow_have_no_optimum() -> None:
    with pytest.raises(InputError, match="before the network is full"):
        optimal_plan(loaded(0, 1.1))
