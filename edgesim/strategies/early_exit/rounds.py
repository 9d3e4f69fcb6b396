"""DTO-EE during a run: rounds in which offers go down through the stages and prices up.

A round takes one period, divided into equal steps. In each of its exchanges the nodes of stages 0, 1, ...
announce, one stage per step, what they would send (DTO-O); then those of the last stage to the first announce
its cost (DTO-R). One step later, at the end of the round, every node takes the row that follows from the
prices it has received. A node's information comes from messages (:mod:`.messages`), its own counts
(:mod:`.meters`) and observation of its own links. A late or lost message leaves the previous information in
force.

Nodes of a stage act at the same time, so their rows are computed together; none uses another's information.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgesim.planning.offloading.adaptive_step import next_boldness
from edgesim.planning.offloading.flow import flow_of
from edgesim.planning.offloading.marginal import passed_upstream
from edgesim.planning.offloading.network import OffloadingNetwork
from edgesim.planning.offloading.queue_cost import Barrier
from edgesim.planning.offloading.rounds import (
    RoundRule,
    anticipated_price_s,
    marginal_price_s,
    proximal_weights_s,
    responses,
)
from edgesim.planning.offloading.rows import Rows, proximal_shift
from edgesim.strategies.early_exit.exit_steps import ExitSteps
from edgesim.strategies.early_exit.links import LinkWatch
from edgesim.strategies.early_exit.messages import OffersAndPrices
from edgesim.strategies.early_exit.rate_estimates import Meters
from edgesim.strategies.early_exit.state import RunState
from edgesim.strategy import Cluster, Serving

__all__ = ["Rounds", "default_period_s"]

Floats = NDArray[np.float64]

_TASKS_PER_SERVER = 100  # in a period, so that a server's counts are meaningful
_PATIENCE = 3  # rounds for which a node waits for a link's report before it uses its counts
_MOST_PLANNED = 0.95  # upper limit of the utilisation at which queues are first priced


def default_period_s(network: OffloadingNetwork, n_exchanges: int) -> float:
    """Return the period in which 100 tasks reach each first-stage server and messages do not exceed tasks."""
    n_messages = 2 * n_exchanges * network.n_links
    n_first = int((network.stage == 1).sum())
    return max(n_messages, _TASKS_PER_SERVER * n_first) / network.total_per_s


@dataclass(frozen=True, slots=True)
class _Stage:
    """Nodes of a stage, and the links that leave and enter them."""

    nodes: slice
    out: slice
    into: slice
    rows: Rows | None


class Rounds:
    """The rounds of one simulation run.

    Parameters
    ----------
    is_planned
        Whether nodes start with the plan's rates and prices, instead of those of an idle network.
    exits
        Adaptation of thresholds; None: they are constant.
    """

    def __init__(
        self,
        state: RunState,
        watch: LinkWatch,
        *,
        period_s: float,
        n_exchanges: int,
        size_bytes: float,
        is_planned: bool,
        exits: ExitSteps | None = None,
    ) -> None:
        network = state.network
        self._exits, self._number = exits, 0
        self._onward = network.onward if exits is None else exits.onward
        none = np.zeros((network.n_nodes, network.n_stages - 2))
        self._view = none if exits is None else exits.view
        self._state, self._watch, self.period_s = state, watch, period_s
        self._rule, self._barrier = RoundRule(n_exchanges=n_exchanges), Barrier()
        self._stages = _stages(state)
        self._boldness, self._step = np.ones(network.n_links), np.zeros(network.n_links)
        flow = flow_of(network, state.plan)
        with np.errstate(divide="ignore"):
            most_per_s = np.where(network.service_s > 0, _MOST_PLANNED / network.service_s, np.inf)
        rates = np.minimum(flow.node_per_s, most_per_s) if is_planned else np.zeros(network.n_nodes)
        own_s = marginal_price_s(network.service_s, network.scv, rates, self._barrier)
        self._own_s = own_s
        node_s, _ = passed_upstream(network, state.plan, own_s, network.transfer_s)
        self._messages = OffersAndPrices(
            state,
            size_bytes,
            sent_per_s=flow.link_per_s,
            price_s=node_s[network.head],
            exits=self._view[network.head],
        )
        # A least rate is expected everywhere, so that arrivals where the plan sends none count as a change.
        least = 1e-3 * network.total_per_s / network.n_nodes
        self._base_per_s = np.maximum(network.arrivals_per_s, np.where(network.stage == 0, least, 0.0))
        self._meters = Meters(np.maximum(flow.node_per_s, least) * period_s)
        self._before = np.array(state.n_came, np.float64)
        # Planned times are the unit: a pass of n planned times counts as n, as exponential times scatter so.
        self._timers = Meters(np.maximum(flow.node_per_s, least) * period_s)
        self._planned_s: Floats = np.where(network.service_s > 0, network.service_s, 1.0)
        self._timed = np.zeros((2, network.n_nodes))

    def run(self, cluster: Cluster) -> Serving:
        """Run rounds indefinitely."""
        stages, n_exchanges = self._stages, self._rule.n_exchanges
        step_s = self.period_s / (2 * n_exchanges * (len(stages) - 1) + 1)
        network = self._state.network
        while True:
            self._number += 1
            transfer_s = self._watch.look(cluster)
            costs_s = transfer_s + self._messages.price_s
            offered = self._state.plan.copy()
            weights_s = np.ones(network.n_links)
            for number in range(n_exchanges):
                for stage in stages[:-1]:
                    self._offer(cluster, stage, transfer_s, costs_s, weights_s, offered, is_first=not number)
                    yield from cluster.sleep(step_s)
                for stage in reversed(stages[1:]):
                    self._price(cluster, stage, transfer_s, costs_s, offered)
                    yield from cluster.sleep(step_s)
            yield from cluster.sleep(step_s)
            self._end(cluster, transfer_s, costs_s, weights_s)

    def _rates(self, stage: _Stage, links_per_s: Floats) -> Floats:
        """Return the rates at a stage's nodes, from rates announced over the links that enter, and counts."""
        nodes = stage.nodes
        rate: Floats = self._meters.ratio[nodes] * (self._base_per_s[nodes] + self._into(stage, links_per_s))
        return rate

    def _into(self, stage: _Stage, of_links: Floats) -> Floats:
        """Return the sum over the links that enter each node of a stage."""
        network = self._state.network
        sums = np.bincount(network.head[stage.into], of_links[stage.into], network.n_nodes)
        return sums.astype(np.float64)[stage.nodes]

    def _offer(
        self,
        cluster: Cluster,
        stage: _Stage,
        transfer_s: Floats,
        costs_s: Floats,
        weights_s: Floats,
        offered: Floats,
        *,
        is_first: bool,
    ) -> None:
        """Send the offers of a stage's nodes, at the prices that they know."""
        messages, links, rows = self._messages, stage.out, stage.rows
        assert rows is not None
        messages.read_offers(cluster, stage.into)
        messages.read_prices(cluster, links)
        costs_s[links] = transfer_s[links] + messages.price_s[links]
        if is_first:
            weights_s[links] = proximal_weights_s(
                rows, costs_s[links], self._rule.boldness * self._boldness[links]
            )
        row = self._state.plan[links]
        taken = proximal_shift(rows, row, costs_s[links], weights_s[links])
        offered[links] = taken
        onward = self._onward[stage.nodes]
        leaving = self._rates(stage, messages.offered_per_s) * onward
        sent = self._rates(stage, messages.sent_per_s) * onward
        falls_in = self._into(stage, messages.response_per_s2) * self._meters.ratio[stage.nodes] * onward
        falls = leaving[rows.row] * responses(rows, taken, weights_s[links]) + falls_in[rows.row] * taken
        view = self._view_before(stage)
        send, offer = sent[rows.row] * row, leaving[rows.row] * taken
        messages.offer(cluster, links, send, offer, falls, view[rows.row], self._number)

    def _price(
        self, cluster: Cluster, stage: _Stage, transfer_s: Floats, costs_s: Floats, offered: Floats
    ) -> None:
        """Compute and send the prices of a stage's nodes that are valid after their offloaders' response."""
        network, messages, nodes = self._state.network, self._messages, stage.nodes
        messages.read_offers(cluster, stage.into)
        after_s = np.zeros(nodes.stop - nodes.start)
        if stage.rows is not None:
            links = stage.out
            messages.read_prices(cluster, links)
            costs_s[links] = transfer_s[links] + messages.price_s[links]
            after_s = self._onward[nodes] * stage.rows.sums(offered[links] * costs_s[links])
            self._update_behind(stage, offered)
        response = self._into(stage, messages.response_per_s2)
        answered_s = self._into(stage, messages.response_per_s2 * messages.offered_at_s)
        own_s = anticipated_price_s(
            network.service_s[nodes] * self._timers.ratio[nodes],
            network.scv[nodes],
            self._rates(stage, messages.offered_per_s),
            self._meters.ratio[nodes] * response,
            answered_s / np.maximum(response, 1e-300) - after_s,
            damping=self._rule.damping,
            barrier=self._barrier,
        )
        heads = network.head[stage.into]
        at = heads - nodes.start
        self._own_s[nodes] = own_s
        messages.price(cluster, stage.into, (own_s + after_s)[at], self._view[heads])

    def _view_before(self, stage: _Stage) -> Floats:
        """Return the view of the exits at a stage's nodes, updated for the exits before them."""
        number, network = int(self._state.network.stage[stage.nodes.start]), self._state.network
        weight = self._messages.offered_per_s[stage.into]
        heads = network.head[stage.into]
        total = np.bincount(heads, weight, network.n_nodes)[stage.nodes]
        for exit_ in range(number - 1):
            reported = np.bincount(
                heads, weight * self._messages.exits_before[stage.into, exit_], network.n_nodes
            )
            mean = reported[stage.nodes] / np.maximum(total, 1e-300)
            self._view[stage.nodes, exit_] = np.where(total > 0, mean, self._view[stage.nodes, exit_])
        return self._view[stage.nodes]

    def _update_behind(self, stage: _Stage, offered: Floats) -> None:
        """Update the view of a stage's nodes for the exits after them."""
        number = int(self._state.network.stage[stage.nodes.start])
        assert stage.rows is not None
        for exit_ in range(number, self._view.shape[1]):
            reported = offered[stage.out] * self._messages.exits_behind[stage.out, exit_]
            self._view[stage.nodes, exit_] = stage.rows.sums(reported)

    def _is_reported(self) -> NDArray[np.bool_]:
        """Return which nodes have this round's reports of all incoming links; only their counts are used.

        Other counts would contradict reports of earlier rows. A link without reports for long counts as
        reported.
        """
        network = self._state.network
        late = self._number - self._messages.offered_in
        is_missed = (late > 0) & (late <= _PATIENCE)
        is_reported: NDArray[np.bool_] = np.bincount(network.head, is_missed, network.n_nodes) == 0
        return is_reported

    def _end(self, cluster: Cluster, transfer_s: Floats, costs_s: Floats, weights_s: Floats) -> None:
        """Update the meters with the counts, and let every node take the row that follows from its prices."""
        state, messages = self._state, self._messages
        plan, after_s = state.plan.copy(), np.zeros(state.network.n_nodes)
        for stage in self._stages[:-1]:
            links = stage.out
            assert stage.rows is not None
            messages.read_prices(cluster, links)
            costs_s[links] = transfer_s[links] + messages.price_s[links]
            shifted = proximal_shift(stage.rows, plan[links], costs_s[links], weights_s[links])
            step = shifted - plan[links]
            before = self._step[links]
            self._boldness[links] = next_boldness(stage.rows, self._boldness[links], step, before)
            self._step[links], plan[links] = step, shifted
            after_s[stage.nodes] = stage.rows.sums(plan[links] * costs_s[links])
        state.onward_s = messages.price_s
        came = np.array(state.n_came, np.float64)
        reported_per_s = np.bincount(state.network.head, messages.sent_per_s, state.network.n_nodes)
        expected = (self._base_per_s + reported_per_s.astype(np.float64)) * self.period_s
        is_reported = self._is_reported()
        self._meters.update((came - self._before) * is_reported, expected * is_reported)
        self._before = came
        timed = np.array([state.served_s, state.n_served], np.float64)
        since: Floats = timed - self._timed
        self._timed = timed
        took: Floats = since[0] / self._planned_s
        self._timers.update(took, since[1])
        state.take(plan)
        if self._exits is not None:
            self._exits.step(self._number, after_s, self._own_s / (self._planned_s * self._timers.ratio))


def _stages(state: RunState) -> tuple[_Stage, ...]:
    """Return the stages, from 0 to the last."""
    network = state.network
    bounds = np.searchsorted(network.stage, np.arange(network.n_stages + 1)).tolist()
    nothing = slice(0, 0)
    between = network.links_of_stage
    stages = []
    for number in range(network.n_stages):
        nodes = slice(bounds[number], bounds[number + 1])
        out = between[number] if number < len(between) else nothing
        rows = None
        if number < len(between):
            rows = Rows(network.tail[out] - bounds[number], bounds[number + 1] - bounds[number])
        stages.append(_Stage(nodes, out, between[number - 1] if number else nothing, rows))
    return tuple(stages)
