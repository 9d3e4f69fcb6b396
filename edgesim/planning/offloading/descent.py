"""All nodes' rounds at once, on a network that stands still: the plan to which the messages lead.

What nodes do here together they do one by one with :mod:`~edgesim.planning.offloading.rounds`. Every exchange
passes offers down through all stages, then prices up.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from edgesim.planning.offloading.fixed_rules import computing_first
from edgesim.planning.offloading.flow import Flow, cost_tasks, flow_of, require_plan
from edgesim.planning.offloading.marginal import (
    excess_tasks,
    link_marginals,
    marginals,
    passed_upstream,
)
from edgesim.planning.offloading.network import Network
from edgesim.planning.offloading.queue_cost import Barrier
from edgesim.planning.offloading.rounds import (
    RoundRule,
    anticipated_price_s,
    marginal_price_s,
    proximal_weights_s,
    responses,
)
from edgesim.planning.offloading.rows import Rows, plain_shift, proximal_shift

__all__ = ["Descent", "State", "all_rows", "descend", "play_round"]

Floats = NDArray[np.float64]

_COLD_UTILISATION = 0.9  # the first price of a queue that a first plan overloads is that of this utilisation


@dataclass(frozen=True, eq=False)
class State:
    """What nodes keep between rounds: rows [n_links], and each server's own last price [n_nodes]."""

    plan: Floats
    own_s: Floats

    @classmethod
    def start(cls, network: Network, plan: Floats | None = None, barrier: Barrier | None = None) -> State:
        """Before the first round: a plan (by default in proportion to capacities) and its marginal costs."""
        plan = computing_first(network) if plan is None else plan
        require_plan(network, plan)
        limit = _COLD_UTILISATION / np.where(network.service_s > 0, network.service_s, 1.0)
        rates = np.minimum(flow_of(network, plan).node_per_s, limit)
        return cls(plan, marginal_price_s(network.service_s, network.scv, rates, barrier or Barrier()))


@dataclass(frozen=True, eq=False)
class Descent:
    """Where rounds led.

    Attributes
    ----------
    plan : [n_links]
        The best plan met, and its flow.
    state
        What the nodes keep, to go on from.
    excess
        Upper bound on how much the plan costs more than the best one, relative to its cost R.
    costs
        R before each round and at the end [tasks]: [n_rounds + 1].
    """

    plan: Floats
    flow: Flow
    state: State
    n_rounds: int
    excess: float
    costs: tuple[float, ...] = field(repr=False)


def all_rows(network: Network) -> Rows:
    """The rows of all nodes that send on."""
    sends = network.n_hops > 0
    number = np.cumsum(sends) - 1
    return Rows(number[network.tail], int(sends.sum()))


def play_round(network: Network, rows: Rows, state: State, rule: RoundRule, barrier: Barrier) -> State:
    """One round of every node."""
    flow = flow_of(network, state.plan)
    if rule.kind == "plain":
        found = marginals(flow, state.plan, barrier)
        return State(plain_shift(rows, state.plan, found.link_s, rule.eta_per_s), found.own_s)
    alone_s, curvature_s2 = link_marginals(flow, barrier)
    leaving_per_s = (flow.node_per_s * network.onward)[network.tail]
    own_s = state.own_s
    _, costs_s = passed_upstream(network, state.plan, own_s, alone_s)
    weights_s = proximal_weights_s(rows, costs_s, rule.boldness, leaving_per_s * curvature_s2)
    for _ in range(rule.n_exchanges):
        offered = proximal_shift(rows, state.plan, costs_s, weights_s)
        coming = flow_of(network, offered)
        own_s = anticipated_price_s(
            network.service_s,
            network.scv,
            coming.node_per_s,
            _response_per_s2(coming, offered, responses(rows, offered, weights_s)),
            own_s,
            damping=rule.damping,
            barrier=barrier,
        )
        _, costs_s = passed_upstream(network, offered, own_s, alone_s)
    return State(proximal_shift(rows, state.plan, costs_s, weights_s), own_s)


def descend(
    network: Network,
    start: State | None = None,
    *,
    barrier: Barrier | None = None,
    rule: RoundRule | None = None,
    tolerance: float = 1e-3,
    n_most: int = 500,
    each: Callable[[int, Flow], None] | None = None,
) -> Descent:
    """Run rounds until a plan is certified to cost at most `tolerance` (relative) more than the best.

    Parameters
    ----------
    start
        Where to start. Its plan may ask more than the network can do.
    each
        Called with the number of every round and the flow that it begins with.
    """
    barrier, rule = barrier or Barrier(), rule or RoundRule()
    state = State.start(network, barrier=barrier) if start is None else start
    rows, costs = all_rows(network), []
    bound, least, best = 0.0, np.inf, state
    for number in range(n_most + 1):
        flow = flow_of(network, state.plan)
        if each is not None:
            each(number, flow)
        costs.append(cost_tasks(flow, barrier))
        bound = max(bound, costs[-1] - excess_tasks(flow, marginals(flow, state.plan, barrier)))
        if costs[-1] < least:
            least, best = costs[-1], state
        if least - bound <= tolerance * least:
            break
        if number < n_most:
            state = play_round(network, rows, state, rule, barrier)
    reached = flow_of(network, best.plan)
    return Descent(best.plan, reached, state, len(costs) - 1, 1 - bound / least, tuple(costs))


def _response_per_s2(coming: Flow, offered: Floats, falls_per_s: Floats) -> Floats:
    """By how much the rate that comes to each node falls per second that it costs more: [n_nodes]."""
    network = coming.network
    total = np.zeros(network.n_nodes)
    for links in network.links_of_stage:
        tail = network.tail[links]
        direct = coming.node_per_s[tail] * falls_per_s[links]
        passed = network.onward[tail] * (direct + offered[links] * total[tail])
        total += np.bincount(network.head[links], passed, network.n_nodes)
    return total
