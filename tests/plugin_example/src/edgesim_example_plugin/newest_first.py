"""A serving discipline and its station: the newest pass first, one at a time; none is interrupted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from pydantic import Field

from edgesim import Seconds
from edgesim.engine.serving.iterating import IteratingStation
from edgesim.world.discipline import ServingDiscipline

__all__ = ["NewestFirst", "NewestFirstStation"]


@dataclass(frozen=True)
class NewestFirst(ServingDiscipline):
    """The newest pass first, one at a time."""

    pause_s: Annotated[Seconds, Field(alias="pause")] = 0.0
    """Time for which the device stands still after every pass."""

    name: ClassVar[str] = "newest-first"
    is_in_batches: ClassVar[bool] = True


class NewestFirstStation(IteratingStation):
    """A stack of passes."""

    def __init__(self, site, discipline):
        super().__init__(site)
        self._discipline = discipline
        self._stack = []

    def ask(self, work):
        self._stack.append(work)
        self._call()

    def leave(self, request):
        self._stack = [work for work in self._stack if work.request is not request]

    def _choose(self):
        newest = self._stack[-1:]
        del self._stack[-1:]
        return [(work, work.n_new) for work in newest]

    def _iteration_s(self):
        ((work, _),) = self._running
        return work.alone_s() + self._discipline.pause_s

    def _serve(self, batch):
        for work, _ in batch:
            work.done.succeed()

    def _waits(self):
        return self._stack

    def _forget(self):
        waiting, self._stack = self._stack, []
        return waiting
