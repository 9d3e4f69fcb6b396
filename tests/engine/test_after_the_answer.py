"""What a strategy does after the last delivery is none of the time that the request's user waits."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from kept import kept
from miniature import N_BLOCKS, Serve, device, run, world

from edgesim.engine.process.verb import RequestFailed
from edgesim.model.architecture import Slice
from edgesim.radio.motion.outages import ScheduledOutages
from edgesim.statistics.activities import activities
from edgesim.strategy import Placement, Stage
from edgesim.workload.lengths import Fixed
from edgesim.world.device import Endpoint
from edgesim.world.faults import Faults, Retry
from edgesim.world.link import Link

WHOLE = Slice(0, N_BLOCKS, embedding=True, head=True)
WIRE = Link(between=("a-0", "b-0"), rate_bps=8e6, latency_s=0.5)
ENDS = Endpoint(overhead_s=0.01)


def answers(request, cluster):
    for token in request.tokens():
        yield from cluster.compute(request, "a-0", WHOLE, token)
        yield from cluster.emit(request, "a-0", token)


def sends(request, cluster):
    yield from answers(request, cluster)
    yield from cluster.send(request, "a-0", "b-0", 1_000_000)


def sleeps(request, cluster):
    yield from answers(request, cluster)
    yield from cluster.sleep(2.5)


def fails(request, cluster):
    yield from sleeps(request, cluster)
    raise RequestFailed("too late to matter")


@dataclass(frozen=True)
class There(Serve):
    """Serves where the requests arise."""

    places: tuple[str, ...] = field(default=("a-0", "b-0"))

    def place(self, model: Any, fleet: Any) -> Placement:
        return Placement(tuple(Stage(device, model.whole) for device in self.places))


@pytest.mark.parametrize("after", [sends, sleeps, fails])
@pytest.mark.parametrize("horizon_s", [None, 9.1])
def test_a_request_ends_with_its_last_delivery(after: Any, horizon_s: float | None, tmp_path: Path) -> None:
    devices = [device("a-0", endpoint=ENDS), device("b-0", endpoint=ENDS)]
    there = world(devices, [WIRE], output=Fixed(2), horizon_s=horizon_s)
    trace = kept(there, There(after), tmp_path / "trace")
    assert trace.check() == []
    requests, spans = trace.requests("one", 0), trace.spans("one", 0)
    assert requests["outcome"].tolist() == ["completed"]
    assert requests["reason"].isna().all()
    assert requests["ended_at_s"].tolist() == [8.0]
    assert activities(requests, spans).sum(axis=1).tolist() == [8.0]
    if after is sends:
        assert (spans["started_at_s"] >= 8.0)[spans["kind"] == "send"].all()


def test_a_request_that_has_its_answer_is_not_served_again() -> None:
    faults = Faults(devices={"b-0": ScheduledOutages([(8.2, 9.0)])})
    there = world(
        [device("a-0"), device("b-0")],
        [WIRE],
        output=Fixed(2),
        faults=faults,
        retry=Retry(limit=3, backoff_s=1.0),
    )
    ran = run(there, Serve(sends))
    (request,) = ran.requests.itertuples()
    assert (request.outcome, request.ended_at_s) == ("completed", 8.0)
    assert (ran.spans["kind"] == "compute").sum() == 2
