"""Links whose two ways differ: messages by hand, and routes against all paths."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import networkx as nx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from miniature import Serve, answered, device, run, world

from edgesim.engine.collective.all_reduce import all_reduce_rounds
from edgesim.engine.simulation import simulate
from edgesim.radio.motion.outages import ScheduledOutages
from edgesim.radio.motion.recorded import RecordedRate
from edgesim.trace.reader import Trace
from edgesim.trace.writer import TraceFolder
from edgesim.world.device import Endpoint, Power
from edgesim.world.faults import Faults
from edgesim.world.fleet import Fleet
from edgesim.world.link import Link, Way
from edgesim.world.routes import Network, link_facts
from edgesim.world.world import World

POWER = Power(idle_w=0.0, active_w=0.0, tx_w=2.0, rx_w=1.0)
ENDS = [device("a-0", power=POWER), device("b-0", power=POWER)]
# Up 1 ms per 1,000 bytes and 3 ms of latency; down 10 ms and 7 ms.
UNEVEN = Link(between=("a-0", "b-0"), rate_bps=8e6, latency_s=3e-3, down=Way(rate_bps=8e5, latency_s=7e-3))


def there_and_back(request: Any, cluster: Any) -> Any:
    yield from cluster.send(request, "a-0", "b-0", 1000)
    yield from cluster.send(request, "b-0", "a-0", 1000)
    cluster.fail(request, "sent")


@pytest.mark.parametrize("watched", [False, True])
@pytest.mark.parametrize("overhead_s", [0.0, 0.5])
def test_each_way_has_its_own_rate_and_latency(watched: bool, overhead_s: float) -> None:
    faults = Faults(links={"a-0--b-0": ScheduledOutages([(50.0, 51.0)])}) if watched else None
    ends = [device(end.id, power=POWER, endpoint=Endpoint(overhead_s=overhead_s)) for end in ENDS]
    ran = run(world(ends, [UNEVEN], faults=faults, horizon_s=60.0), Serve(there_and_back))
    sent = ran.spans[ran.spans["kind"] == "send"]
    found = list(zip(sent["device"], sent["started_at_s"].round(9), sent["ended_at_s"].round(9), strict=True))
    up_s, down_s = overhead_s, 3 * overhead_s + 0.004
    assert found == [
        ("a-0", up_s, pytest.approx(up_s + 0.004)),
        ("b-0", pytest.approx(down_s), pytest.approx(down_s + 0.017)),
    ]
    # 3 W for the time that bits are on the way out, and none for the latency after them.
    assert sent["energy_j"].tolist() == pytest.approx([3 * 0.001, 3 * 0.010])
    assert ran.requests["ended_at_s"].item() == pytest.approx(4 * overhead_s + 0.021)


def test_recordings_differ_by_way_too() -> None:
    up, down = (RecordedRate.of_rates([0.0, 1.0, 100.0], rates) for rates in ([8e3, 8e4, 0], [8e4, 8e3, 0]))
    link = Link(between=("a-0", "b-0"), rate_bps=up, down=Way(rate_bps=down))
    ran = run(world(ENDS, [link]), Serve(there_and_back))
    # Up: 1,000 bytes at 8 kbit/s in a second. Down, from then on at 8 kbit/s: a second.
    assert ran.spans["ended_at_s"].tolist() == pytest.approx([1.0, 2.0])
    assert Fleet.of(world(ENDS, [link])).transfer_seconds("b-0", "a-0", 10) == pytest.approx(
        80 / down.mean_bps
    )


def test_planners_count_the_way_that_is_taken() -> None:
    fleet = Fleet.of(world(ENDS, [UNEVEN]))
    assert fleet.transfer_seconds("a-0", "b-0", 1000) == pytest.approx(0.004)
    assert fleet.transfer_seconds("b-0", "a-0", 1000) == pytest.approx(0.017)
    assert fleet.request_link_seconds("b-0", "a-0") == pytest.approx(
        10 * fleet.request_link_seconds("a-0", "b-0")
    )
    assert fleet.request_return_seconds("b-0", "a-0") == pytest.approx(4 * 8 / 8e5 + 7e-3)


@pytest.mark.parametrize("via", ["ring", "star"])
def test_sums_go_round_by_the_rates_of_their_ways(via: str) -> None:
    """A round ends with its slowest message; written out message by message for two devices."""
    ran = run(
        world(ENDS, [UNEVEN]),
        Serve(lambda request, cluster: _sum(request, cluster, via)),
    )
    up_s, down_s = ((lambda n, r=r, t=t: 8 * n / r + t) for r, t in ((8e6, 3e-3), (8e5, 7e-3)))
    ring_s, star_s = 2 * max(up_s(500), down_s(500)), down_s(1000) + up_s(1000)
    expected_s = ring_s if via == "ring" else star_s
    assert ran.requests["ended_at_s"].item() == pytest.approx(expected_s)
    assert len(all_reduce_rounds(["a-0", "b-0"], 1000, via)) == 2


def _sum(request: Any, cluster: Any, via: str) -> Any:
    answered(request, "a-0", "b-0")
    yield from cluster.all_reduce(request, ("a-0", "b-0"), 1000, via=via)
    cluster.fail(request, "summed")


@settings(max_examples=60, deadline=None)
@given(
    st.integers(2, 5),
    st.lists(st.tuples(*[st.integers(1, 50)] * 4), min_size=10, max_size=10),
    st.lists(st.booleans(), min_size=10, max_size=10),
)
def test_routes_are_the_cheapest_of_all_paths_in_their_direction(
    n_nodes: int, values: list[tuple[int, ...]], there: list[bool]
) -> None:
    ids = [f"n-{n}" for n in range(n_nodes)]
    links, cost_s = [], {}
    for (a, b), (rate, back, wait, wait_back), is_there in zip(
        itertools.combinations(ids, 2), values, there, strict=False
    ):
        if is_there or b == ids[ids.index(a) + 1]:
            down = Way(rate_bps=back * 1e6, latency_s=wait_back * 1e-3)
            links.append(Link(between=(a, b), rate_bps=rate * 1e6, latency_s=wait * 1e-3, down=down))
            cost_s[a, b], cost_s[b, a] = (
                8e3 / (rate * 1e6) + wait * 1e-3,
                8e3 / (back * 1e6) + wait_back * 1e-3,
            )
    network = Network({id_: device(id_) for id_ in ids}, links, 1000)
    graph = nx.Graph(list(cost_s))
    for source, target in itertools.permutations(ids, 2):
        least_s = min(
            sum(cost_s[hop] for hop in itertools.pairwise(path))
            for path in nx.all_simple_paths(graph, source, target)
        )
        assert network.seconds(source, target, 1000) == pytest.approx(least_s)


def test_a_trace_of_uneven_ways_keeps_its_laws(tmp_path: Path) -> None:
    """Three messages each way, one behind the other: the law must take each way's own latency off."""
    made: World = world(ENDS, [UNEVEN])
    facts = link_facts(made.links)
    assert facts["a-0--b-0"]["down"] == {"sender": "b-0", "rate_bps": 8e5, "latency_s": 7e-3}
    folder = TraceFolder(tmp_path / "trace")
    folder.write_run({"status": "complete", "strategies": ["three"], "links": facts})
    holdings = {d.id: (made.model.whole,) for d in made.devices.values()}
    simulate(made, Serve(_three_each_way), None, holdings, folder.parts("three", 0).write)
    trace = Trace(tmp_path / "trace")
    assert len(trace.spans("three", 0)) == 6
    assert trace.check() == []


def _three_each_way(request: Any, cluster: Any) -> Any:
    for ends in (("a-0", "b-0"), ("b-0", "a-0")):
        yield from cluster.together(*[cluster.send(request, *ends, 1000) for _ in range(3)])
    cluster.fail(request, "sent")
