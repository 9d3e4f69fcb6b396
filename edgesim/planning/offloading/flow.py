"""Flow of a plan in a network: rates at nodes and links, utilisations, mean delay, cost.

A plan is ``p`` [n_links]: the probability that a task that leaves a node takes each of its links.

::

    phi_k = arrivals_k + sum_i f_ik,    f_ik = phi_i I_i p_ik,    rho_k = phi_k s_k
    T = (1 / Phi) [ sum_k F(rho_k) + sum_ik f_ik t_ik ]

A link with a queue contains F(f_ik t_ik) tasks instead of f_ik t_ik.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgesim.errors import InputError
from edgesim.planning.offloading.network import OffloadingNetwork
from edgesim.planning.offloading.queue_cost import Barrier, queue_tasks, wait_and_service_s

__all__ = ["Flow", "cost_tasks", "even_plan", "flow_of", "mean_delay_s", "plan_of_flow", "require_plan"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Flow:
    """Task rates: into each node [n_nodes], over each link [n_links]."""

    network: OffloadingNetwork
    node_per_s: Floats
    link_per_s: Floats

    @property
    def utilisation(self) -> Floats:
        """Utilisation rho of each node, 0 at end devices: [n_nodes]."""
        return self.node_per_s * self.network.service_s

    @property
    def link_utilisation(self) -> Floats:
        """Utilisation of each link; meaningful where the link has a queue: [n_links]."""
        return self.link_per_s * self.network.transfer_s


def even_plan(network: OffloadingNetwork) -> Floats:
    """Return the plan that takes all links of a node with equal probability."""
    plan: Floats = 1.0 / network.n_hops[network.tail]
    return plan


def require_plan(network: OffloadingNetwork, plan: Floats) -> None:
    """Raise InputError unless the plan has one probability per link, summing to 1 at each node."""
    if plan.shape != (network.n_links,) or not np.all(plan >= 0):
        raise InputError(
            f"offloading: a plan of shape {plan.shape} for {network.n_links} links; expected one each"
        )
    sums = np.bincount(network.tail, plan, network.n_nodes)[network.n_hops > 0]
    if not np.allclose(sums, 1, rtol=0, atol=1e-9):
        raise InputError(f"offloading: probabilities of a node sum to {sums.min():g}; expected 1")


def flow_of(network: OffloadingNetwork, plan: Floats) -> Flow:
    """Return the rates that result from a plan."""
    node_per_s = network.arrivals_per_s.copy()
    link_per_s = np.empty(network.n_links)
    for links in network.links_of_stage:
        tail = network.tail[links]
        link_per_s[links] = node_per_s[tail] * network.onward[tail] * plan[links]
        node_per_s += np.bincount(network.head[links], link_per_s[links], network.n_nodes)
    return Flow(network, node_per_s, link_per_s)


def plan_of_flow(network: OffloadingNetwork, link_per_s: Floats, otherwise: Floats | None = None) -> Floats:
    """Return the plan of link rates; nodes without tasks have the row of `otherwise` (default: even)."""
    link_per_s = np.maximum(link_per_s, 0.0)
    out = np.bincount(network.tail, link_per_s, network.n_nodes)[network.tail]
    idle = out <= 1e-12 * network.total_per_s
    kept = even_plan(network) if otherwise is None else otherwise
    plan: Floats = np.where(idle, kept, link_per_s / np.where(idle, 1.0, out))
    return plan


def mean_delay_s(flow: Flow) -> float:
    """Return T, the mean time from a task's arrival to its answer; infinite if a queue is not stable."""
    network = flow.network
    servers = (network.stage > 0) & (flow.node_per_s > 0)
    rates = flow.node_per_s[servers]
    waits = wait_and_service_s(network.service_s[servers], flow.utilisation[servers], network.scv[servers])
    spent = float(rates @ waits) + float(flow.link_per_s @ network.transfer_s)
    queued = network.has_queue & (flow.link_per_s > 0)
    if network.link_scv is not None and queued.any():
        transfer_s = network.transfer_s[queued]
        through = wait_and_service_s(transfer_s, flow.link_utilisation[queued], network.link_scv[queued])
        spent += float(flow.link_per_s[queued] @ (through - transfer_s))
    return spent / network.total_per_s


def cost_tasks(flow: Flow, barrier: Barrier) -> float:
    """Return R, the mean number of tasks in the network, continued beyond capacity, with the penalty.

    It equals Phi T if no queue is loaded beyond kappa.
    """
    network = flow.network
    tasks, _, _ = queue_tasks(flow.utilisation, network.scv, barrier)
    total = float(tasks.sum()) + float(flow.link_utilisation[~network.has_queue].sum())
    if network.link_scv is not None:
        queued = network.has_queue
        on_links, _, _ = queue_tasks(flow.link_utilisation[queued], network.link_scv[queued], barrier)
        total += float(on_links.sum())
    return total
