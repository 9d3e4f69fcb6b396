from __future__ import annotations

import networkx as nx
import numpy as np
import pytest
from offloading_networks import drawn_network

from edgesim.planning.offloading.capacity import largest_scale
from edgesim.planning.offloading.network import OffloadingNetwork

UNIT = 10**9  # networkx wants whole numbers to be exact


def carries(network: OffloadingNetwork, scale: float) -> bool:
    """Whether networkx finds a flow of all arrivals, in tasks as they arrive: exits widen later servers."""
    survives = np.cumprod(np.concatenate([[1.0, 1.0], network.continues[1:-1]]))
    graph = nx.DiGraph()
    for node in range(network.n_nodes):
        if network.stage[node] == 0:
            graph.add_edge("from", node, capacity=round(UNIT * scale * network.arrivals_per_s[node]))
        else:
            capacity = 1 / (network.service_s[node] * survives[network.stage[node]])
            graph.add_edge(node, (node, "done"), capacity=round(UNIT * capacity))
        if network.stage[node] == network.n_stages - 1:
            graph.add_edge((node, "done"), "to")
    for link in range(network.n_links):
        tail, head = int(network.tail[link]), int(network.head[link])
        out = tail if network.stage[tail] == 0 else (tail, "done")
        survived = survives[network.stage[head]]
        limit = {}
        if network.has_queue[link]:
            limit = {"capacity": round(UNIT / (network.transfer_s[link] * survived))}
        graph.add_edge(out, head, **limit)
    wanted = sum(round(UNIT * scale * rate) for rate in network.arrivals_per_s[network.stage == 0])
    found, _ = nx.maximum_flow(graph, "from", "to")
    return bool(
        found >= wanted - network.n_links - network.n_nodes
    )  # each capacity is rounded to a whole number


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("link_scv", [None, 1.0])
def test_the_largest_flow_is_that_of_networkx(seed: int, link_scv: float | None) -> None:
    network = drawn_network(seed, link_scv=link_scv)
    scale = largest_scale(network)
    assert carries(network, scale * (1 - 1e-6))
    assert not carries(network, scale * (1 + 1e-6))


def test_twice_the_arrivals_may_grow_half_as_much() -> None:
    network = drawn_network(1)
    assert largest_scale(network.scaled(2.0)) == pytest.approx(largest_scale(network) / 2)
