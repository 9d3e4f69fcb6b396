"""All-reduce in a group of processes (gloo) at the end of each half of every block."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from time import perf_counter, sleep
from typing import Any

import torch.distributed as dist

from edgesim.measure.places import MODULE_PATHS
from edgesim.measure.real.part import Tensor

__all__ = ["Sums", "barrier", "join", "leave"]

_PATIENCE = timedelta(seconds=60)


def join(file: str, rank: int, n_members: int) -> None:
    """Join the group by a rendezvous file that all members name, and that must not exist before."""
    dist.init_process_group(
        "gloo", init_method=f"file://{file}", rank=rank, world_size=n_members, timeout=_PATIENCE
    )


def leave() -> None:
    """Leave the group."""
    if dist.is_initialized():
        dist.destroy_process_group()


class Sums:
    """Sums the results of both halves of every block over the group, and records when.

    Attributes
    ----------
    is_on
        Whether members sum; else each continues with its own partial result, which is meaningless but takes
        as long to compute.
    rests_s
        How long a member that does not sum sleeps where it would [s], in turn; empty: not at all.
    instants_s
        When each sum, or sleep in its place, was entered and left.
    """

    def __init__(self, model: Any, family: str) -> None:
        self.is_on = True
        self.rests_s: Sequence[float] = ()
        self.instants_s: list[tuple[float, float]] = []
        places = MODULE_PATHS[family]
        for block in model.get_submodule(places.blocks).children():
            for path in places.summed:
                block.get_submodule(path).register_forward_hook(self._sum)

    def _sum(self, module: object, given: object, result: Tensor) -> Tensor:
        if self.is_on or self.rests_s:
            entered_at_s = perf_counter()
            if self.is_on:
                dist.all_reduce(result)
            else:
                sleep(self.rests_s[len(self.instants_s) % len(self.rests_s)])
            self.instants_s.append((entered_at_s, perf_counter()))
        return result


def barrier() -> None:
    """Wait until all members have called this function (a barrier)."""
    dist.barrier()
