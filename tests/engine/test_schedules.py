"""Devices and wires that change on a schedule: whole logs by hand, on every kind of station."""

from __future__ import annotations

from dataclasses import replace

import pytest
from miniature import ONE_TOKEN, Serve, device, run, world

from edgesim.engine.cluster import Cluster
from edgesim.engine.process.clock import Clock
from edgesim.errors import InputError
from edgesim.model.architecture import Slice
from edgesim.radio.motion.outages import ScheduledOutages
from edgesim.rng import key_of, keyed_uniform
from edgesim.steps import Steps
from edgesim.strategies.tensor_parallel import TensorParallel
from edgesim.testing import worlds
from edgesim.workload.arrivals import Deterministic
from edgesim.workload.lengths import Fixed
from edgesim.world.device import Endpoint
from edgesim.world.disciplines.continuous import ContinuousBatching
from edgesim.world.disciplines.fifo import FirstComeFirstServed
from edgesim.world.disciplines.processor_sharing import ProcessorSharing
from edgesim.world.disciplines.static import StaticBatching
from edgesim.world.faults import Faults
from edgesim.world.fleet import Fleet
from edgesim.world.link import Link, Way
from edgesim.world.service import Exponential

WHOLE = Slice(0, 4, embedding=True, head=True)
FRONT, BACK = Slice(0, 2, embedding=True), Slice(2, 4, head=True)
SLOWER = Steps((0.0, 5.0, 18.0), (1.0, 0.5, 2.0))
"""A pass of the whole model takes 4 s; from 5 s on 8 s, from 18 s on 2 s."""


def alone(request, cluster):
    for token in request.tokens():
        yield from cluster.compute(request, "a", WHOLE, token)
        yield from cluster.emit(request, "a", token)


def box(every_s=3.0, n_requests=4, **facts):
    return world(
        [device("a", **({"speed": SLOWER} | facts))],
        arrivals=Deterministic(1 / every_s),
        n_requests=n_requests,
    )


def passes(here, serve=alone, **facts):
    """Request, asked, started, ended, of all passes in the order of their beginning."""
    spans = run(here, Serve(serve), **facts).spans
    spans = spans[spans["kind"] == "compute"].sort_values(["started_at_s", "request_id"])
    columns = ["request_id", "asked_at_s", "started_at_s", "ended_at_s"]
    return [tuple(row) for row in spans[columns].round(9).itertuples(index=False)]


# Asked for at 0, 3, 6 and 9 s. The second begins at 4 s, before the change, the third at 8 s, the fourth at
# 16 s: none of them heeds what the device becomes while it is under way.
IN_TURN = [
    (0, 0.0, 0.0, 4.0),
    (1, 3.0, 4.0, 8.0),
    (2, 6.0, 8.0, 16.0),
    (3, 9.0, 16.0, 24.0),
]
NEVER = Faults(devices={"a": ScheduledOutages(((1e6, 1e6 + 1),))})


@pytest.mark.parametrize(
    "facts", [{}, {"serving": FirstComeFirstServed(queue_limit=9)}, {"faults": NEVER}], ids=str
)
def test_first_come_first_served_a_pass_keeps_the_speed_at_its_beginning(facts) -> None:
    faults = {key: facts[key] for key in facts if key == "faults"}
    here = replace(box(**{key: facts[key] for key in facts if key != "faults"}), **faults)
    assert passes(here) == IN_TURN


def test_a_change_holds_from_its_very_instant() -> None:
    at_once = Steps((0.0, 4.0), (1.0, 4.0))
    here = box(every_s=2.0, n_requests=2, speed=at_once)
    assert passes(here) == [(0, 0.0, 0.0, 4.0), (1, 2.0, 4.0, 5.0)]


def test_time_shared_passes_keep_the_speed_at_which_they_came() -> None:
    # Asked for at 0 s (4 s of work) and at 6 s (8 s of work, alone by then), at 12 s (8 s): from 12 s on two
    # share; the second has 2 s left, which takes 4 s; the third has then had 2 s and is alone.
    here = box(every_s=6.0, n_requests=3, serving=ProcessorSharing())
    assert passes(here) == [(0, 0.0, 0.0, 4.0), (1, 6.0, 6.0, 16.0), (2, 12.0, 12.0, 22.0)]


def test_the_next_part_of_a_kept_station_has_the_speed_of_its_own_beginning() -> None:
    def split(request, cluster):
        for token in request.tokens():
            yield from cluster.compute(request, "a", FRONT, token, keep=(BACK, token))
            yield from cluster.compute(request, "a", BACK, token)
            yield from cluster.emit(request, "a", token)

    log = passes(box(n_requests=2), split, holdings={"a": (FRONT, BACK)})
    assert [row[1:] for row in log] == [(0.0, 0.0, 2.0), (2.0, 2.0, 4.0), (3.0, 4.0, 6.0), (6.0, 6.0, 10.0)]


