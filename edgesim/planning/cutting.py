"""How a pipeline cuts a model's blocks among devices: what a partition is, and how one is found by its name.

A partition arrives through the entry point group ``edgesim.partitions``; edgesim's own stand in
:mod:`edgesim.planning.partitions`, a file each.
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
    """What is to be cut, and for which devices: the starter first, unless a partition may choose it.

    The starter holds the embedding, and the head unless that stands behind the last blocks.
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
        """Return by device the bytes that embedding and head leave, and the most blocks that it can hold.

        Caches of as many requests as are in flight are allowed for.

        Raises
        ------
        PlacementError
            If a device has no room for its part of embedding and head.
        """
        ...

    def latency(self) -> LatencyProblem:
        """What each block and each hop takes of one typical request [s], with memories [bytes]."""
        ...

    def throughput(self) -> LatencyProblem:
        """The same for many requests: how long each keeps devices and links busy [s]."""
        ...

    def message_s(self) -> FloatArray:
        """By device, what a request's messages occupy of its processor [s]."""
        ...


@dataclass(frozen=True, slots=True)
class Cut:
    """Where a model is cut.

    Attributes
    ----------
    stages
        Index of a device and its number of blocks, in the order in which a token meets them; the first is
        the starter's, which may have none.
    remark
        What a user should know of it, such as how far from the best it may be; empty if nothing.
    """

    stages: tuple[tuple[int, int], ...]
    remark: str = ""

    @classmethod
    def along(cls, counts: Sequence[int]) -> Self:
        """Give every device, in the order of the task, its number of blocks."""
        return cls(tuple(enumerate(counts)))


class Partition:
    """A way to cut a model into the stages of a pipeline. Subclasses take no arguments and keep no state.

    The first line of the docstring says in ``edgesim list partitions`` what it does.
    """

    def cut(self, task: Task) -> Cut:
        """Say which device holds how many blocks; the same task always gives the same cut.

        Raises
        ------
        PlacementError
            If it cannot be done; say what was needed, what there is, and what to change.
        """
        raise NotImplementedError


def _check(kind: type[Partition]) -> None:
    plugins.require_methods(kind, Partition, {"cut": "task"})
    try:
        kind()
    except Exception as error:
        raise InputError(f"class {kind.__qualname__} cannot be made without arguments: {error}") from None


_COUNTS = (int, np.int64, np.int32)  # no bools

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
"""Partitions arrive through this group of entry points, and edgesim's own beside them."""


def cut_by(name: str, task: Task) -> Cut:
    """Cut by a partition of this name, and hold what it says against the task.

    Raises
    ------
    PlacementError
        If none has that name (the message names the nearest), it cannot be done, or the cut is none of the
        whole model.
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
"""A field of a strategy's options: the name of a partition that can be loaded, or each stage's blocks."""
