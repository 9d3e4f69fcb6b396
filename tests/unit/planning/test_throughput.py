"""The throughput partition against brute force, its bound against the optimum, and published behaviour."""

from __future__ import annotations

import math

import numpy as np
import pytest
from chains import TOO_LARGE, fits, layouts, problems
from hypothesis import given, settings
from hypothesis import strategies as st

from edgesim.errors import PlacementError
from edgesim.planning.chain import ChainStage, LatencyProblem
from edgesim.planning.throughput import throughput


def slowest_s(problem: LatencyProblem, message_s: np.ndarray, stages: tuple[ChainStage, ...]) -> float:
    """Occupy every device and every hop in turn; independent of the planner's own sum."""
    device_s: dict[int, float] = dict.fromkeys((stage.device for stage in stages), 0.0)
    hops_s = [0.0]
    starter, at = stages[0].device, stages[0].device
    device_s[starter] += problem.embedding_s[starter]
    head = starter if problem.head_at == "starter" else stages[-1].device
    device_s[head] += problem.head_s[head]
    for device, first, last in stages:
        if device != at:
            hops_s.append(problem.hop_s[at, device])
            at = device
        for block in range(first, last):
            device_s[device] += problem.block_s[device, block]
    if at != starter:
        hops_s.append((problem.hop_s if problem.return_s is None else problem.return_s)[at, starter])
        for device in device_s:
            device_s[device] += message_s[device]
    return float(max([*hops_s, *device_s.values()]))


@st.composite
def asked(draw: st.DrawFn) -> tuple[LatencyProblem, np.ndarray]:
    problem = draw(problems())
    by_device = st.lists(st.integers(0, 3).map(float), min_size=problem.n_devices, max_size=problem.n_devices)
    return problem, np.array(draw(st.just([0.0] * problem.n_devices) | by_device))


@settings(max_examples=250, deadline=None)
@given(asked())
def test_no_chain_that_fits_has_a_faster_slowest_part(asked: tuple[LatencyProblem, np.ndarray]) -> None:
    problem, message_s = asked
    every = {
        stages: slowest_s(problem, message_s, stages) for stages in layouts(problem) if fits(problem, stages)
    }
    least_s = min(every.values(), default=math.inf)
    if math.isinf(least_s):
        with pytest.raises(PlacementError, match=r"no chain of devices fits|the starter needs"):
            throughput(problem, message_s)
        return
    found = throughput(problem, message_s)
    assert found.stages in every
    assert every[found.stages] == pytest.approx(found.bottleneck_s, rel=1e-12)
    assert found.bottleneck_s == pytest.approx(least_s, rel=1e-9)
    assert found.is_proved


@settings(max_examples=150, deadline=None)
@given(asked())
def test_without_the_programme_the_bound_lies_below_the_optimum_and_the_chain_fits(
    asked: tuple[LatencyProblem, np.ndarray],
) -> None:
    problem, message_s = asked
    every = {
        stages: slowest_s(problem, message_s, stages) for stages in layouts(problem) if fits(problem, stages)
    }
    least_s = min(every.values(), default=math.inf)
    try:
        found = throughput(problem, message_s, max_steps=0)
    except PlacementError:
        return  # the beam alone may find none
    assert found.bound_s <= least_s * (1 + 1e-9)
    assert every[found.stages] == pytest.approx(found.bottleneck_s, rel=1e-12)
    if found.is_proved:
        assert found.bottleneck_s == pytest.approx(least_s, rel=1e-9)


def fleet(n_edge: int, cloud_hop_s: float, n_blocks: int = 40) -> LatencyProblem:
    """EdgeShard's shape: equal edge boards that hold ten blocks, and one server ten times faster."""
    hop_s = np.full((n_edge + 1, n_edge + 1), 0.01)
    hop_s[n_edge, :] = hop_s[:, n_edge] = cloud_hop_s
    return LatencyProblem(
        block_s=np.repeat([[0.01]] * n_edge + [[0.001]], n_blocks, axis=1),
        hop_s=hop_s,
        memory_bytes=np.array([10] * n_edge + [35]),
        block_bytes=np.ones(n_blocks, dtype=int),
        starter=0,
    )


