from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest
from offloading_networks import drawn_network

from edgesim.errors import InputError
from edgesim.planning.offloading.adaptive_step import next_boldness
from edgesim.planning.offloading.capacity import largest_scale
from edgesim.planning.offloading.descent import State, all_rows, play_round
from edgesim.planning.offloading.flow import cost_tasks, flow_of
from edgesim.planning.offloading.network import OffloadingNetwork
from edgesim.planning.offloading.optimum import optimal_plan
from edgesim.planning.offloading.queue_cost import Barrier
from edgesim.planning.offloading.rounds import (
    Offer,
    RoundRule,
    anticipated_price_s,
    marginal_price_s,
    offer,
    offloader_step,
    plain_step,
    proximal_weights_s,
    receiver_report,
)
from edgesim.planning.offloading.rows import Rows

BARRIER = Barrier()


@dataclass
class Agent:
    """A node that knows itself, and what messages brought."""

    row: np.ndarray
    boldness: np.ndarray
    step: np.ndarray
    reported_s: dict[int, float] = field(default_factory=dict)  # by hop: its last delta
    own_s: dict[int, float] = field(default_factory=dict)  # and its own price
    offered: dict[int, tuple[float, float, float]] = field(default_factory=dict)  # rate, response, at price


def hops(network: OffloadingNetwork, node: int) -> list[int]:
    return network.head[network.links(node)].tolist()


def play_by_messages(
    network: OffloadingNetwork, rule: RoundRule, n_rounds: int, rng: np.random.Generator, loss: float
) -> np.ndarray:
    """Rounds node by node; every message between two nodes is lost with a probability."""
    start = State.start(network)
    agents = [
        Agent(row, np.ones(len(row)), np.zeros(len(row)))
        for row in (start.plan[network.links(node)] for node in range(network.n_nodes))
    ]
    for node, agent in enumerate(agents):
        agent.reported_s = {hop: float(start.node_s[hop]) for hop in hops(network, node)}
        agent.own_s = {hop: float(start.own_s[hop]) for hop in hops(network, node)}

    def costs_s(node: int) -> np.ndarray:
        known = agents[node].reported_s
        times_s = network.transfer_s[network.links(node)]
        return times_s + np.array([known[hop] for hop in hops(network, node)])

    def coming(node: int) -> tuple[float, float, float]:
        """Rate and response of what offloaders have offered, and the mean price that it answers."""
        offers = np.array(list(agents[node].offered.values())).reshape(-1, 3)
        rate, response = offers[:, :2].sum(axis=0)
        return rate + float(network.arrivals_per_s[node]), response, offers[:, 1] @ offers[:, 2] / response

    def report(node: int, row: np.ndarray) -> tuple[float, float]:
        after_s = receiver_report(0.0, float(network.onward[node]), row, costs_s(node)) if len(row) else 0.0
        rate, response, before_s = coming(node)
        own_s = anticipated_price_s(
            network.service_s[[node]],
            network.scv[[node]],
            np.array([rate]),
            np.array([response]),
            np.array([before_s]),
            damping=rule.damping,
            barrier=BARRIER,
        )
        return float(own_s[0]) + after_s, float(own_s[0])

    for _ in range(n_rounds):
        weights_s = [
            proximal_weights_s(Rows.single(len(agent.row)), costs_s(node), rule.boldness * agent.boldness)
            if len(agent.row)
            else np.empty(0)
            for node, agent in enumerate(agents)
        ]
        for _ in range(rule.n_exchanges):
            rows = [agent.row for agent in agents]
            for node, agent in enumerate(agents):
                if not len(agent.row):
                    continue
                rate, response = float(network.arrivals_per_s[node]), 0.0
                if agent.offered:
                    rate, response, _ = coming(node)
                made: Offer = offer(
                    agent.row,
                    costs_s(node),
                    weights_s[node],
                    rate_per_s=rate,
                    continues=float(network.onward[node]),
                    response_per_s2=response,
                )
                rows[node] = made.row
                for place, hop in enumerate(hops(network, node)):
                    if rng.random() >= loss or node not in agents[hop].offered:  # the first ones arrive
                        rates, falls = made.rates_per_s[place], made.responses_per_s2[place]
                        agents[hop].offered[node] = (rates, falls, agent.own_s[hop])
            for node in reversed(range(network.n_nodes)):
                if network.stage[node] > 0:
                    price_s, own_s = report(node, rows[node])
                    for up in network.tail[network.head == node].tolist():
                        if rng.random() >= loss:
                            agents[up].reported_s[node], agents[up].own_s[node] = price_s, own_s
        for node, agent in enumerate(agents):
            if len(agent.row):
                taken = offloader_step(agent.row, costs_s(node), weights_s[node])
                step, rows_ = taken - agent.row, Rows.single(len(taken))
                agent.boldness = next_boldness(rows_, agent.boldness, step, agent.step)
                agent.row, agent.step = taken, step
    return np.concatenate([agent.row for agent in agents])


