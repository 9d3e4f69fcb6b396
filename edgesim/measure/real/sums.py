"""Members of a group that sum their parts of every block: gloo's all-reduce, where a block's halves end."""

from __future__ import annotations

from datetime import timedelta
from time import perf_counter
from typing import Any

import torch.distributed as dist

from edgesim.measure.places import PLACES
from edgesim.measure.real.part import Tensor

__all__ = ["Sums", "in_step", "join", "leave"]

_PATIENCE = timedelta(seconds=60)


def join(file: str, rank: int, n_members: int) -> None:
    """Meet the other members by a file that all of them know, and that did not exist before."""
    dist.init_process_group(
        "gloo", init_method=f"file://{file}", rank=rank, world_size=n_members, timeout=_PATIENCE
    )


def leave() -> None:
    """Leave the group."""
    if dist.is_initialized():
        dist.destroy_process_group()


class Sums:
    """Sums the results of both halves of every block over the group, and keeps when.

    Attributes
    ----------
    is_on
        Whether members sum; else each goes on with its own part, which takes as long and means nothing.
    instants_s
        When each sum so far was entered and left.
    """

    def __init__(self, model: Any, family: str) -> None:
        self.is_on = True
        self.instants_s: list[tuple[float, float]] = []
        places = PLACES[family]
        for block in model.get_submodule(places.blocks).children():
            for path in places.summed:
                block.get_submodule(path).register_forward_hook(self._sum)

    def _sum(self, module: object, given: object, result: Tensor) -> Tensor:
        if self.is_on:
            entered_at_s = perf_counter()
            dist.all_reduce(result)
            self.instants_s.append((entered_at_s, perf_counter()))
        return result


def in_step() -> None:
    """Wait for all members."""
    dist.barrier()
