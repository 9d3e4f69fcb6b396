"""Conformance test for partitions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from edgesim.errors import InputError, PlacementError
from edgesim.planning.chain import FloatArray, LatencyProblem
from edgesim.planning.cutting import PARTITIONS, Cut, Partition

__all__ = ["check_partition"]

_BLOCK_BYTES = 1_000_000
_END_BYTES = 300_000  # size of the embedding, and of the head


def check_partition(kind: type[Partition]) -> None:
    """Check that a partition satisfies its contract, on small tasks of one to five devices.

    It may refuse some tasks with a ``PlacementError``, but not all. For the others it must place every block,
    use only devices of the task and each at most once, return equal results when called again, and not modify
    the task. Memory is not checked: that is up to the strategy, because a partition may deliberately ignore
    memory.

    Raises
    ------
    AssertionError
        With a sentence that states the violation and the task.
    """
    try:
        assert PARTITIONS.is_entry(kind), f"{kind!r} is not a subclass of {PARTITIONS.known_as}"
        if PARTITIONS.check is not None:
            PARTITIONS.check(kind)
    except InputError as error:
        raise AssertionError(str(error)) from None
    n_cut = sum(_check_on(name, task, kind) for name, task in _tasks().items())
    assert n_cut, f"{kind.__qualname__} refused every task; it must cut at least one"


def _check_on(name: str, task: _SmallTask, kind: type[Partition]) -> bool:
    """Check one task; return whether the partition accepts it."""
    where = f"{kind.__qualname__} on {name}: "
    before = task.latency().block_s.copy()
    try:
        cut, again = kind().cut(task), kind().cut(task)
    except PlacementError:
        return False
    assert isinstance(cut, Cut), f"{where}cut returned {cut!r}; expected an edgesim.Cut"
    assert cut == again, f"{where}two calls gave {cut} and {again}; a partition must be pure"
    devices, counts = [device for device, _ in cut.stages], [count for _, count in cut.stages]
    assert set(devices) <= set(range(len(task.devices))), (
        f"{where}it names the devices {devices}; there are {len(task.devices)}, counted from 0"
    )
    assert len(set(devices)) == len(devices), f"{where}it names a device twice: {devices}"
    assert min(counts) >= 0, f"{where}it places {counts} blocks; expected numbers of 0 or more"
    assert sum(counts) == task.n_blocks, (
        f"{where}it places {counts} blocks, {sum(counts)} in total; the model has {task.n_blocks}"
    )
    assert np.array_equal(before, task.latency().block_s), f"{where}it changed the task"
    return True


@dataclass(frozen=True)
class _SmallTask:
    """Hand-made task: time of a block on each device [s], and number of blocks that fit on each."""

    n_blocks: int
    block_s: tuple[float, ...]
    most: tuple[int, ...]
    hop_s: float

    @property
    def devices(self) -> tuple[str, ...]:
        return tuple(f"device-{index}" for index in range(len(self.block_s)))

    def room(self) -> tuple[list[int], list[int]]:
        return [n * _BLOCK_BYTES for n in self.most], list(self.most)

    def latency(self) -> LatencyProblem:
        n_devices = len(self.block_s)
        return LatencyProblem(
            block_s=np.array([[seconds] * self.n_blocks for seconds in self.block_s]),
            hop_s=np.full((n_devices, n_devices), self.hop_s),
            memory_bytes=np.array([n * _BLOCK_BYTES + 2 * _END_BYTES for n in self.most]),
            block_bytes=np.full(self.n_blocks, _BLOCK_BYTES),
            first_block_at_starter=False,
            embedding_s=np.array(self.block_s) / 4,
            head_s=np.array(self.block_s) / 2,
            embedding_bytes=_END_BYTES,
            head_bytes=_END_BYTES,
        )

    def throughput(self) -> LatencyProblem:
        return self.latency()

    def message_s(self) -> FloatArray:
        return np.zeros(len(self.block_s))


def _tasks() -> Mapping[str, _SmallTask]:
    return {
        "one device": _SmallTask(4, (0.1,), (8,), 0.01),
        "two devices alike": _SmallTask(6, (0.1, 0.1), (8, 8), 0.01),
        "a fast and a slow device": _SmallTask(12, (0.02, 0.2), (16, 16), 0.01),
        "five devices": _SmallTask(22, (0.1, 0.05, 0.2, 0.1, 0.3), (10, 8, 12, 6, 4), 0.02),
        "costly hops": _SmallTask(8, (0.1, 0.1, 0.1), (10, 4, 4), 5.0),
        "little memory": _SmallTask(9, (0.1, 0.1, 0.1), (4, 3, 2), 0.01),
        "too little memory": _SmallTask(9, (0.1, 0.1), (2, 2), 0.01),
    }
