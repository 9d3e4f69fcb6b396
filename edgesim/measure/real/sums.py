"""All-reduce in a group of processes (gloo) at the end of each half of every block."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from time import perf_counter, sleep
from typing import Any

import torch.distributed as dist

from edgesim.measure.places import MODULE_PATHS
from edgesim.measure.real.part import Tensor

__all__ = ["Sums", "barrier", "join", "leave"]

_PATIENCE = timedelta(seconds=60)
_PLACES_PER_BARRIER = 3  # odd, so that it is in the place of either half's sums
_EVENT_LOOP = b"gloo_tcp_loop"  # the name of its thread
_NAMING_S, _MOST_NAMING_S = 1e-3, 1.0  # between two looks for it, and for all: chosen, not measured


def join(file: str, rank: int, n_members: int) -> None:
    """Join the group by a rendezvous file that all members name, and that must not exist before."""
    dist.init_process_group(
        "gloo", init_method=f"file://{file}", rank=rank, world_size=n_members, timeout=_PATIENCE
    )
    _let_event_loop_yield()


def _let_event_loop_yield() -> None:
    """Keep gloo's event loop from preempting the other threads of this process, where the system allows it.

    All of a member's threads share one core. The loop tries the lock of a connection and, while another
    thread has it, asks for the same events again (gloo's `Pair::handleEvents`). A loop that preempts the
    thread with the lock therefore spins until the scheduler's next tick, for up to 4 ms: traced with
    `perf sched`, this made half of all sums ten times as long as the others.

    The thread gives itself its name, which can be after the group has been joined; it is waited for. A gloo
    without such a thread is left as it is.
    """
    if not hasattr(os, "SCHED_BATCH"):
        return
    give_up_at_s = perf_counter() + _MOST_NAMING_S
    while not (loops := _threads_named(_EVENT_LOOP)) and perf_counter() < give_up_at_s:
        sleep(_NAMING_S)
    for thread in loops:
        with suppress(OSError):
            os.sched_setscheduler(thread, os.SCHED_BATCH, os.sched_param(0))


def _threads_named(name: bytes) -> list[int]:
    """Return the threads of this process that have a name, on Linux."""
    found = []
    for comm in Path("/proc/self/task").glob("*/comm"):
        with suppress(OSError):  # a thread that has just ended
            if comm.read_bytes().strip() == name:
                found.append(int(comm.parent.name))
    return found


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
        How long a member that does not sum sleeps where it would [s], in turn; empty: not at all. In every
        third place there is a barrier instead, so that members stay in step, as sums would keep them.
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
            elif len(self.instants_s) % _PLACES_PER_BARRIER == 0:
                barrier()
            else:
                sleep(self.rests_s[len(self.instants_s) % len(self.rests_s)])
            self.instants_s.append((entered_at_s, perf_counter()))
        return result


def barrier() -> None:
    """Wait until all members have called this function (a barrier)."""
    dist.barrier()
