"""Hops tell over what they went: by every way in which a message can be carried."""

from __future__ import annotations

import pytest
from miniature import Serve, Steady, answered, device, run, world

from edgesim.radio.motion.outages import ScheduledOutages
from edgesim.radio.motion.recorded import RecordedRate
from edgesim.world.device import Endpoint
from edgesim.world.faults import Faults
from edgesim.world.link import Link
from edgesim.world.medium import Medium, RadioChannel

RATE_BPS = 8e6
ENDS = ("a-0", "b-0")
LINKS = {
    "wired": Link(between=ENDS, rate_bps=RATE_BPS),
    "recorded": Link(between=ENDS, rate_bps=RecordedRate.of_rates([0.0, 100.0], [RATE_BPS, RATE_BPS])),
    "radio": Link(
        between=ENDS,
        rate_bps=RATE_BPS,
        radio=RadioChannel(link=Steady(RATE_BPS), terminal="a-0", station="b-0", medium="b-0", key=1),
    ),
}


@pytest.mark.parametrize("endpoint", [Endpoint(), Endpoint(overhead_s=1e-3)], ids=["at once", "handled"])
@pytest.mark.parametrize("may_fail", [False, True])
@pytest.mark.parametrize("kind", LINKS)
def test_every_hop_says_what_it_went_over(kind: str, may_fail: bool, endpoint: Endpoint) -> None:
    def serve(request, cluster):
        yield from cluster.send(request, "a-0", "b-0", 1000)
        answered(request, *ENDS)
        yield from cluster.all_reduce(request, ENDS, 1000)
        yield from cluster.compute(request, "a-0", there.model.whole, token(request))
        cluster.fail(request, "enough")

    def token(request):
        return next(request.tokens())

    faults = Faults(links={"a-0--b-0": ScheduledOutages([(50.0, 60.0)])}) if may_fail else None
    there = world(
        [device("a-0", endpoint=endpoint), device("b-0", endpoint=endpoint)],
        [LINKS[kind]],
        media={"b-0": Medium(name="b-0")},
        faults=faults,
    )
    spans = run(there, Serve(serve)).spans
    hops = spans["kind"] == "send"
    assert hops.sum() == 5  # one message, and two rounds of two
    assert set(spans.loc[hops, "link_kind"]) == {kind}
    assert spans.loc[~hops, "link_kind"].isna().all()
