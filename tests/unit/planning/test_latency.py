"""The exact latency partition against brute force, and against what the published programme misses."""

from __future__ import annotations

import math

import numpy as np
import pytest
from chains import TOO_LARGE, fits, layouts, problems
from hypothesis import given, settings
from hypothesis import strategies as st

from edgesim.errors import PlacementError
from edgesim.planning.chain import ChainStage, LatencyProblem
from edgesim.planning.edgeshard import latency_edgeshard
from edgesim.planning.latency import latency
from edgesim.planning.lattice import Lattice, Relaxation, best_relaxation, exchangeable_groups


def cost_s(problem: LatencyProblem, stages: tuple[ChainStage, ...]) -> float:
    """Add up one pass block by block, hop by hop; independent of `LatencyProblem.cost_s`."""
    starter, at = stages[0].device, stages[0].device
    total_s = problem.embedding_s[starter]
    for device, first, last in stages:
        if device != at:
            total_s += problem.hop_s[at, device]
            at = device
        for block in range(first, last):
            total_s += problem.block_s[device, block]
    total_s += problem.head_s[starter if problem.head_at == "starter" else at]
    if at != starter:
        total_s += (problem.hop_s if problem.return_s is None else problem.return_s)[at, starter]
    return float(total_s)


def brute_force_s(problem: LatencyProblem) -> float:
    """Least cost over all layouts that fit; inf if none does."""
    return min(
        (cost_s(problem, stages) for stages in layouts(problem) if fits(problem, stages)), default=math.inf
    )


@settings(max_examples=250, deadline=None)
@given(problems())
def test_no_chain_that_fits_is_faster_and_none_is_found_where_none_exists(problem: LatencyProblem) -> None:
    least_s = brute_force_s(problem)
    if math.isinf(least_s):
        with pytest.raises(PlacementError, match=r"no chain of devices fits|the starter needs"):
            latency(problem)
        return
    chain = latency(problem)
    assert chain.cost_s == pytest.approx(least_s, rel=1e-12, abs=1e-12)
    assert chain.stages in set(layouts(problem))
    assert fits(problem, chain.stages)
    assert cost_s(problem, chain.stages) == pytest.approx(chain.cost_s, rel=1e-12)


@settings(max_examples=100, deadline=None)
@given(problems(), st.data())
def test_the_bound_never_exceeds_the_optimum(problem: LatencyProblem, data: st.DataObject) -> None:
    starter = data.draw(st.integers(0, problem.n_devices - 1)) if problem.starter is None else problem.starter
    layouts_s = [
        cost_s(problem, stages)
        for stages in layouts(problem)
        if stages[0].device == starter and fits(problem, stages)
    ]
    lattice = Lattice.of(problem, starter)
    n_classes = len(lattice.members)
    prices = data.draw(st.lists(st.integers(0, 5).map(float), min_size=n_classes, max_size=n_classes))
    for relaxation in (
        Relaxation.at(lattice, lattice.free),
        Relaxation.at(lattice, np.array([0.0, *prices[1:]])),
        best_relaxation(Relaxation.at(lattice, lattice.free), min(layouts_s, default=math.inf)),
    ):
        assert relaxation.bound_s <= min(layouts_s, default=math.inf) + 1e-9


def seeded_problem(
    seed: int, n_devices: int, n_blocks: int, n_kinds: int | None = None, room: float = 2.5
) -> LatencyProblem:
    """Devices of ten-fold different speed on a plane; without kinds no two are alike."""
    rng = np.random.default_rng(seed)
    kinds = np.arange(n_devices) if n_kinds is None else rng.integers(n_kinds, size=n_devices)
    block_s = np.repeat(0.05 / rng.uniform(1, 10, n_devices)[kinds, None], n_blocks, axis=1)
    place_m = rng.uniform(0, 100, (n_devices, 2)) if n_kinds is None else np.zeros((n_devices, 2))
    distance_m = np.hypot(*(place_m[:, None] - place_m[None]).transpose(2, 0, 1))
    share = rng.uniform(0.3, 1.7, n_devices)[kinds]
    return LatencyProblem(
        block_s=block_s,
        hop_s=0.003 + 0.0003 * distance_m,
        memory_bytes=np.floor(share / share.sum() * n_blocks * room * 100 + 100).astype(int),
        block_bytes=np.full(n_blocks, 100),
        starter=0,
    )


