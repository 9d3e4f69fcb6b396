from __future__ import annotations

import pytest

from edgesim.errors import InputError
from edgesim.planning.offloading.network import OffloadingNetwork, OffloadingNode

NODES = [
    OffloadingNode("b", 1, 0.1),
    OffloadingNode("d", 0, arrivals_per_s=2.0),
    OffloadingNode("a", 1, 0.2),
    OffloadingNode("z", 2, 0.3, scv=0.0),
]
TIMES = {("b", "z"): 0.03, ("d", "a"): 0.02, ("d", "b"): 0.01, ("a", "z"): 0.04}


def test_nodes_are_ordered_by_stage_and_links_by_the_nodes_they_leave() -> None:
    network = OffloadingNetwork.of(NODES, TIMES, [0.5])
    assert network.names == ("d", "b", "a", "z")
    assert [
        (network.names[a], network.names[b]) for a, b in zip(network.tail, network.head, strict=True)
    ] == [
        ("d", "b"),
        ("d", "a"),
        ("b", "z"),
        ("a", "z"),
    ]
    assert network.transfer_s.tolist() == [0.01, 0.02, 0.03, 0.04]
    assert network.onward.tolist() == [1.0, 0.5, 0.5, 0.0]
    assert network.links_of_stage == (slice(0, 2), slice(2, 4))
    assert network.links(2) == slice(3, 4)
    assert network.scaled(3.0).total_per_s == 6.0
    assert network.with_shares([0.1]).continues.tolist() == [1.0, 0.1, 0.0]


def test_queues_of_links_are_those_that_are_named() -> None:
    network = OffloadingNetwork.of(NODES, TIMES, link_scv={("a", "z"): 1.0})
    assert network.has_queue.tolist() == [False, False, False, True]
    assert network.continues.tolist() == [1.0, 1.0, 0.0]


@pytest.mark.parametrize(
    ("nodes", "times", "shares", "said"),
    [
        (NODES, {**TIMES, ("d", "q"): 1.0}, [0.5], "joins nodes that are not given"),
        (NODES, {**TIMES, ("d", "z"): 1.0}, [0.5], "to the next stage"),
        (NODES, {("d", "a"): 1.0, ("a", "z"): 1.0}, [0.5], "b reaches no node of stage 2"),
        (NODES, TIMES, [0.5, 0.5], "expected 1"),
        (NODES, TIMES, [1.5], "expected 0 to 1"),
        ([*NODES[:3], OffloadingNode("z", 2, 0.0)], TIMES, [0.5], "service times above 0"),
        ([*NODES[:3], OffloadingNode("z", 3, 0.3)], {("d", "a"): 1.0}, [0.5, 0.5], "every one from 0"),
        ([*NODES, OffloadingNode("a", 1, 0.3)], TIMES, [0.5], "its own name"),
        ([NODES[0], OffloadingNode("d", 0), *NODES[2:]], TIMES, [0.5], "no task arrives"),
        (NODES, {**TIMES, ("d", "a"): -1.0}, [0.5], "at least 0"),
        ([], {}, [], "at least two stages"),
    ],
)
def test_what_is_no_network_is_refused(
    nodes: list[OffloadingNode], times: dict[tuple[str, str], float], shares: list[float], said: str
) -> None:
    with pytest.raises(InputError, match=said):
        OffloadingNetwork.of(nodes, times, shares)
