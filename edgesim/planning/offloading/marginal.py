"""Marginal cost of tasks at each node and link, propagated upstream from the last stage to the first.

::

    delta_k = s_k F'(rho_k) + I_k sum_l p_kl D_kl,    D_kl = t_kl + delta_l,    dR/dp_ik = phi_i I_i D_ik

(F' with its penalty; a link with a queue has t F'(f t) in place of t).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgesim.planning.offloading.flow import Flow
from edgesim.planning.offloading.network import OffloadingNetwork
from edgesim.planning.offloading.queue_cost import Barrier, queue_tasks

__all__ = ["Marginals", "excess_tasks", "gradient", "link_marginals", "marginals", "passed_upstream"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Marginals:
    """Marginal costs of one more task per second [s].

    Attributes
    ----------
    own_s, alone_s
        Cost at a node alone [n_nodes], at a link alone [n_links].
    node_s : [n_nodes]
        delta: cost at a node and everything after it.
    link_s : [n_links]
        D: cost at a link, the node that it enters, and everything after it.
    """

    own_s: Floats
    alone_s: Floats
    node_s: Floats
    link_s: Floats


def link_marginals(flow: Flow, barrier: Barrier) -> Floats:
    """Return the marginal cost of each link alone [s]: [n_links]."""
    network = flow.network
    alone_s = network.transfer_s.copy()
    if network.link_scv is not None:
        queued = network.has_queue
        _, slope, _ = queue_tasks(flow.link_utilisation[queued], network.link_scv[queued], barrier)
        alone_s[queued] = network.transfer_s[queued] * slope
    return alone_s


def passed_upstream(
    network: OffloadingNetwork, plan: Floats, own_s: Floats, alone_s: Floats
) -> tuple[Floats, Floats]:
    """Return delta of each node and D of each link from given prices, from the last stage to the first."""
    node_s, link_s = own_s.copy(), alone_s.copy()
    for links in reversed(network.links_of_stage):
        tail = network.tail[links]
        link_s[links] += node_s[network.head[links]]
        node_s += network.onward * np.bincount(tail, plan[links] * link_s[links], network.n_nodes)
    return node_s, link_s


def marginals(flow: Flow, plan: Floats, barrier: Barrier) -> Marginals:
    """Return the marginal costs of a plan at all nodes and links."""
    network = flow.network
    _, slope, _ = queue_tasks(flow.utilisation, network.scv, barrier)
    own_s = network.service_s * slope
    alone_s = link_marginals(flow, barrier)
    node_s, link_s = passed_upstream(network, plan, own_s, alone_s)
    return Marginals(own_s, alone_s, node_s, link_s)


def gradient(flow: Flow, costs: Marginals) -> Floats:
    """Return dR/dp [tasks]: [n_links]."""
    network = flow.network
    leaving = flow.node_per_s * network.onward
    return leaving[network.tail] * costs.link_s


def excess_tasks(flow: Flow, costs: Marginals) -> float:
    """Return an upper bound of the excess of a plan's R over the least: R - R* <= this.

    R is convex in the link rates f, so R* >= R + grad R (f* - f). The bound is the flow's cost at its
    marginal costs, minus that of the cheapest paths.
    """
    network = flow.network
    least_s = costs.own_s.copy()
    for links in reversed(network.links_of_stage):
        best = np.full(network.n_nodes, np.inf)
        np.minimum.at(best, network.tail[links], costs.alone_s[links] + least_s[network.head[links]])
        least_s += network.onward * np.where(np.isfinite(best), best, 0.0)
    spent = float(flow.node_per_s @ costs.own_s) + float(flow.link_per_s @ costs.alone_s)
    return spent - float(network.arrivals_per_s @ least_s)