@pytest.mark.parametrize("size", [(15, 32), (15, 80), (20, 80)], ids=str)
def test_fleets_of_twenty_unlike_devices_are_solved_far_below_the_limit(size: tuple[int, int]) -> None:
    problem = seeded_problem(0, *size)
    chain = latency(problem, max_states=20_000)
    assert problem.fits(chain.stages)
    assert chain.cost_s <= latency_edgeshard(problem).cost_s


@pytest.mark.parametrize("seed", [0, 2])
def test_fifteen_unlike_devices_that_hold_hardly_more_than_the_model_are_solved(seed: int) -> None:
    problem = seeded_problem(seed, 15, 40, room=0.85)
    assert 40 <= (problem.memory_bytes // 100).sum() <= 41  # room for one block more, if that
    chain = latency(problem, max_states=100_000)
    assert len(chain.stages) == 15
    assert problem.fits(chain.stages)


def test_equal_devices_are_counted_not_named() -> None:
    # 20 devices of 3 kinds whose memory hardly suffices: named one by one they would have 20! orders.
    problem = seeded_problem(1, 20, 80, n_kinds=3, room=1.02)
    assert len(exchangeable_groups(problem, range(1, 20))) <= 4
    chain = latency(problem, max_states=20_000)
    assert problem.fits(chain.stages)


def test_a_device_that_differs_in_one_hop_only_is_not_alike() -> None:
    hop_s = np.full((4, 4), 1.0)
    hop_s[3, 1] = 2.0
    problem = LatencyProblem(
        block_s=np.ones((4, 3)), hop_s=hop_s, memory_bytes=np.full(4, 9), block_bytes=np.ones(3)
    )
    assert exchangeable_groups(problem, range(4)) == [(0, 2), (1,), (3,)]


def test_what_a_device_would_cost_as_starter_sets_it_apart_only_where_it_may_be_one() -> None:
    problem = LatencyProblem(
        block_s=np.ones((3, 3)),
        hop_s=1.0,
        memory_bytes=9,
        block_bytes=1,
        embedding_s=np.array([1.0, 2.0, 3.0]),
    )
    assert exchangeable_groups(problem, range(3)) == [(0,), (1,), (2,)]
    assert exchangeable_groups(problem, [1, 2], starter=0) == [(1, 2)]


def two_ends(hop_s: float, **options: object) -> LatencyProblem:
    """A slow starter and a fast server ten times its speed: blocks take 1 s and 0.1 s."""
    return LatencyProblem(
        block_s=np.repeat([[1.0], [0.1]], 10, axis=1),
        hop_s=np.array([[0.0, hop_s], [hop_s, 0.0]]),
        memory_bytes=np.array([20, 20]),
        block_bytes=np.ones(10, dtype=int),
        starter=0,
        **options,
    )


def test_offloading_pays_exactly_when_the_round_trip_costs_less_than_it_saves() -> None:
    # Nine blocks save 8.1 s on the server; two hops of 4 s leave a gain, two of 4.1 s do not.
    assert latency(two_ends(4.0)).stages == (ChainStage(0, 0, 1), ChainStage(1, 1, 10))
    assert latency(two_ends(4.0)).cost_s == pytest.approx(1.0 + 0.9 + 8.0, rel=1e-12)
    assert latency(two_ends(4.1)).stages == (ChainStage(0, 0, 10),)


def test_the_starter_may_hold_the_embedding_alone_where_that_is_allowed() -> None:
    chain = latency(two_ends(1.0, first_block_at_starter=False))
    assert chain.stages == (ChainStage(0, 0, 0), ChainStage(1, 0, 10))
    assert chain.starter == 0


def test_the_head_goes_where_it_is_said_to_go() -> None:
    # A head of 5 s on the starter and 0.5 s on the server, returning a token at no cost.
    ends = {"head_s": np.array([5.0, 0.5]), "return_s": np.zeros((2, 2))}
    at_starter = latency(two_ends(1.0, **ends))
    at_last = latency(two_ends(1.0, head_at="last", **ends))
    assert at_starter.cost_s - at_last.cost_s == pytest.approx(4.5, rel=1e-12)


def test_head_and_embedding_take_room_where_they_are() -> None:
    # The starter has 20 bytes and ten blocks of 1. The server is far: only a full starter goes there.
    just_fits = two_ends(100.0, embedding_bytes=5, head_bytes=5)
    too_much = two_ends(100.0, embedding_bytes=5, head_bytes=6)
    assert latency(just_fits).stages == (ChainStage(0, 0, 10),)
    assert latency(too_much).stages == (ChainStage(0, 0, 1), ChainStage(1, 1, 10))


def test_slow_links_draw_in_more_edge_devices_and_fast_ones_converge_to_the_server() -> None:
    # EdgeShard's published behaviour: ten edge boards near, one distant server 10 times faster.
    def fleet(server_hop_s: float) -> LatencyProblem:
        hop_s = np.full((11, 11), 0.01)
        hop_s[10, :] = hop_s[:, 10] = server_hop_s
        return LatencyProblem(
            block_s=np.repeat([[0.01]] * 10 + [[0.001]], 40, axis=1),
            hop_s=hop_s,
            memory_bytes=np.array([10] * 10 + [35]),
            block_bytes=np.ones(40, dtype=int),
            starter=0,
        )

    used = [len(latency(fleet(hop_s)).stages) for hop_s in (0.001, 0.1, 1.0)]
    assert used == sorted(used)
    assert (used[0], used[-1]) == (2, 4)
    costs_s = [latency(fleet(hop_s)).cost_s for hop_s in (0.001, 0.01, 0.1, 1.0)]
    assert costs_s == sorted(costs_s)


def forked(b_room: int) -> LatencyProblem:
    """Four blocks; the last weighs 2. Its place, device 1, is also the cheaper place for block 1.

    The published programme reaches block 2 on device 3 by the cheaper way, over device 1, keeps that path
    only, and then finds device 1 taken.
    """
    slow = 50.0
    block_s = [
        [1, slow, slow, slow],
        [slow, 1, slow, 1],
        [slow, 2, slow, slow],
        [slow, slow, 1, slow],
    ]
    return LatencyProblem(
        block_s=np.array(block_s),
        hop_s=np.ones((4, 4)),
        memory_bytes=np.array([1, 2, b_room, 1]),
        block_bytes=np.array([1, 1, 1, 2]),
        starter=0,
    )


def test_the_published_programme_misses_a_chain_where_memory_binds() -> None:
    problem = forked(b_room=1)
    with pytest.raises(PlacementError, match="no path that the programme keeps fits"):
        latency_edgeshard(problem)
    assert [stage.device for stage in latency(problem).stages] == [0, 2, 3, 1]


def test_the_published_programme_returns_a_slower_chain_where_memory_binds() -> None:
    problem = forked(b_room=2)
    assert latency(problem).cost_s == pytest.approx(1 + 2 + 1 + 1 + 4, rel=1e-12)
    assert latency_edgeshard(problem).cost_s > 50


def test_the_search_says_when_it_gives_up_and_how_good_its_best_is() -> None:
    with pytest.raises(PlacementError, match=r"10 states were not enough.*at most [\d.]+% more"):
        latency(seeded_problem(1, 20, 80, room=1.1), max_states=10)


def test_a_model_too_large_is_refused_with_room_needed_and_available() -> None:
    with pytest.raises(PlacementError, match=r"needs 4 GB.*room for 2.9 GB.*at most 2 of the 4"):
        latency(TOO_LARGE)


def test_a_starter_too_small_for_its_own_part_is_named() -> None:
    with pytest.raises(PlacementError, match=r"the starter needs 2.1e-08 GB"):
        latency(two_ends(1.0, embedding_bytes=20))


def test_devices_without_a_route_are_no_part_of_a_chain() -> None:
    assert latency(two_ends(math.inf)).stages == (ChainStage(0, 0, 10),)


def test_doubling_every_time_doubles_the_cost_and_keeps_the_chain() -> None:
    problem = seeded_problem(3, 12, 24)
    doubled = LatencyProblem(
        block_s=2 * problem.block_s,
        hop_s=2 * problem.hop_s,
        memory_bytes=problem.memory_bytes,
        block_bytes=problem.block_bytes,
        starter=0,
    )
    assert latency(doubled).stages == latency(problem).stages
    assert latency(doubled).cost_s == 2 * latency(problem).cost_s


@pytest.mark.parametrize(
    "change",
    [
        {"block_s": np.ones((0, 3))},
        {"block_s": -np.ones((2, 3))},
        {"block_s": np.full((2, 3), math.inf)},
        {"hop_s": np.full((2, 2), math.nan)},
        {"hop_s": np.ones((3, 3))},
        {"memory_bytes": np.ones(3)},
        {"block_bytes": np.ones(2)},
        {"starter": 2},
    ],
    ids=str,
)
def test_ill_formed_problems_are_refused(change: dict[str, object]) -> None:
    arrays = {
        "block_s": np.ones((2, 3)),
        "hop_s": np.ones((2, 2)),
        "memory_bytes": np.full(2, 9),
        "block_bytes": np.ones(3),
    }
    with pytest.raises(PlacementError, match="expected"):
        LatencyProblem(**(arrays | change))
