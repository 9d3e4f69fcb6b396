"""Rounds of all nodes at once on a static network: the plan to which the messages converge.

The nodes perform the same steps one by one in :mod:`~edgesim.planning.offloading.rounds`. Every exchange
passes offers down through all stages, then prices up.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from edgesim.planning.offloading.adaptive_step import next_boldness
from edgesim.planning.offloading.fixed_rules import computing_first
from edgesim.planning.offloading.flow import Flow, cost_tasks, flow_of, require_plan
from edgesim.planning.offloading.marginal import (
    excess_tasks,
    link_marginals,
    marginals,
    passed_upstream,
)
from edgesim.planning.offloading.network import OffloadingNetwork
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

_COLD_UTILISATION = 0.9  # limits the initial price of queues that the initial plan overloads


@dataclass(frozen=True, eq=False)
class State:
    """State of the nodes between rounds.

    Attributes
    ----------
    plan : [n_links]
        The offloaders' rows.
    own_s, node_s : [n_nodes]
        Each receiver's last price of its own queue, and the delta that it last reported.
    link_s : [n_links]
        Price of each link: its time, or the price of its queue, which its offloader sets as a receiver would.
    boldness, step : [n_links]
        Step size of each row, relative to the rule's, and its change in the last round.
    """

    plan: Floats
    own_s: Floats
    node_s: Floats
    link_s: Floats
    boldness: Floats
    step: Floats

    @classmethod
    def start(
        cls, network: OffloadingNetwork, plan: Floats | None = None, barrier: Barrier | None = None
    ) -> State:
        """Return the state before the first round: a plan (default: by capacity) and its marginal costs."""
        barrier = barrier or Barrier()
        plan = computing_first(network) if plan is None else plan
        require_plan(network, plan)
        flow = flow_of(network, plan)
        cold = Flow(
            network,
            np.minimum(flow.node_per_s, _cold_per_s(network.service_s)),
            np.minimum(flow.link_per_s, _cold_per_s(network.transfer_s)),
        )
        own_s = marginal_price_s(network.service_s, network.scv, cold.node_per_s, barrier)
        link_s = link_marginals(cold, barrier)
        node_s, _ = passed_upstream(network, plan, own_s, link_s)
        return cls(plan, own_s, node_s, link_s, np.ones(network.n_links), np.zeros(network.n_links))


@dataclass(frozen=True, eq=False)
class Descent:
    """Result of the rounds.

    Attributes
    ----------
    plan : [n_links]
        Best plan visited.
    flow
        Flow of that plan.
    state
        Last state of the nodes, from which rounds can continue.
    n_rounds
        Number of rounds.
    excess
        Upper bound of the plan's excess over the optimal cost, relative to the plan's cost R.
    costs
        R before each round and at the end [tasks]: [n_rounds + 1].
    """

    plan: Floats
    flow: Flow
    state: State
    n_rounds: int
    excess: float
    costs: tuple[float, ...] = field(repr=False)


def all_rows(network: OffloadingNetwork) -> Rows:
    """Return the rows of all nodes that send on."""
    sends = network.n_hops > 0
    number = np.cumsum(sends) - 1
    return Rows(number[network.tail], int(sends.sum()))


def play_round(
    network: OffloadingNetwork, rows: Rows, state: State, rule: RoundRule, barrier: Barrier
) -> State:
    """Return the state after one round of every node."""
    if rule.kind == "plain":
        found = marginals(flow_of(network, state.plan), state.plan, barrier)
        plan = plain_shift(rows, state.plan, found.link_s, rule.eta_per_s)
        return replace(state, plan=plan, own_s=found.own_s, node_s=found.node_s, link_s=found.alone_s)
    known = state
    costs_s = np.where(network.has_queue, state.link_s, network.transfer_s) + state.node_s[network.head]
    weights_s = proximal_weights_s(rows, costs_s, rule.boldness * state.boldness)
    for _ in range(rule.n_exchanges):
        offered = proximal_shift(rows, state.plan, costs_s, weights_s)
        falls_per_s = responses(rows, offered, weights_s)
        known, costs_s = _answered(network, known, offered, falls_per_s, rule, barrier)
    plan = proximal_shift(rows, state.plan, costs_s, weights_s)
    step = plan - state.plan
    # With queues on links, a step answers the link's price and the receiver's at once: rows of varying
    # boldness were seen to oscillate without end there.
    changes = network.link_scv is None
    boldness = next_boldness(rows, state.boldness, step, state.step) if changes else state.boldness
    return replace(known, plan=plan, boldness=boldness, step=step)


def _answered(
    network: OffloadingNetwork,
    known: State,
    offered: Floats,
    falls_per_s: Floats,
    rule: RoundRule,
    barrier: Barrier,
) -> tuple[State, Floats]:
    """Return the state with prices that answer the offers, and a task's cost by each link."""
    coming = flow_of(network, offered)
    at_nodes, at_links = _responses_per_s2(coming, offered, falls_per_s)
    link_s = np.where(network.has_queue, known.link_s, network.transfer_s)
    own_s = anticipated_price_s(
        network.service_s,
        network.scv,
        coming.node_per_s,
        at_nodes,
        known.own_s,
        damping=rule.damping,
        barrier=barrier,
    )
    if network.link_scv is not None:
        queued = network.has_queue
        link_s[queued] = anticipated_price_s(
            network.transfer_s[queued],
            network.link_scv[queued],
            coming.link_per_s[queued],
            at_links[queued],
            link_s[queued],
            damping=rule.damping,
            barrier=barrier,
        )
    node_s, costs_s = passed_upstream(network, offered, own_s, link_s)
    return replace(known, own_s=own_s, node_s=node_s, link_s=link_s), costs_s


def descend(
    network: OffloadingNetwork,
    start: State | None = None,
    *,
    barrier: Barrier | None = None,
    rule: RoundRule | None = None,
    tolerance: float = 1e-3,
    n_most: int = 500,
    each: Callable[[int, Flow], None] | None = None,
) -> Descent:
    """Run rounds until a plan is certified to cost at most `tolerance` (relative) more than the optimum.

    Parameters
    ----------
    start
        Initial state. Its plan may exceed the network's capacity.
    each
        Called before every round with its number and the present flow.
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


def _cold_per_s(occupied_s: Floats) -> Floats:
    """Return the highest rate used for an initial price."""
    return np.where(occupied_s > 0, _COLD_UTILISATION / np.where(occupied_s > 0, occupied_s, 1.0), np.inf)


def _responses_per_s2(coming: Flow, offered: Floats, falls_per_s: Floats) -> tuple[Floats, Floats]:
    """Return by how much the rates at each node and link fall per second of added cost there."""
    network = coming.network
    at_nodes, at_links = np.zeros(network.n_nodes), np.zeros(network.n_links)
    for links in network.links_of_stage:
        tail = network.tail[links]
        direct = coming.node_per_s[tail] * falls_per_s[links]
        at_links[links] = network.onward[tail] * (direct + offered[links] * at_nodes[tail])
        at_nodes += np.bincount(network.head[links], at_links[links], network.n_nodes)
    return at_nodes, at_links
