"""EdgeShard's published programme against all assignments of blocks to devices."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise, product

import numpy as np
import pytest
from chains import problems
from hypothesis import given, settings
from hypothesis import strategies as st

from edgesim.errors import PlacementError
from edgesim.planning.chain import LatencyProblem
from edgesim.planning.edgeshard import latency_edgeshard


def least_s(problem: LatencyProblem) -> float:
    """Brute force over every assignment, devices used as often as one likes."""
    costs_s = []
    for devices in product(range(problem.n_devices), repeat=problem.n_blocks):
        if devices[0] != problem.starter:
            continue
        hops_s = sum(problem.hop_s[a, b] for a, b in pairwise(devices))
        blocks_s = sum(problem.block_s[device, block] for block, device in enumerate(devices))
        costs_s.append(hops_s + blocks_s + problem.hop_s[devices[-1], problem.starter])
    return float(min(costs_s))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 3), st.integers(1, 5))
def test_without_memory_limits_it_is_optimal_over_all_assignments(
    seed: int, n_devices: int, n_blocks: int
) -> None:
    rng = np.random.default_rng(seed)
    problem = LatencyProblem(
        block_s=rng.uniform(0, 1, (n_devices, n_blocks)),
        hop_s=rng.uniform(0, 1, (n_devices, n_devices)),
        memory_bytes=np.full(n_devices, n_blocks),
        block_bytes=np.ones(n_blocks),
        starter=int(rng.integers(n_devices)),
    )
    assert latency_edgeshard(problem).cost_s == pytest.approx(least_s(problem), rel=1e-12)


def test_what_it_returns_fits_even_where_a_device_serves_twice() -> None:
    # Device 1 is best for blocks 1 and 3; the hop back and forth is free.
    problem = LatencyProblem(
        block_s=np.array([[1.0, 9.0, 1.0, 9.0], [9.0, 1.0, 9.0, 1.0]]),
        hop_s=np.zeros((2, 2)),
        memory_bytes=np.array([2, 2]),
        block_bytes=np.ones(4),
        starter=0,
    )
    chain = latency_edgeshard(problem)
    assert [stage.device for stage in chain.stages] == [0, 1, 0, 1]
    assert chain.cost_s == 4.0
    assert problem.taken_bytes(chain.stages) == {0: 2, 1: 2}
    assert problem.fits(chain.stages)


@settings(max_examples=80, deadline=None)
@given(problems())
def test_what_it_returns_respects_every_limit(problem: LatencyProblem) -> None:
    """Room for caches and weights, and room for loading weights."""
    try:
        chain = latency_edgeshard(replace(problem, starter=problem.starter or 0))
    except PlacementError:
        return  # nothing found is never wrong: the programme keeps few paths
    assert problem.fits(chain.stages)


def test_room_for_loading_weights_counts() -> None:
    problem = LatencyProblem(
        block_s=np.array([[1.0, 1.0], [5.0, 5.0]]),
        hop_s=np.zeros((2, 2)),
        memory_bytes=np.array([9, 9]),
        block_bytes=np.ones(2),
        weight_room_bytes=np.array([1, 9]),
        block_weight_bytes=np.ones(2),
        starter=0,
    )
    assert [stage.device for stage in latency_edgeshard(problem).stages] == [0, 1]
    with pytest.raises(PlacementError, match="no path that the programme keeps fits"):
        latency_edgeshard(replace(problem, weight_room_bytes=np.array([1, 0])))


def test_it_needs_a_source() -> None:
    problem = LatencyProblem(block_s=np.ones((1, 1)), hop_s=0.0, memory_bytes=1, block_bytes=1)
    with pytest.raises(PlacementError, match="names no starter"):
        latency_edgeshard(problem)


def test_a_device_without_a_route_is_not_used() -> None:
    problem = LatencyProblem(
        block_s=np.array([[5.0, 5.0], [0.1, 0.1]]),
        hop_s=math.inf,
        memory_bytes=np.array([2, 2]),
        block_bytes=np.ones(2),
        starter=0,
    )
    assert [stage.device for stage in latency_edgeshard(problem).stages] == [0]
