"""Small problems of laying blocks along a chain of devices, and every way there is of doing it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations, permutations

import numpy as np
from hypothesis import strategies as st

from edgesim.planning.chain import ChainStage, LatencyProblem

# Four blocks of 1 GB, and 2.9 GB of room for them: two fit.
TOO_LARGE = LatencyProblem(
    block_s=np.ones((2, 4)),
    hop_s=np.ones((2, 2)),
    memory_bytes=np.array([1_900_000_000, 1_000_000_000]),
    block_bytes=np.full(4, 1_000_000_000),
    starter=0,
)


def layouts(problem: LatencyProblem) -> Iterator[tuple[ChainStage, ...]]:
    """Every chain whose devices hold one run each: every order of every set of devices, every way to cut."""
    n = problem.n_blocks
    starters = range(problem.n_devices) if problem.starter is None else [problem.starter]
    for starter in starters:
        others = [device for device in range(problem.n_devices) if device != starter]
        for n_stages in range(1, min(n, problem.n_devices) + 1):
            for order in permutations(others, n_stages - 1):
                for cuts in combinations(range(1, n), n_stages - 1):
                    ends = [0, *cuts, n]
                    yield tuple(
                        ChainStage(device, ends[i], ends[i + 1]) for i, device in enumerate((starter, *order))
                    )
            if not problem.first_block_at_starter:
                for order in permutations(others, n_stages):
                    for cuts in combinations(range(1, n), n_stages - 1):
                        ends = [0, *cuts, n]
                        runs = [ChainStage(device, ends[i], ends[i + 1]) for i, device in enumerate(order)]
                        yield (ChainStage(starter, 0, 0), *runs)


def fits(problem: LatencyProblem, stages: tuple[ChainStage, ...]) -> bool:
    """Whether every device has room; independent of `LatencyProblem.fits`."""
    limits = [(problem.memory_bytes, problem.block_bytes)]
    if problem.weight_room_bytes is not None and problem.block_weight_bytes is not None:
        limits.append((problem.weight_room_bytes, problem.block_weight_bytes))
    for all_room_bytes, block_bytes in limits:
        room_bytes = [int(n_bytes) for n_bytes in all_room_bytes]
        room_bytes[stages[0].device] -= problem.embedding_bytes
        room_bytes[stages[0 if problem.head_at == "starter" else -1].device] -= problem.head_bytes
        for device, first, last in stages:
            for block in range(first, last):
                room_bytes[device] -= int(block_bytes[block])
        if not all(room_bytes[stage.device] >= 0 for stage in stages):
            return False
    return True


@st.composite
def problems(
    draw: st.DrawFn,
    max_devices: int = 4,
    max_blocks: int = 6,
) -> LatencyProblem:
    """Draw times and sizes as small whole numbers, so that ties and equal devices are common."""
    n_devices, n_blocks = draw(st.integers(1, max_devices)), draw(st.integers(1, max_blocks))
    times = st.integers(0, 9).map(float)
    n_kinds = draw(st.integers(1, n_devices))

    def matrix(n_rows: int, n_columns: int) -> np.ndarray:
        cells = st.lists(times, min_size=n_rows * n_columns, max_size=n_rows * n_columns)
        return np.array(draw(cells)).reshape(n_rows, n_columns)

    kinds = draw(st.lists(st.integers(0, n_kinds - 1), min_size=n_devices, max_size=n_devices))
    memory = draw(st.lists(st.integers(0, 14), min_size=n_kinds, max_size=n_kinds))
    by_kind = draw(st.booleans())  # hops by kind: equal devices stay exchangeable
    hop_s = matrix(n_kinds, n_kinds)[np.ix_(kinds, kinds)] if by_kind else matrix(n_devices, n_devices)
    loading = draw(st.none() | st.lists(st.integers(0, 14), min_size=n_kinds, max_size=n_kinds))
    return LatencyProblem(
        block_s=matrix(n_kinds, n_blocks)[kinds],
        hop_s=hop_s,
        memory_bytes=np.array(memory)[kinds],
        block_bytes=np.array(draw(st.lists(st.integers(1, 4), min_size=n_blocks, max_size=n_blocks))),
        weight_room_bytes=None if loading is None else np.array(loading)[kinds],
        block_weight_bytes=np.ones(n_blocks, dtype=int),
        starter=draw(st.none() | st.integers(0, n_devices - 1)),
        first_block_at_starter=draw(st.booleans()),
        embedding_s=matrix(1, n_devices)[0],
        head_s=matrix(1, n_devices)[0],
        embedding_bytes=draw(st.integers(0, 2)),
        head_bytes=draw(st.integers(0, 2)),
        head_at=draw(st.sampled_from(["starter", "last"])),
        return_s=draw(st.none() | st.just(hop_s / 2)),
    )
