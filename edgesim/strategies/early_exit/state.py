"""What one run keeps: rows in force, thresholds in force, and what nodes have counted."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from edgesim.planning.offloading.flow import flow_of
from edgesim.planning.offloading.marginal import passed_upstream
from edgesim.planning.offloading.network import OffloadingNetwork
from edgesim.planning.offloading.queue_cost import wait_and_service_s
from edgesim.strategies.early_exit.demand import Traffic, device_of
from edgesim.world.fleet import Fleet

__all__ = ["RunState"]

Floats = NDArray[np.float64]

_MOST = 0.98  # utilisation up to which a plan's waits are expected; more is finite, too, in a run


class RunState:
    """Mutable, one to a run; each node's entries are what that node knows or does.

    Attributes
    ----------
    network
        The planners' network: service times, links and transfer times as planned.
    plan : [n_links]
        Rows in force.
    thresholds
        By node, with what tasks leave there; None where no exit stands. Nodes without one are not named.
    n_came, n_here : [n_nodes]
        Tasks that have come to each node, and those that are there: in service, waiting for it, or for the
        next stage.
    n_served, served_s : [n_nodes]
        Passes that each node has timed, and what they took together; none where several share a processor.
    onward_s : [n_links]
        What a task is expected to cost where a link leads, and after it, as its offloader knows it.
    number
        Of a node, by stage and device.
    n_messages, hop_bytes : [n_stages - 1]
        Messages of a typical task from each stage on, and their mean size.
    is_direct : [n_links]
        Whether the planners' link is one of the network's own.
    hops : [n_nodes]
        Devices that each node may send to, in the order of its links.
    """

    def __init__(
        self,
        network: OffloadingNetwork,
        plan: Floats,
        thresholds: tuple[float | None, ...],
        fleet: Fleet,
        traffic: Sequence[Traffic],
    ) -> None:
        self.network = network
        devices = [device_of(name) for name in network.names]
        self.devices = devices
        self.number = {
            (int(stage), device): node
            for node, (stage, device) in enumerate(zip(network.stage.tolist(), devices, strict=True))
        }
        first = network.first_link.tolist()
        self.first_link: list[int] = first
        self.hops = [
            tuple(devices[head] for head in network.head[first[node] : first[node + 1]].tolist())
            for node in range(network.n_nodes)
        ]
        self.n_came = [0] * network.n_nodes
        self.n_here = [0] * network.n_nodes
        self.n_served, self.served_s = [0] * network.n_nodes, [0.0] * network.n_nodes
        servings = (fleet.device(device).serving for device in devices)
        self.is_timed = [each is None or each.is_in_turn for each in servings]
        own_s = wait_and_service_s(
            network.service_s, np.minimum(flow_of(network, plan).utilisation, _MOST), network.scv
        )
        self.onward_s = passed_upstream(network, plan, own_s, network.transfer_s)[0][network.head]
        inner = dict(enumerate(thresholds, 1))
        if any(value is not None for value in thresholds):
            inner[network.n_stages - 1] = 0.0  # the model's own head lets all go, and the trace is told so
        self.thresholds: list[float | None] = [inner.get(stage) for stage in network.stage.tolist()]
        self.n_messages, self.hop_bytes = ([each[which] for each in traffic] for which in (0, 1))
        ends = zip(network.tail.tolist(), network.head.tolist(), strict=True)
        self.is_direct = [
            devices[a] != devices[b] and fleet.are_linked(devices[a], devices[b]) for a, b in ends
        ]
        self.take(plan)

    def take(self, plan: Floats) -> None:
        """Let all nodes follow other rows from now on."""
        self.plan = plan
        values, first = plan.tolist(), self.first_link
        self._bounds: list[list[float]] = [
            list(accumulate(values[first[node] : first[node + 1]])) for node in range(self.network.n_nodes)
        ]

    def drawn_hop(self, node: int, uniform: float) -> int:
        """Which of a node's hops a number from [0, 1) stands for, by its row."""
        return _drawn(self._bounds[node], uniform)

    def drawn_among(self, node: int, uniform: float, hops: Sequence[int]) -> int:
        """The same of some of its hops, by their parts of the row; evenly if it sends nothing there."""
        first = self.first_link[node]
        shares = [float(self.plan[first + hop]) for hop in hops]
        return hops[_drawn(list(accumulate(shares if sum(shares) > 0 else [1.0] * len(hops))), uniform)]


def _drawn(bounds: Sequence[float], uniform: float) -> int:
    return min(bisect_right(bounds, uniform * bounds[-1]), len(bounds) - 1)
