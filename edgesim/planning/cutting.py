"""Interface and loader of partitions: rules that divide a model's blocks among the devices of a pipeline.

Partitions are loaded by name through the entry point group ``edgesim.partitions``. Those of edgesim are in
:mod:`edgesim.planning.partitions`, one per file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Protocol, Self

import numpy as np

from edgesim import plugins
from edgesim.entry_names import EntryName, NameSchema
from edgesim.errors import InputError, PlacementError
from edgesim.planning.chain import FloatArray, LatencyProblem
from edgesim.plugins import EntryPointGroup

__all__ = ["PARTITIONS", "Cut", "Partition", "PartitionOption", "Task", "cut_by"]


class Task(Protocol):
    """The model to cut and the devices to place it on: the starter first, unless the partition chooses it.

    The starter holds the embedding. It also holds the head, unless the device of the last blocks does.
    """

    @property
    def devices(self) -> tuple[str, ...]:
        """Ids of the devices, in the order of the pipeline."""
        ...

    @property
    def n_blocks(self) -> int:
        """Blocks of the model."""
        ...

    def room(self) -> tuple[list[int], list[int]]:
        """Return, by device, the bytes left after embedding and head, and the most blocks that fit.

        KV caches of as many requests as are in flight are included.

        Raises
        ------
        PlacementError
            If a device has no room for its part of embedding and head.
        """
        ...

    def latency(self) -> LatencyProblem:
        """Return the times of one typical request, by block and by hop [s], and the memories [bytes]."""
        ...

    def throughput(self) -> LatencyProblem:
        """Return the time that many requests keep each device and link busy, per request [s]."""
        ...

    def message_s(self) -> FloatArray:
        """Return, by device, the processor time that one request's messages occupy [s]."""
        ...


@dataclass(frozen=True, slots=True)
class Cut:
    """The division of a model into the stages of a pipeline.

    Attributes
    ----------
    stages
        Device index and number of blocks of each stage, in pipeline order. The first stage is the
        starter's, which may have no blocks.
    remark
        Note for the user, such as the gap to the optimum; empty if there is none.
    """

    stages: tuple[tuple[int, int], ...]
    remark: str = ""

    @classmethod
    def along(cls, counts: Sequence[int]) -> Self:
        """Build a cut from the number of blocks of each device, in the order of the task's devices."""
        return cls(tuple(enumerate(counts)))


class Partition:
    """A rule that divides a model into the stages of a pipeline.

    Subclasses take no arguments and keep no state. ``edgesim list partitions`` prints the first line of the
    docstring.
    """

    def cut(self, task: Task) -> Cut:
        """Return the number of blocks of each device; equal tasks give equal cuts.

        Raises
        ------
        PlacementError
            If the model cannot be divided. The message states what is needed, what is available and what
            to change.
        """
        raise NotImplementedError


def _check(kind: type[Partition]) -> None:
    plugins.require_methods(kind, Partition, {"cut": "task"})
    try:
        kind()
    except Exception as error:
        raise InputError(f"class {kind.__qualname__} cannot be created without arguments: {error}") from None


_COUNTS = (int, np.int64, np.int32)  # not bool

PARTITIONS: EntryPointGroup[type[Partition]] = EntryPointGroup(
    "edgesim.partitions",
    "partition",
    "partitions",
    Partition,
    "edgesim.Partition",
    PlacementError,
    _check,
    home="edgesim.planning.partitions",
    joint="-",
)
"""Entry point group of partitions, edgesim's own included."""


def cut_by(name: str, task: Task) -> Cut:
    """Cut with the partition of this name, and check that the result covers the whole model.

    Raises
    ------
    PlacementError
        If no partition has this name (the message suggests the nearest), if the partition fails, or if its
        cut does not cover the whole model.
    """
    partition = plugins.load(PARTITIONS, name)()
    try:
        found: object = partition.cut(task)
    except InputError:
        raise
    except (Exception, SystemExit) as error:  # an author's code may fail in any way
        raise PlacementError(
            f"partition {name!r} fails: {type(error).__name__}: {error}; repair its package"
        ) from error
    if not isinstance(found, Cut) or not all(map(_is_stage, found.stages)):
        raise PlacementError(
            f"partition {name!r} returned {found!r}; expected an edgesim.Cut, such as Cut.along(counts): "
            "repair its package"
        )
    devices, counts = [device for device, _ in found.stages], [count for _, count in found.stages]
    if not set(devices) <= set(range(len(task.devices))) or len(set(devices)) < len(devices):
        raise PlacementError(
            f"partition {name!r} names the devices {devices} of {len(task.devices)}; expected each index "
            f"from 0 to {len(task.devices) - 1} at most once: repair its package"
        )
    if sum(counts) != task.n_blocks or min(counts, default=0) < 0:
        raise PlacementError(
            f"partition {name!r} places {counts} blocks, {sum(counts)} together; expected the model's "
            f"{task.n_blocks}, none of them negative: repair its package"
        )
    return found


def _is_stage(stage: object) -> bool:
    return isinstance(stage, tuple) and len(stage) == 2 and all(type(number) in _COUNTS for number in stage)


PartitionOption = Annotated[Annotated[str, NameSchema(PARTITIONS)] | tuple[int, ...], EntryName(PARTITIONS)]
"""Field of a strategy's options: the name of a partition, or the number of blocks of each stage."""
