"""DTO-EE during a run: rounds in which offers go down through the stages and prices come up.

A round takes a period, in equal steps. In each of its exchanges the nodes of stage 0, 1, ... say one step
after another what they would send (DTO-O), then those of the last stage, ... the first what that costs
(DTO-R); a step later, at the end of the round, every node takes the row that follows from the prices that it
has heard. What a node knows has come to it in messages (:mod:`.messages`), by its own counts
(:mod:`.meters`) and by looking at its own links; a message that is late or lost leaves what was known before.

Nodes of a stage act at one instant, so that their rows are worked out together; none uses what another knows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgesim.planning.offloading.boldness import next_boldness
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
from edgesim.strategies.early_exit.meters import Meters
from edgesim.strategies.early_exit.state import RunState
from edgesim.strategy import Cluster, Serving

__all__ = ["Rounds", "default_period_s"]

Floats = NDArray[np.float64]

_TASKS_PER_SERVER = 100  # in a period, so that a server has something to count
_PATIENCE = 3  # rounds for which a node waits for a report of a link before it goes by its counts
_MOST_PLANNED = 0.95  # the utilisation at which a queue is priced first that a plan loads beyond it


def default_period_s(network: OffloadingNetwork, n_exchanges: int) -> float:
    """A period in which 100 tasks come to a server of the first stage, and at most a message goes by task."""
    n_messages = 2 * n_exchanges * network.n_links
    n_first = int((network.stage == 1).sum())
    return max(n_messages, _TASKS_PER_SERVER * n_first) / network.total_per_s


@dataclass(frozen=True, slots=True)
class _Stage:
    """Nodes of a stage and the links that leave and enter them."""

    nodes: slice
    out: slice
    into: slice
    rows: Rows | None


class Rounds:
    """The rounds of one run.

    Parameters
    ----------
    is_planned
        Whether nodes begin with the plan's rates and prices, rather than with those of an idle network.
    exits
        Moves thresholds; None: they stay.
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
        # Where a plan sends nothing, anything that comes is a change: something is expected everywhere.
        least = 1e-3 * network.total_per_s / network.n_nodes
        self._base_per_s = np.maximum(network.arrivals_per_s, np.where(network.stage == 0, least, 0.0))
        self._meters = Meters(np.maximum(flow.node_per_s, least) * period_s)
        self._before = np.array(state.n_came, np.float64)
        # A pass of so many times what was planned counts as so many: exponential times scatter just so.
        self._timers = Meters(np.maximum(flow.node_per_s, least) * period_s)
        self._planned_s: Floats = np.where(network.service_s > 0, network.service_s, 1.0)
        self._timed = np.zeros((2, network.n_nodes))

    def run(self, cluster: Cluster) -> Serving:
        """Rounds without end."""
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
        """Rate at the nodes of a stage, by what was said over the links that enter them, and by counts."""
        nodes = stage.nodes
        rate: Floats = self._meters.ratio[nodes] * (self._base_per_s[nodes] + self._into(stage, links_per_s))
        return rate

    def _into(self, stage: _Stage, of_links: Floats) -> Floats:
        """Sums over the links that enter each node of a stage."""
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
        """Offer what nodes of a stage would send at the prices that they know."""
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
        view = self._heard_before(stage)
        send, offer = sent[rows.row] * row, leaving[rows.row] * taken
        messages.offer(cluster, links, send, offer, falls, view[rows.row], self._number)

    def _price(
        self, cluster: Cluster, stage: _Stage, transfer_s: Floats, costs_s: Floats, offered: Floats
    ) -> None:
        """Let nodes of a stage set the price that holds after their offloaders' response, and say it."""
        network, messages, nodes = self._state.network, self._messages, stage.nodes
        messages.read_offers(cluster, stage.into)
        after_s = np.zeros(nodes.stop - nodes.start)
        if stage.rows is not None:
            links = stage.out
            messages.read_prices(cluster, links)
            costs_s[links] = transfer_s[links] + messages.price_s[links]
            after_s = self._onward[nodes] * stage.rows.sums(offered[links] * costs_s[links])
            self._hear_behind(stage, offered)
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

    def _heard_before(self, stage: _Stage) -> Floats:
        """How nodes of a stage believe that exits stand, those before them heard anew."""
        number, network = int(self._state.network.stage[stage.nodes.start]), self._state.network
        weight = self._messages.offered_per_s[stage.into]
        heads = network.head[stage.into]
        total = np.bincount(heads, weight, network.n_nodes)[stage.nodes]
        for exit_ in range(number - 1):
            told = np.bincount(
                heads, weight * self._messages.exits_before[stage.into, exit_], network.n_nodes
            )
            mean = told[stage.nodes] / np.maximum(total, 1e-300)
            self._view[stage.nodes, exit_] = np.where(total > 0, mean, self._view[stage.nodes, exit_])
        return self._view[stage.nodes]

    def _hear_behind(self, stage: _Stage, offered: Floats) -> None:
        """Let nodes of a stage take note of how exits stand behind them."""
        number = int(self._state.network.stage[stage.nodes.start])
        assert stage.rows is not None
        for exit_ in range(number, self._view.shape[1]):
            told = offered[stage.out] * self._messages.exits_behind[stage.out, exit_]
            self._view[stage.nodes, exit_] = stage.rows.sums(told)

    def _is_reported(self) -> NDArray[np.bool_]:
        """Which nodes have reports of this round of all that is sent to them: others' counts say nothing.

        A count would contradict reports of earlier rows. A link that is silent for long counts as reported.
        """
        network = self._state.network
        late = self._number - self._messages.offered_in
        is_missed = (late > 0) & (late <= _PATIENCE)
        is_reported: NDArray[np.bool_] = np.bincount(network.head, is_missed, network.n_nodes) == 0
        return is_reported

    def _end(self, cluster: Cluster, transfer_s: Floats, costs_s: Floats, weights_s: Floats) -> None:
        """Take in what was counted, and let every node take the row that follows from what it has heard."""
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
        told_per_s = np.bincount(state.network.head, messages.sent_per_s, state.network.n_nodes)
        expected = (self._base_per_s + told_per_s.astype(np.float64)) * self.period_s
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
    """Stages 0 to the last."""
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