def test_rounds_by_messages_are_the_rounds_of_all_nodes_at_once() -> None:
    network = drawn_network(2)
    network = network.scaled(0.7 * largest_scale(network))
    rule, state = RoundRule(), State.start(network)
    for _ in range(5):
        state = play_round(network, all_rows(network), state, rule, BARRIER)
    by_messages = play_by_messages(network, rule, 5, np.random.default_rng(0), 0.0)
    assert by_messages == pytest.approx(state.plan, abs=1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_lost_messages_do_no_lasting_harm(seed: int) -> None:
    network = drawn_network(seed, n_devices=4, n_servers=(3, 2))
    network = network.scaled(0.7 * largest_scale(network))
    plan = play_by_messages(network, RoundRule(), 30, np.random.default_rng(seed), 0.3)
    least = optimal_plan(network).delay_s * network.total_per_s
    assert cost_tasks(flow_of(network, plan), BARRIER) <= 1.01 * least


def test_a_price_is_the_marginal_cost_at_the_rate_that_it_leads_to() -> None:
    rng = np.random.default_rng(1)
    n = 200
    service_s, scv = rng.uniform(0.001, 0.1, n), rng.uniform(0, 2, n)
    offered = rng.uniform(0, 3, n) / service_s
    response, before_s = rng.exponential(size=n) * 100, service_s * rng.exponential(size=n) * 20
    price_s = anticipated_price_s(service_s, scv, offered, response, before_s, damping=2.0, barrier=BARRIER)
    follows = offered - 2.0 * response * (price_s - before_s)
    expected = marginal_price_s(service_s, scv, np.maximum(follows, 0), BARRIER)
    assert price_s == pytest.approx(expected, rel=1e-6)
    fixed = anticipated_price_s(service_s, scv, offered, np.zeros(n), before_s, damping=2.0, barrier=BARRIER)
    assert fixed == pytest.approx(marginal_price_s(service_s, scv, offered, BARRIER), rel=1e-12)


def test_offers_foretell_how_a_rate_falls_with_a_price() -> None:
    row, costs_s = np.array([0.5, 0.3, 0.2]), np.array([1.0, 1.05, 1.1])
    weights_s, h = np.full(3, 2.0), 1e-6
    made = offer(row, costs_s, weights_s, rate_per_s=4.0, continues=0.5)
    assert made.rates_per_s == pytest.approx(2.0 * made.row)
    for hop in range(3):
        dearer = offloader_step(row, costs_s + h * (np.arange(3) == hop), weights_s)
        assert made.responses_per_s2[hop] == pytest.approx(2.0 * (made.row - dearer)[hop] / h, rel=1e-6)


def test_the_plain_step_of_one_node() -> None:
    assert plain_step(np.array([0.5, 0.5]), np.array([1.0, 3.0]), 0.1) == pytest.approx([0.7, 0.3])
    assert plain_step(np.array([0.5, 0.5]), np.array([1.0, 3.0]), 10.0).tolist() == [1.0, 0.0]


def test_a_round_of_no_exchange_is_refused() -> None:
    with pytest.raises(InputError, match="at least one exchange"):
        RoundRule(n_exchanges=0)


def test_boldness_grows_while_steps_agree_and_halves_when_they_turn_back() -> None:
    rows = Rows(np.array([0, 0, 1, 1, 2, 2]), 3)
    before = np.array([0.1, -0.1, 0.1, -0.1, 0.1, -0.1])
    step = np.array([0.2, -0.2, -0.01, 0.01, 0.0, 0.0])
    found = next_boldness(rows, np.array([1.0, 1.0, 1.0, 1.0, 0.3, 0.3]), step, before)
    assert found == pytest.approx([1.15, 1.15, 0.5, 0.5, 0.3, 0.3])
    assert next_boldness(rows, np.full(6, 0.2), before, before) == pytest.approx(np.full(6, 0.3))
    assert next_boldness(rows, np.full(6, 2.0), before, before).max() == 2.0
    assert next_boldness(rows, np.full(6, 0.1), before, -before).min() == 0.1