def test_a_drawn_time_is_divided_by_the_speed() -> None:
    # Exponential of mean 4 s, the same draw at any speed.
    law = Exponential()
    log = passes(box(n_requests=1, service=law, speed=Steps((0.0,), (0.5,))))
    draw = law.factor(keyed_uniform(key_of(1, 0, "service", "a", 0, 0, 0, str(WHOLE), 0), 0))
    assert log[0][3] == pytest.approx(2 * 4.0 * draw, abs=1e-9)


def test_a_speed_of_one_changes_nothing() -> None:
    assert passes(box(speed=Steps((0.0,), (1.0,)))) == passes(box(speed=None))


def test_messages_on_the_processor_cost_the_same_at_any_speed() -> None:
    def there(request, cluster):
        yield from cluster.send(request, "a", "b", request.prompt_bytes)
        for token in request.tokens():
            yield from cluster.compute(request, "b", WHOLE, token)
            yield from cluster.emit(request, "b", token)

    slow = device("b", speed=Steps((0.0,), (0.5,)), endpoint=Endpoint(overhead_s=1.0, on_compute=True))
    here = world([device("a"), slow], [Link(between=("a", "b"), rate_bps=8e6)])
    spans = run(here, Serve(there)).spans
    own = spans[(spans["device"] == "b") & spans["kind"].isin(["endpoint", "compute"])]
    took_s = zip(own["kind"], (own["ended_at_s"] - own["started_at_s"]).round(9), strict=True)
    assert list(took_s) == [("endpoint", 1.0), ("compute", 8.0), ("endpoint", 1.0)]


def test_what_is_seen_of_a_device_and_planned_with() -> None:
    seen = []

    def control(cluster):
        for until_s in (0.0, 4.999, 5.0, 20.0):
            yield from cluster.sleep(until_s - cluster.now_s)
            seen.append(cluster.observe().device("a").speed)

    run(replace(box(), horizon_s=30.0), Serve(alone, control))
    assert seen == [1.0, 1.0, 0.5, 2.0]
    slow = Fleet.of(box(speed=Steps((0.0, 1.0), (0.25, 1.0))))
    assert slow.seconds("a", WHOLE, n_new=1, n_context=0) == 16.0
    assert Fleet.of(box()).seconds("a", WHOLE, n_new=1, n_context=0) == 4.0


def test_batches_and_groups_are_refused_before_time_zero() -> None:
    for serving in (ContinuousBatching(max_batch=2), StaticBatching(max_batch=2)):
        with pytest.raises(InputError, match=r"device 'a': a 'speed' holds .* or serve with 'fifo'"):
            device("a", serving=serving, speed=SLOWER)
    with pytest.raises(InputError, match="expected factors above 0"):
        device("a", speed=Steps((0.0,), (0.0,)))
    pair = worlds()["two devices"]
    pair = replace(pair, devices={id_: replace(one, speed=SLOWER) for id_, one in pair.devices.items()})
    placement = TensorParallel().place(pair.model, Fleet.of(pair))
    cluster = Cluster(pair, Clock(), placement.holdings, shards=placement.shards)
    ((group, summing),) = placement.groups.items()
    with pytest.raises(InputError, match=r"is a member of a group and .* a speed that changes, or .* leave"):
        cluster.check_group(group, summing, max_new=8, max_context=16)


def test_a_transmission_keeps_the_rate_at_its_beginning() -> None:
    """1,000 bytes take 1 ms at 8 Mbit/s, 4 ms at 2 Mbit/s, 0.5 ms at 16 Mbit/s."""

    def over(request, cluster):
        yield from cluster.send(request, "a", "b", 1000.0)
        yield from cluster.send(request, "b", "a", 1000.0)
        for token in request.tokens():
            yield from cluster.compute(request, "a", WHOLE, token)
            yield from cluster.emit(request, "a", token)

    rates_bps = Steps((0.0, 1.5e-3, 6e-3), (8e6, 2e6, 16e6))
    link = Link(
        between=("a", "b"), rate_bps=rates_bps, latency_s=1e-4, down=Way(rate_bps=8e6, latency_s=1e-4)
    )
    here = world(
        [device("a"), device("b")],
        [link],
        arrivals=Deterministic(1e3),
        prompt=Fixed(1),
        output=ONE_TOKEN,
        n_requests=4,
    )
    log = run(here, Serve(over)).log("request_id", "device", "asked_at_s", "started_at_s", "ended_at_s")
    up = [row for row in log if row[1] == "a" and row[4] < 1]
    # The second begins at 1 ms, the third waits until 2 ms and meets 2 Mbit/s, the fourth until 6 ms: 16.
    assert up == [
        (0, "a", 0.0, 0.0, 1.1e-3),
        (1, "a", 1e-3, 1e-3, 2.1e-3),
        (2, "a", 2e-3, 2e-3, 6.1e-3),
        (3, "a", 3e-3, 6e-3, 6.6e-3),
    ]
    back = [row for row in log if row[1] == "b"]
    assert [round(row[4] - row[3], 9) for row in back] == [1.1e-3] * 4
