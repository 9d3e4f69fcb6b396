"""A discipline of one's own: a class that says what it is, its station, and one line that joins them."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

import pytest
from miniature import PerBlock, Serve, device, run, world

from edgesim.engine.device.site import Site
from edgesim.engine.device.work import Pass
from edgesim.engine.request import LiveRequest
from edgesim.engine.serving import stations
from edgesim.engine.serving.batching import Batch, IteratingStation
from edgesim.errors import InputError
from edgesim.model.architecture import Slice
from edgesim.trace.schema import Discipline
from edgesim.workload.arrivals import Deterministic
from edgesim.workload.lengths import Fixed
from edgesim.world.device import Endpoint
from edgesim.world.discipline import ServingDiscipline

WHOLE = Slice(0, 4, embedding=True, head=True)


@dataclass(frozen=True, slots=True)
class LastComeFirstServed(ServingDiscipline):
    """The newest pass first, one at a time; none is interrupted."""

    name: ClassVar[Discipline] = Discipline.BATCHED
    is_in_batches: ClassVar[bool] = True


class NewestFirst(IteratingStation):
    """A stack of passes."""

    def __init__(self, site: Site, discipline: LastComeFirstServed) -> None:
        super().__init__(site)
        self._stack: list[Pass] = []

    def ask(self, work: Pass) -> None:
        self._stack.append(work)
        self._call()

    def leave(self, request: LiveRequest) -> None:
        self._stack = [work for work in self._stack if work.request is not request]

    def _choose(self) -> Batch:
        newest = self._stack[-1:]
        del self._stack[-1:]
        return [(work, work.n_new) for work in newest]

    def _iteration_s(self) -> float:
        ((work, _),) = self._running
        return work.alone_s()

    def _serve(self, batch: Batch) -> None:
        for work, _ in batch:
            work.done.succeed()

    def _waits(self) -> list[Pass]:
        return self._stack

    def _forget(self) -> list[Pass]:
        waiting, self._stack = self._stack, []
        return waiting


def local(request: Any, cluster: Any) -> Any:
    for token in request.tokens():
        yield from cluster.compute(request, "a-0", WHOLE, token)
        yield from cluster.emit(request, "a-0", token)


def test_the_newest_is_served_first(monkeypatch: pytest.MonkeyPatch) -> None:
    made = MappingProxyType({**stations.STATIONS, LastComeFirstServed: NewestFirst})
    monkeypatch.setattr(stations, "STATIONS", made)
    one = device("a-0", PerBlock(1.0), serving=LastComeFirstServed())
    there = world([one], arrivals=Deterministic(1.0), prompt=Fixed(1), output=Fixed(1), n_requests=4)
    ran = run(there, Serve(local))
    rows = ran.log("request_id", "kind", "asked_at_s", "started_at_s", "ended_at_s")
    computed = [(row[0], *row[2:]) for row in rows if row[1] == "compute"]
    # Four seconds each; three more have come when the first is done.
    assert sorted(computed) == [
        (0, 0.0, 0.0, 4.0),
        (1, 1.0, 12.0, 16.0),
        (2, 2.0, 8.0, 12.0),
        (3, 3.0, 4.0, 8.0),
    ]


def test_what_it_says_of_itself_is_heard() -> None:
    with pytest.raises(InputError, match="go with first come, first served only"):
        device("a-0", serving=LastComeFirstServed(), endpoint=Endpoint(overhead_s=1.0, on_compute=True))


def test_every_discipline_of_the_world_has_its_station() -> None:
    named = {discipline.name for discipline in stations.STATIONS}
    assert named == set(Discipline)
