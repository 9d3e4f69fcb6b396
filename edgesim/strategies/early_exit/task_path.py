"""Path of a task: from its device through the stages, until an exit is certain enough of its answer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from edgesim.planning.offloading.channel_exit import channel_threshold
from edgesim.strategies.early_exit.layout import Layout, without_head
from edgesim.strategies.early_exit.queues import Queues
from edgesim.strategies.early_exit.state import RunState
from edgesim.strategy import Cluster, LiveRequest, Serving, Token

__all__ = ["ChannelRule", "Walk"]

_LOOKS_PER_PERIOD = 10  # how often a task that backpressure keeps is reconsidered, per reporting period


@dataclass(frozen=True, slots=True)
class ChannelRule:
    """Parameters of the channel-aware exit rule: accuracy after sending, and delay per unit of accuracy."""

    accuracy_if_sent: float
    exchange_s: float


@dataclass(frozen=True, eq=False)
class Walk:
    """Routing of the tasks of one run.

    Attributes
    ----------
    queues
        Reported queues by which hops are chosen; None: hops are drawn by rows.
    late_after_s
        Age at which a task fails instead of being sent to another stage or entering it; None: never.
    """

    layout: Layout
    state: RunState
    queues: Queues | None
    exit_rule: Literal["confidence", "entropy"]
    channel: ChannelRule | None
    late_after_s: float | None

    def serve(self, request: LiveRequest, cluster: Cluster) -> Serving:
        """Serve a request of one output token."""
        layout, state, here = self.layout, self.state, request.source
        token = next(request.tokens())
        path: Sequence[str] = ()
        if layout.shares_devices:  # admission device by device could deadlock
            path = self.path(request, cluster)
            yield from cluster.admit(request, dict.fromkeys(path))
        node = state.number[0, here]
        state.n_came[node] += 1
        state.n_here[node] += 1
        try:
            for stage, part in enumerate(layout.parts, 1):
                self.fail_late(request, cluster, stage)
                if path:
                    next_hop = path[stage - 1]
                else:
                    while (hop := self._hop(request, cluster, node)) is None:
                        assert self.queues is not None
                        yield from cluster.sleep(self.queues.period_s / _LOOKS_PER_PERIOD)
                        self.fail_late(request, cluster, stage)
                    next_hop = state.hops[node][hop]
                state.n_here[node] -= 1
                node = -1
                size_bytes = request.prompt_bytes if stage == 1 else token.activation_bytes
                yield from cluster.send(request, here, next_hop, size_bytes)
                here, node = next_hop, state.number[stage, next_hop]
                state.n_came[node] += 1
                state.n_here[node] += 1
                self.fail_late(request, cluster, stage)
                asks = self._may_leave(node)  # evaluated now: thresholds may change during the computation
                if not asks:
                    part = without_head(part)
                if state.is_timed[node]:
                    begins_at_s = cluster.now_s + cluster.observe().backlog_s(here)
                    yield from cluster.compute(request, here, part, token)
                    state.n_served[node] += 1
                    state.served_s[node] += cluster.now_s - begins_at_s
                else:
                    yield from cluster.compute(request, here, part, token)
                if asks and self._leaves(request, cluster, node, token, part.last):
                    break
        finally:
            if node >= 0:
                state.n_here[node] -= 1
        yield from cluster.emit(request, here, token)

    def path(self, request: LiveRequest, cluster: Cluster) -> list[str]:
        """Return a device for every stage, chosen all at once by the present state."""
        devices: list[str] = []
        node = self.state.number[0, request.source]
        for stage in range(1, self.layout.n_stages + 1):
            hop = self._hop(request, cluster, node)
            devices.append(self.state.hops[node][hop or 0])  # a task cannot wait here: use the first hop
            node = self.state.number[stage, devices[-1]]
        return devices

    def fail_late(self, request: LiveRequest, cluster: Cluster, stage: int) -> None:
        """Fail a request that is about to enter a stage too late."""
        if self.late_after_s is not None and cluster.now_s > request.arrived_at_s + self.late_after_s:
            cluster.fail(request, f"late: {self.late_after_s:g} s had passed before stage {stage}")

    def enter(self, request: LiveRequest, cluster: Cluster, path: Sequence[str], number: int) -> None:
        """Record that a request with a fixed path enters one of its stages, counted from 0."""
        self.fail_late(request, cluster, number + 1)
        if number == 0:
            self.state.n_came[self.state.number[0, request.source]] += 1
        self.state.n_came[self.state.number[number + 1, path[number]]] += 1

    def _hop(self, request: LiveRequest, cluster: Cluster, node: int) -> int | None:
        """Return the index of the hop that a task takes from a node; None: it stays for a while."""
        if self.queues is not None:
            return self.queues.hop(cluster, node, cluster.random("offload", request))
        state, n_hops = self.state, len(self.state.hops[node])
        if n_hops == 1:
            return 0
        uniform = cluster.random("offload", request).random()
        hop = state.drawn_hop(node, uniform)
        if self._is_up(cluster, node, hop):
            return hop
        up = [other for other in range(n_hops) if self._is_up(cluster, node, other)]
        return state.drawn_among(node, uniform, up) if up else hop

    def _is_up(self, cluster: Cluster, node: int, hop: int) -> bool:
        """Return whether a node's own link to a hop is up; routes of several links are not checked."""
        state = self.state
        if not state.is_direct[state.first_link[node] + hop]:
            return True
        here = state.devices[node]
        return cluster.observe(at=here).link(here, state.hops[node][hop]).is_up

    def _may_leave(self, node: int) -> bool:
        """Return whether a head is computed at a node: not where an exit is closed."""
        threshold = self.state.thresholds[node]
        return threshold is None or self.channel is not None or not math.isinf(threshold)

    def _leaves(self, request: LiveRequest, cluster: Cluster, node: int, token: Token, block: int) -> bool:
        """Return whether a task leaves at a node, by the threshold in force there."""
        threshold = self.state.thresholds[node]
        if threshold is None:
            return False
        if self.exit_rule == "entropy":
            return cluster.exits(request, token, block, entropy=threshold)
        if self.channel is not None and self.state.hops[node]:
            onward_s = self._onward_s(cluster, node)
            threshold = channel_threshold(self.channel.accuracy_if_sent, onward_s, self.channel.exchange_s)
        return cluster.exits(request, token, block, confidence=threshold)

    def _onward_s(self, cluster: Cluster, node: int) -> float:
        """Return the cost of continuing by the fastest hop, at the present state of the node's links."""
        state, links = self.state, self.state.network.links(node)
        transfer_s = np.array(state.network.transfer_s[links])
        here, own = state.devices[node], cluster.observe(at=state.devices[node])
        size_bytes = state.hop_bytes[int(state.network.stage[node])]
        for number, hop in enumerate(state.hops[node]):
            if state.is_direct[links.start + number]:
                transfer_s[number] = own.link(here, hop).seconds(size_bytes)
        return float((transfer_s + state.onward_s[links]).min())
