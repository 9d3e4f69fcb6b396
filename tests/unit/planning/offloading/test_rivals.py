from __future__ import annotations

import numpy as np
import pytest
from offloading_networks import drawn_network
from scipy.optimize import minimize

from edgesim.errors import InputError
from edgesim.planning.offloading.capacity import largest_scale
from edgesim.planning.offloading.channel_exit import channel_threshold
from edgesim.planning.offloading.decisions import backpressure, join_shortest_expected
from edgesim.planning.offloading.descent import descend
from edgesim.planning.offloading.fixed_rules import bandwidth_first, computing_first
from edgesim.planning.offloading.flow import even_plan, flow_of, mean_delay_s
from edgesim.planning.offloading.game import equilibrium
from edgesim.planning.offloading.network import OffloadingNetwork, OffloadingNode
from edgesim.planning.offloading.optimum import optimal_plan
from edgesim.planning.offloading.queue_cost import wait_and_service_s


def test_computing_first_follows_capacities_and_bandwidth_first_rates() -> None:
    network = OffloadingNetwork.of(
        [
            OffloadingNode("d", 0, arrivals_per_s=1.0),
            OffloadingNode("slow", 1, 0.3),
            OffloadingNode("fast", 1, 0.1),
        ],
        {("d", "slow"): 0.01, ("d", "fast"): 0.04},
    )
    assert computing_first(network) == pytest.approx([0.25, 0.75])
    assert bandwidth_first(network) == pytest.approx([0.8, 0.2])


def test_a_devices_own_processor_takes_all_where_bandwidth_comes_first() -> None:
    network = OffloadingNetwork.of(
        [
            OffloadingNode("d", 0, arrivals_per_s=1.0),
            OffloadingNode("d's own", 1, 0.3),
            OffloadingNode("edge", 1, 0.1),
        ],
        {("d", "d's own"): 0.0, ("d", "edge"): 0.04},
    )
    assert bandwidth_first(network).tolist() == [1.0, 0.0]


def own_delay_s(network: OffloadingNetwork, plan: np.ndarray, player: int) -> float:
    """Mean time that tasks leaving a player spend from there on, one path after another."""
    flow = flow_of(network, plan)
    times_s = wait_and_service_s(network.service_s, flow.utilisation, network.scv)
    queued = network.has_queue
    links_s = network.transfer_s.copy()
    if network.link_scv is not None:
        links_s[queued] = wait_and_service_s(
            network.transfer_s[queued], flow.link_utilisation[queued], network.link_scv[queued]
        )

    def onward_s(node: int) -> float:
        if network.n_hops[node] == 0:
            return 0.0
        mine = network.links(node)
        heads = network.head[mine].tolist()
        per_hop = [
            link_s + times_s[head] + network.onward[head] * onward_s(head)
            for link_s, head in zip(links_s[mine], heads, strict=True)
        ]
        return float(plan[mine] @ np.array(per_hop))

    return onward_s(player)


@pytest.mark.parametrize(("seed", "link_scv"), [(0, None), (1, None), (2, 1.0)])
def test_no_player_gains_by_leaving_the_equilibrium_alone(seed: int, link_scv: float | None) -> None:
    network = drawn_network(seed, n_devices=4, n_servers=(3, 2), link_scv=link_scv)
    network = network.scaled(0.6 * largest_scale(network))
    found = equilibrium(network)
    assert found.regret <= 1e-3
    for player in range(network.n_nodes):
        if network.n_hops[player] < 2:
            continue
        mine = network.links(player)

        def delay_s(row: np.ndarray, mine: slice = mine, player: int = player) -> float:
            plan = found.plan.copy()
            plan[mine] = row / row.sum()
            return min(own_delay_s(network, plan, player), 1e3)

        n = int(network.n_hops[player])
        now = delay_s(found.plan[mine])
        corners = [delay_s(0.98 * found.plan[mine] + 0.02 * corner) for corner in np.eye(n)]
        best = minimize(
            delay_s,
            found.plan[mine],
            bounds=[(0, 1)] * n,
            constraints={"type": "eq", "fun": lambda row: row.sum() - 1},
            method="SLSQP",
        )
        assert min(best.fun, *corners) >= now * (1 - 1.1e-3)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("load", [0.3, 0.7])
def test_the_optimum_is_below_every_rival(seed: int, load: float) -> None:
    network = drawn_network(seed)
    network = network.scaled(load * largest_scale(network))
    least_s = optimal_plan(network).delay_s
    ours_s = mean_delay_s(descend(network, n_most=40).flow)
    rivals = [computing_first(network), bandwidth_first(network), even_plan(network)]
    rivals.append(equilibrium(network).plan)
    for plan in rivals:
        rival_s = mean_delay_s(flow_of(network, plan))
        assert least_s * (1 - 1e-6) <= rival_s
        assert ours_s <= 1.001 * rival_s


def test_a_player_who_sends_everything_plans_as_the_optimum_does() -> None:
    network = drawn_network(5, n_devices=1, n_servers=(3,)).scaled(1.0)
    network = network.scaled(0.7 * largest_scale(network))
    alone_s = mean_delay_s(flow_of(network, equilibrium(network, tolerance=1e-6).plan))
    assert alone_s == pytest.approx(optimal_plan(network).delay_s, rel=1e-5)


def test_join_the_shortest_expected_delay_weighs_way_queue_and_speed() -> None:
    transfer_s, service_s = np.array([0.1, 0.2, 0.0]), np.array([0.1, 0.05, 1.0])
    assert join_shortest_expected(transfer_s, np.array([0, 0, 0]), service_s) == 0
    assert join_shortest_expected(transfer_s, np.array([1, 0, 0]), service_s) == 1
    assert join_shortest_expected(transfer_s, np.array([0, 0, 0]), service_s, np.array([2.0, 2.0, 0.0])) == 2
    assert join_shortest_expected(np.zeros(2), np.zeros(2), np.ones(2)) == 0
    assert join_shortest_expected(np.array([np.inf, 9.0]), np.array([0, 9]), np.ones(2)) == 1


def test_backpressure_sends_where_pressure_times_rate_is_largest_or_keeps_the_task() -> None:
    assert backpressure(5, np.array([4, 0]), np.array([0.1, 1.0])) == 0
    assert backpressure(5, np.array([4.9, 0]), np.array([0.1, 1.0])) == 1
    assert backpressure(2, np.array([2, 3]), np.array([0.1, 0.1])) is None
    assert backpressure(3, np.array([2, 3]), np.array([0.1, 0.1]), least_pressure=1) is None
    down = np.array([np.inf, 0.1])
    assert backpressure(5, np.array([0, 4]), down) == 1
    assert backpressure(5, np.array([0, 6]), down) is None
    assert backpressure(5, np.zeros(2), np.full(2, np.inf)) is None


def test_the_worse_the_channel_the_sooner_a_task_leaves() -> None:
    good = channel_threshold(0.9, onward_s=0.1, exchange_s=1.0)
    assert good == pytest.approx(0.8)
    assert channel_threshold(0.9, onward_s=0.5, exchange_s=1.0) < good
    lossy = 0.5 * 0.9 + 0.5 * 0.4  # half of what is sent is lost, and answered locally
    assert channel_threshold(lossy, onward_s=0.1, exchange_s=1.0) < good
    assert channel_threshold(0.9, onward_s=5.0, exchange_s=1.0) == 0.0
    with pytest.raises(InputError, match="above 0"):
        channel_threshold(0.9, 0.1, 0.0)
