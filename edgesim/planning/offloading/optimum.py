"""The optimal plan, found centrally: the lower bound for every rule with less information.

The cost is convex in the link rates f, not in the probabilities p. By Pollaczek-Khinchine
``F(rho) = rho + v (1 / (1 - rho) - 1 - rho)`` with v = (1 + scv) / 2, so the problem is a second-order cone
program for M/M/1, M/D/1 and M/G/1 alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgesim.errors import InputError
from edgesim.planning.offloading.capacity import balance, entering, largest_scale
from edgesim.planning.offloading.flow import Flow, flow_of, mean_delay_s, plan_of_flow
from edgesim.planning.offloading.network import OffloadingNetwork

__all__ = ["Optimum", "optimal_plan"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Optimum:
    """The plan of least mean delay [n_links], its flow, and that delay."""

    plan: Floats
    flow: Flow
    delay_s: float


def optimal_plan(network: OffloadingNetwork) -> Optimum:
    """Return the plan of least mean delay with every queue stable.

    Raises
    ------
    InputError
        If arrivals reach or exceed the largest flow that the network can carry.
    """
    cp = _cvxpy()

    rate = network.total_per_s  # rates are divided by it, so that the solver's numbers are near 1
    servers = np.flatnonzero(network.stage > 0)
    sends = network.n_hops > 0
    link = cp.Variable(network.n_links, nonneg=True)
    coming = network.arrivals_per_s[servers] + rate * (entering(network)[servers] @ link)
    total = _tasks(cp, cp.multiply(network.service_s[servers], coming), network.scv[servers])
    plain = np.flatnonzero(~network.has_queue)
    total += rate * (network.transfer_s[plain] @ link[plain])
    if network.link_scv is not None and network.has_queue.any():
        queued = np.flatnonzero(network.has_queue)
        occupied = cp.multiply(rate * network.transfer_s[queued], link[queued])
        total += _tasks(cp, occupied, network.link_scv[queued])
    leaving = (network.onward * network.arrivals_per_s)[sends] / rate
    problem = cp.Problem(cp.Minimize(total), [balance(network) @ link == leaving])
    try:
        problem.solve(solver=cp.CLARABEL, max_threads=1)  # more threads would not survive a fork
    except cp.SolverError:
        link.value = None
    flow = None
    if link.value is not None:
        plan = plan_of_flow(network, np.asarray(link.value) * rate)
        flow = flow_of(network, plan)
    if flow is None or not np.isfinite(mean_delay_s(flow)):
        raise InputError(
            f"offloading: no stable plan was found; arrivals may grow {largest_scale(network):.4g} times "
            "before the network is full; reduce them or add servers"
        )
    return Optimum(plan, flow, mean_delay_s(flow))


def _cvxpy() -> Any:
    import cvxpy  # takes a second; only this function needs it

    return cvxpy


def _tasks(cp: Any, utilisation: Any, scv: Floats) -> Any:
    """Return the mean number of tasks in queues, as a convex expression."""
    waits = cp.inv_pos(1 - utilisation) - 1 - utilisation
    return cp.sum(utilisation) + cp.sum(cp.multiply((1 + scv) / 2, waits))
