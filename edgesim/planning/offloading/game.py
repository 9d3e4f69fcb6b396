"""NGTO: every offloader minimises the mean delay of its own tasks, until none gains by changing its row.

The non-cooperative game that the name of the paper's baseline suggests; its exact rules were not available.
Every node that sends on is a player. Its row divides the tasks that it receives. It minimises the mean delay
of these tasks from there to their answers, with all other rows given: it counts how much its own tasks
lengthen the queues that they meet, but not the delay they add to other players' tasks. A player with few
tasks takes the shortest path, as in Wardrop's equilibrium; one that sends all tasks would plan as DTO-EE
does. The difference is the price of anarchy.

::

    J_i(q) = sum_r x_r T_r(a_r + x_r) + t_i sum_k q_k c_ik,     x_r = t_i sum_k q_k R_kr

R_kr: mean number of times that a task entering hop k meets queue r; a_r: the others' rate there; T_r: mean
time in the queue, continued beyond capacity as F is. J_i is convex in q. Players respond one after another,
from the last stage to the first, by projected Newton-like steps, until the rows stop changing: an
equilibrium.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgesim.planning.offloading.fixed_rules import computing_first
from edgesim.planning.offloading.flow import flow_of
from edgesim.planning.offloading.network import OffloadingNetwork
from edgesim.planning.offloading.queue_cost import Barrier, queue_tasks
from edgesim.planning.offloading.rows import Rows, proximal_shift

__all__ = ["Equilibrium", "equilibrium"]

Floats = NDArray[np.float64]

_N_STEPS = 30  # per response; warm starts need two or three


@dataclass(frozen=True, eq=False)
class Equilibrium:
    """Result of the best responses.

    Attributes
    ----------
    plan : [n_links]
        Plan of all players.
    n_sweeps
        Number of responses of every player.
    regret
        Largest fraction of its delay that a player could still save by its own row, bounded by marginal
        costs.
    """

    plan: Floats
    n_sweeps: int
    regret: float


@dataclass(frozen=True, eq=False)
class _Queues:
    """Queues of a network: nodes, then links with queues [n_queues]."""

    service_s: Floats
    scv: Floats


def equilibrium(
    network: OffloadingNetwork,
    plan: Floats | None = None,
    *,
    barrier: Barrier | None = None,
    tolerance: float = 1e-3,
    n_most: int = 200,
) -> Equilibrium:
    """Iterate best responses until no player can save more than `tolerance` of its delay."""
    barrier = barrier or Barrier()
    plan = computing_first(network) if plan is None else plan.copy()
    queued = np.flatnonzero(network.has_queue)
    on_links = np.empty(0) if network.link_scv is None else network.link_scv[queued]
    queues = _Queues(
        np.concatenate([network.service_s, network.transfer_s[queued]]),
        np.concatenate([network.scv, on_links]),
    )
    number = np.full(network.n_links, -1)
    number[queued] = network.n_nodes + np.arange(len(queued))
    n_sweeps, regret = 0, np.inf
    while regret > tolerance and n_sweeps < n_most:
        n_sweeps, regret = n_sweeps + 1, 0.0
        flow = flow_of(network, plan)
        load = np.concatenate([flow.node_per_s, flow.link_per_s[queued]])
        # By node, visits of a task that enters it to each queue (its own included), and time on other links.
        meets = np.zeros((network.n_nodes, len(queues.service_s)))
        meets[np.arange(network.n_nodes), np.arange(network.n_nodes)] = 1.0
        links_s = np.zeros(network.n_nodes)
        for stage in reversed(range(network.n_stages - 1)):
            for player in np.flatnonzero(network.stage == stage).tolist():
                mine = network.links(player)
                entered = meets[network.head[mine]].copy()
                own = np.flatnonzero(number[mine] >= 0)
                entered[own, number[mine][own]] += 1.0
                fixed_s = links_s[network.head[mine]] + np.where(
                    network.has_queue[mine], 0.0, network.transfer_s[mine]
                )
                rate = flow.node_per_s[player] * network.onward[player]
                if rate > 0:
                    others = load - rate * (plan[mine] @ entered)
                    row, gap = _response(plan[mine], rate, entered, fixed_s, others, queues, barrier)
                    load = others + rate * (row @ entered)
                    plan[mine] = row
                    regret = max(regret, gap)
                meets[player] += network.onward[player] * (plan[mine] @ entered)
                links_s[player] = network.onward[player] * float(plan[mine] @ fixed_s)
    return Equilibrium(plan, n_sweeps, regret)


def _response(
    row: Floats,
    rate_per_s: float,
    entered: Floats,
    fixed_s: Floats,
    others_per_s: Floats,
    queues: _Queues,
    barrier: Barrier,
) -> tuple[Floats, float]:
    """Return a player's best row, and an upper bound of the fraction of its delay that this saves."""
    met = np.flatnonzero(entered.any(axis=0) & (queues.service_s > 0))
    entered, others, rows = entered[:, met], np.maximum(others_per_s[met], 0.0), Rows.single(len(row))
    service_s, scv = queues.service_s[met], queues.scv[met]
    first, eta = 0.0, 1.0
    spent = np.inf
    moved = np.zeros(len(row))
    for number in range(_N_STEPS):
        own = rate_per_s * (row @ entered)
        time_s, slope_s2, bend_s3 = _times(service_s, scv, others + own, barrier)
        costs_s = entered @ (time_s + own * slope_s2) + fixed_s
        curvature_s = rate_per_s * (entered**2 @ (2 * slope_s2 + own * bend_s3))
        spent = float(row @ (entered @ time_s + fixed_s))
        gap = float(row @ costs_s - costs_s.min()) / max(spent, 1e-300)
        if number == 0:
            first = gap
        if gap <= 1e-7:
            break
        eta = max(eta / 2, 2.0**-20) if float(costs_s @ moved) > 0 else min(eta * 1.3, 2.0)
        weights_s = np.maximum(curvature_s, 1e-3 * costs_s.min()) / eta
        taken = proximal_shift(rows, row, costs_s, weights_s)
        moved, row = taken - row, taken
    return row, first


def _times(
    service_s: Floats, scv: Floats, rate_per_s: Floats, barrier: Barrier
) -> tuple[Floats, Floats, Floats]:
    """Return the mean time in each queue, F / lambda, and its first two derivatives by the rate."""
    rate = np.maximum(rate_per_s, 1e-9 / service_s)
    tasks, slope, curvature = queue_tasks(rate * service_s, scv, barrier)
    time_s = tasks / rate
    slope_s2 = (service_s * slope - time_s) / rate
    bend_s3 = (service_s**2 * curvature - 2 * slope_s2) / rate
    return time_s, np.maximum(slope_s2, 0.0), np.maximum(bend_s3, 0.0)
