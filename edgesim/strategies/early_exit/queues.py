"""Baselines that decide task by task from reported queues: JSED and backpressure.

Every period each server reports its number of tasks and the expected delay after it to the nodes that reach
it. An offloader adds the tasks that it has itself sent there since that report arrived, so that it does not
send all tasks of a period to the server that was idle at its beginning; tasks of other offloaders are unknown
to it. The state of its own links (backlog, rate, up or down) is known without delay. To keep offloaders from
all choosing the same server, each task compares a few randomly drawn hops only (the power of two choices;
with old reports, two choices are better than all: Mitzenmacher 2000, doi:10.1109/71.841752).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgesim.planning.offloading.decisions import backpressure, join_shortest_expected
from edgesim.strategies.early_exit.control_messages import Entry, Mail
from edgesim.strategies.early_exit.links import LinkWatch
from edgesim.strategies.early_exit.state import RunState
from edgesim.strategy import Cluster, Serving

__all__ = ["Queues"]


class Queues:
    """Queues as known to the offloaders.

    Attributes
    ----------
    period_s
        Time between reports [s].
    n_choices
        Number of hops, drawn at random, that a task compares; None: all.
    """

    def __init__(
        self,
        state: RunState,
        *,
        period_s: float,
        size_bytes: float,
        is_pressure: bool,
        n_choices: int | None = None,
        watch: LinkWatch,
    ) -> None:
        network = state.network
        self._n_choices, self._watch = n_choices, watch
        self._state, self.period_s, self._is_pressure = state, period_s, is_pressure
        self._mail = Mail(state, size_bytes, on_up=self._on_report)
        self._n_queued = np.zeros(network.n_links)
        self._onward_s = np.zeros(network.n_links)
        self._reported = np.full(network.n_links, -1.0)  # number of the last report received
        self._n_sent = np.zeros(network.n_links)  # since that report
        self._links = [network.links(node) for node in range(network.n_nodes)]
        self._service_s = network.service_s[network.head]
        self._number = 0.0

    def run(self, cluster: Cluster) -> Serving:
        """Send reports periodically, indefinitely."""
        network = self._state.network
        while True:
            self._number += 1
            n_here = np.array(self._state.n_here, np.float64)
            for links in reversed(network.links_of_stage):
                heads = network.head[links].tolist()
                reports = {
                    head: (float(n_here[head]), self._expected_s(cluster, head), self._number)
                    for head in dict.fromkeys(heads)
                }
                self._mail.up(cluster, links, (reports[head] for head in heads))
            yield from cluster.sleep(self.period_s)

    def hop(self, cluster: Cluster, node: int, draws: np.random.Generator) -> int | None:
        """Return the index of the hop that a task takes from a node now; None: it stays for a while."""
        links = self._links[node]
        self._mail.read_at_tails(cluster, links)
        n_hops = links.stop - links.start
        if self._n_choices is None or self._n_choices >= n_hops:
            seen = np.arange(links.start, links.stop)
        else:
            seen = links.start + draws.choice(n_hops, self._n_choices, replace=False)
        there, transfer_s = self._n_queued[seen] + self._n_sent[seen], self._transfer_s(cluster, seen)
        if self._is_pressure:
            chosen = backpressure(self._state.n_here[node], there, transfer_s)
        else:
            chosen = join_shortest_expected(transfer_s, there, self._service_s[seen], self._onward_s[seen])
        if chosen is None:
            return None
        self._n_sent[seen[chosen]] += 1
        hop: int = int(seen[chosen]) - links.start
        return hop

    def _transfer_s(self, cluster: Cluster, links: NDArray[np.int64]) -> NDArray[np.float64]:
        return np.array([self._watch.seconds(cluster, link) for link in links.tolist()])

    def _expected_s(self, cluster: Cluster, node: int) -> float:
        """Return a task's expected delay after a node, from what is known at the node."""
        links = self._links[node]
        if links.start == links.stop or not self._state.network.onward[node]:
            return 0.0
        there = self._n_queued[links] + self._n_sent[links] + 1
        network = self._state.network
        transfer_s = self._transfer_s(cluster, np.arange(links.start, links.stop))
        best_s = transfer_s + there * self._service_s[links] + self._onward_s[links]
        return float(network.onward[node] * best_s.min())

    def _on_report(self, link: int, entry: Entry) -> None:
        n_queued, onward_s, number = entry
        if number > self._reported[link]:
            self._reported[link], self._n_sent[link] = number, 0.0
            self._n_queued[link], self._onward_s[link] = n_queued, onward_s