def test_slow_links_to_the_cloud_move_blocks_to_edge_devices_and_fast_ones_back() -> None:
    def on_cloud(cloud_hop_s: float) -> int:
        return sum(s.last - s.first for s in throughput(fleet(10, cloud_hop_s)).stages if s.device == 10)

    held = [on_cloud(cloud_hop_s) for cloud_hop_s in (0.01, 0.03, 0.1, 1.0)]
    assert held[0] >= 20
    assert held[1] >= 20
    assert held[2:] == [0, 0]  # the way there would take longer than four blocks on every board
    worst_s = [throughput(fleet(10, cloud_hop_s)).bottleneck_s for cloud_hop_s in (0.01, 0.03, 0.1, 1.0)]
    assert worst_s == sorted(worst_s)
    assert worst_s[-1] == pytest.approx(0.04)  # ten boards with four blocks each


def test_twelve_equal_boards_two_others_and_a_server_are_solved_and_proved() -> None:
    n_blocks = 80
    speed = np.array([1.0] * 12 + [0.55] * 2 + [4.2])
    hop_s = np.full((15, 15), 0.004)
    hop_s[14, :] = hop_s[:, 14] = 0.05
    problem = LatencyProblem(
        block_s=np.repeat(0.018 / speed[:, None], n_blocks, axis=1),
        hop_s=hop_s,
        memory_bytes=np.array([8] * 12 + [4] * 2 + [6]),
        block_bytes=np.ones(n_blocks, dtype=int),
        starter=0,
    )
    found = throughput(problem)
    assert found.is_proved
    assert problem.fits(found.stages)


def unlike(n_devices: int, n_blocks: int, seed: int, room: float = 2.0) -> LatencyProblem:
    """No two devices alike, on a plane."""
    rng = np.random.default_rng(seed)
    place = rng.uniform(0, 1, (n_devices, 2))
    share = rng.uniform(0.3, 1.7, n_devices)
    return LatencyProblem(
        block_s=np.repeat(rng.uniform(0.01, 0.1, (n_devices, 1)), n_blocks, axis=1),
        hop_s=0.2 * np.hypot(*(place[:, None] - place[None]).transpose(2, 0, 1)),
        memory_bytes=np.floor(share / share.sum() * n_blocks * room * 100 + 100).astype(int),
        block_bytes=np.full(n_blocks, 100),
        starter=0,
    )


@pytest.mark.parametrize("seed", range(3))
def test_a_large_unlike_fleet_gets_a_chain_with_a_bound(seed: int) -> None:
    problem = unlike(20, 60, seed)
    found = throughput(problem, max_steps=2_000)
    assert problem.fits(found.stages)
    assert found.bound_s <= found.bottleneck_s
    assert found.gap < 1.0


def test_the_programme_ends_at_its_limit_with_the_beams_chain_unproved() -> None:
    """Where the bound from above the programme is loose: six boards, of which no two are alike."""
    problem = unlike(6, 12, 0)
    rough = throughput(problem, max_steps=0)
    assert problem.fits(rough.stages)
    assert not rough.is_proved
    assert rough.gap > 0.1
    assert throughput(problem).is_proved
    # Somewhere on the way there the limit is enough; it is not from the first step on.
    proved = [throughput(problem, max_steps=n_steps).is_proved for n_steps in (1, 5, 25, 125, 625)]
    assert not proved[0]
    assert proved == sorted(proved)


def test_the_search_says_when_it_gives_up() -> None:
    """One way round: 0 to 1 to 2 and back. If device 1 takes all it has room for, there is no way back."""
    hop_s = np.full((3, 3), math.inf)
    hop_s[[0, 1, 2], [1, 2, 0]] = 1.0
    problem = LatencyProblem(
        block_s=np.ones((3, 3)),
        hop_s=hop_s,
        memory_bytes=np.array([1, 3, 3]),
        block_bytes=np.ones(3, dtype=int),
        starter=0,
    )
    with pytest.raises(
        PlacementError, match="0 steps of the programme found no chain that fits, and could not"
    ):
        throughput(problem, max_steps=0)
    found = throughput(problem)
    assert found.stages == (ChainStage(0, 0, 1), ChainStage(1, 1, 2), ChainStage(2, 2, 3))
    assert found.bottleneck_s == 1.0


def test_a_model_too_large_is_refused_with_room_needed_and_available() -> None:
    with pytest.raises(PlacementError, match=r"throughput partition.*needs 4 GB.*at most 2 of the 4"):
        throughput(TOO_LARGE)


def test_messages_that_occupy_the_processor_can_make_one_device_the_best() -> None:
    problem = LatencyProblem(
        block_s=np.ones((2, 4)), hop_s=0.1, memory_bytes=9, block_bytes=np.ones(4), starter=0
    )
    assert len(throughput(problem, 1.9).stages) == 2
    assert throughput(problem, 1.9).bottleneck_s == pytest.approx(3.9)
    assert throughput(problem, 2.1).stages == (ChainStage(0, 0, 4),)
