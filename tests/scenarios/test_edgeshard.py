"""EdgeShard's testbed: what it refuses, what it is never worse than, and where blocks go."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from edgesim import runner
from edgesim.errors import PlacementError
from edgesim.scenario.load import load
from edgesim.strategy import Placement
from edgesim.trace.reader import Trace

Simulate = Callable[..., Trace]

ALONE = "workload.requests=1"


def model(size: str) -> str:
    return f"model.architecture=llama-2-{size}"


def cloud(rate: str) -> str:
    """The path between source and cloud; all others have 50 Mbit/s."""
    return f"topology.paths[1].rate={rate}"


def blocks(placement: Placement) -> dict[str, int]:
    return {d: n for d, parts in placement.holdings.items() if (n := sum(part.n_blocks for part in parts))}


def mean_e2e_s(trace: Trace, strategy: str) -> float:
    requests = trace.requests(strategy, 0)
    assert (requests["outcome"] == "completed").all()
    return float((requests["ended_at_s"] - requests["arrived_at_s"]).mean())


def tokens_per_s(trace: Trace, strategy: str) -> float:
    requests = trace.requests(strategy, 0)
    return float(requests["n_emitted_tokens"].sum() / requests["ended_at_s"].max())


@pytest.mark.parametrize(
    ("size", "strategy", "reason"),
    [
        ("13b", "edge-solo", "52.06 GB of weights, and has 32.36 GB"),
        ("70b", "edge-solo", "275.91 GB of weights"),
        ("70b", "cloud-edge-even", "the 2 devices have room for 15 of the 80 blocks"),
        ("70b", "cloud-edge-opt", "needs 276 GB, the 2 devices have room for 57.3 GB"),
    ],
)
def test_what_the_papers_table_calls_out_of_memory_is_refused(size: str, strategy: str, reason: str) -> None:
    with pytest.raises(PlacementError, match=reason):
        runner.prepare(load("edgeshard", [model(size)]), only=[strategy])


def test_halves_are_as_even_as_the_card_has_room_for() -> None:
    """The paper runs 13B so, though half of it in float32 (26 GB) is more than the card holds."""
    halves = {
        size: blocks(
            runner.prepare(load("edgeshard", [model(size)]), only=["cloud-edge-even"]).placements[
                "cloud-edge-even"
            ]
        )
        for size in ("7b", "13b")
    }
    assert halves == {"7b": {"source": 16, "cloud": 16}, "13b": {"source": 21, "cloud": 19}}


@pytest.mark.parametrize("size", ["7b", "13b", "70b"])
def test_both_programmes_place_what_one_board_cannot_hold(size: str) -> None:
    both = ("edgeshard-latency", "edgeshard-throughput")
    placed = runner.prepare(load("edgeshard", [model(size)]), only=both).placements
    n_blocks = {"7b": 32, "13b": 40, "70b": 80}[size]
    for placement in placed.values():
        assert sum(blocks(placement).values()) == n_blocks
        assert placement.devices[0] == "source"
        assert placement.remark == ""  # proved the best
    assert len(blocks(placed["edgeshard-latency"])) <= len(blocks(placed["edgeshard-throughput"]))


@pytest.mark.parametrize("rate", ["1 Mbit/s", "10 Mbit/s", "50 Mbit/s"])
def test_the_choice_is_never_worse_than_the_board_alone_or_halves_with_the_cloud(
    rate: str, simulate: Simulate
) -> None:
    lone, many = simulate("edgeshard", cloud(rate), ALONE), simulate("edgeshard", cloud(rate))
    for rival in ("edge-solo", "cloud-edge-even", "cloud-edge-opt"):
        assert mean_e2e_s(lone, "edgeshard-latency") <= mean_e2e_s(lone, rival) * (1 + 1e-9)
        assert tokens_per_s(many, "edgeshard-throughput") >= tokens_per_s(many, rival)


@pytest.mark.parametrize("size", ["7b", "13b"])
def test_a_slow_path_to_the_cloud_takes_another_board_and_a_fast_one_the_cloud_itself(size: str) -> None:
    """No message between source and cloud takes the quicker way over a board: boards do not forward."""
    used = {}
    for rate in ("1 Mbit/s", "50 Mbit/s"):
        prepared = runner.prepare(
            load("edgeshard", [model(size), cloud(rate)]), only=["edgeshard-latency", "cloud-edge-opt"]
        )
        used[rate] = {label: placed.devices for label, placed in prepared.placements.items()}
    assert used["1 Mbit/s"]["edgeshard-latency"] == ("source", "agx-0", "cloud")
    assert used["50 Mbit/s"]["edgeshard-latency"] == ("source", "cloud")
    assert used["50 Mbit/s"]["cloud-edge-opt"] == ("source", "cloud")


def test_half_the_time_of_the_board_alone_as_the_abstract_says(simulate: Simulate) -> None:
    """Up to 50 % lower latency: out of reach if every board had 1 Mbit/s to the cloud."""
    lone = simulate("edgeshard", ALONE, only=("edge-solo", "edgeshard-latency"))
    assert mean_e2e_s(lone, "edgeshard-latency") < 0.5 * mean_e2e_s(lone, "edge-solo")


def test_requests_that_meet_at_a_stage_are_computed_together(simulate: Simulate) -> None:
    """Eight on one board read its weights once per step: seven times as fast as one after the other."""
    eight, only = "workload.requests=8", ("edge-solo",)
    together = simulate("edgeshard", eight, only=only)
    apart = simulate("edgeshard", eight, "topology.devices.source.serving=fifo", only=only)
    assert tokens_per_s(together, "edge-solo") > 7 * tokens_per_s(apart, "edge-solo")
