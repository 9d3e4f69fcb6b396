"""EdgeShard's latency programme as published, for comparison with the exact one."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import groupby

from edgesim.errors import PlacementError
from edgesim.planning.chain import Chain, ChainStage, LatencyProblem

__all__ = ["latency_edgeshard"]


def latency_edgeshard(problem: LatencyProblem) -> Chain:
    """Find a chain by the published dynamic programme, O(N M^2) for N blocks and M devices.

    ``DP(i, j) = min over k of DP(i-1, k) + hop(k, j) + compute(i, j)`` for block i on device j (Zhang et al.
    2024, arXiv 2405.14371), then the return to the source. One path is kept for each (i, j), and memory is
    checked along that path. It differs from `edgesim.planning.latency.latency` in two ways:

    - where memory binds, the chain may be slower than necessary, or no chain may be found though one exists;
    - a device may hold several ranges of blocks (its memory counts them all), so where memory does not bind
      the chain may also be faster than any with one range per device.

    Raises
    ------
    PlacementError
        If the problem names no starter (the paper's source), or no kept path fits.
    """
    if problem.starter is None:
        raise PlacementError(
            "latency partition (EdgeShard): the problem names no starter; expected one: name the source"
        )
    paths = _open(problem, problem.starter)
    for block in range(1, problem.n_blocks):
        paths = [_extend(problem, paths, block, device) for device in range(problem.n_devices)]
    ended = [_end(problem, path, problem.starter) for path in paths]
    best = min((path for path in ended if path is not None), key=lambda path: path.cost_s, default=None)
    if best is None:
        raise PlacementError(
            "latency partition (EdgeShard): no path that the programme keeps fits: the model needs "
            f"{problem.needed_bytes} bytes, the devices have {int(problem.memory_bytes.sum())}; expected "
            "room for every block: use the exact latency partition, which finds a chain if there is one"
        )
    return problem.chain(_stages(best.devices, problem.starter))


@dataclass(frozen=True, slots=True)
class _Path:
    cost_s: float
    devices: tuple[int, ...]  # [blocks done]
    room_bytes: tuple[tuple[int, ...], ...]  # by limit: [n_devices]


def _open(problem: LatencyProblem, starter: int) -> list[_Path | None]:
    ends_bytes = problem.embedding_bytes + (problem.head_bytes if problem.head_at == "starter" else 0)
    room_bytes = tuple(_less(tuple(map(int, room)), starter, ends_bytes) for room, _ in problem.limits)
    if any(room[starter] < 0 for room in room_bytes):
        return [None] * problem.n_devices
    cost_s = float(problem.embedding_s[starter])
    if problem.head_at == "starter":
        cost_s += float(problem.head_s[starter])
    root = _Path(cost_s, (), room_bytes)
    firsts = [starter] if problem.first_block_at_starter else list(range(problem.n_devices))
    return [
        _step(problem, root, 0, device, problem.hand_over_s(starter, device)) if device in firsts else None
        for device in range(problem.n_devices)
    ]


def _extend(problem: LatencyProblem, paths: list[_Path | None], block: int, device: int) -> _Path | None:
    options = [
        _step(problem, path, block, device, problem.hand_over_s(path.devices[-1], device))
        for path in paths
        if path is not None
    ]
    return min((path for path in options if path is not None), key=lambda path: path.cost_s, default=None)


def _step(problem: LatencyProblem, path: _Path, block: int, device: int, hop_s: float) -> _Path | None:
    room_bytes = tuple(
        _less(room, device, int(block_bytes[block]))
        for room, (_, block_bytes) in zip(path.room_bytes, problem.limits, strict=True)
    )
    if any(room[device] < 0 for room in room_bytes) or math.isinf(hop_s):
        return None
    cost_s = path.cost_s + hop_s + float(problem.block_s[device, block])
    return _Path(cost_s, (*path.devices, device), room_bytes)


def _end(problem: LatencyProblem, path: _Path | None, starter: int) -> _Path | None:
    if path is None:
        return None
    last = path.devices[-1]
    cost_s = path.cost_s + problem.hand_back_s(last, starter)
    if problem.head_at == "last":
        cost_s += float(problem.head_s[last])
        if any(room[last] < problem.head_bytes for room in path.room_bytes):
            return None
    return None if math.isinf(cost_s) else _Path(cost_s, path.devices, path.room_bytes)


def _less(room_bytes: tuple[int, ...], device: int, n_bytes: int) -> tuple[int, ...]:
    return (*room_bytes[:device], room_bytes[device] - n_bytes, *room_bytes[device + 1 :])


def _stages(devices: tuple[int, ...], starter: int) -> tuple[ChainStage, ...]:
    stages = [] if devices[0] == starter else [ChainStage(starter, 0, 0)]
    first = 0
    for device, run in groupby(devices):
        last = first + len(list(run))
        stages.append(ChainStage(device, first, last))
        first = last
    return tuple(stages)
