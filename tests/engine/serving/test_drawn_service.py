"""Service that is drawn: which draw a visit meets, on every kind of station; what does not go with it."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from miniature import N_BLOCKS, Serve, device, run, world

from edgesim.engine.cluster import Cluster
from edgesim.engine.process.clock import Clock
from edgesim.errors import InputError
from edgesim.model.architecture import Slice
from edgesim.radio.motion.outages import ScheduledOutages
from edgesim.rng import key_of, keyed_uniform
from edgesim.strategies.tensor_parallel import TensorParallel
from edgesim.strategy import DeviceDown, Token
from edgesim.testing import worlds
from edgesim.workload.arrivals import Deterministic
from edgesim.workload.lengths import Fixed
from edgesim.world.device import Endpoint
from edgesim.world.disciplines.continuous import ContinuousBatching
from edgesim.world.disciplines.fifo import FirstComeFirstServed
from edgesim.world.disciplines.processor_sharing import ProcessorSharing
from edgesim.world.disciplines.static import StaticBatching
from edgesim.world.faults import Faults, Retry
from edgesim.world.fleet import Fleet
from edgesim.world.link import Link
from edgesim.world.service import ErlangService, Exponential, GammaService, Lognormal

WHOLE = Slice(0, N_BLOCKS, embedding=True, head=True)
FRONT, BACK = Slice(0, 2, embedding=True), Slice(2, N_BLOCKS, head=True)
FREE = Link(between=("a", "b"), rate_bps=math.inf)
LAW = Exponential()
MEAN_S = 4.0  # of a pass of the whole model: four blocks of a second each


def there(**facts):
    """Two devices; times on the second are drawn."""
    facts = {"service": LAW} | facts
    return world(
        [device("a"), device("b", **facts)],
        [FREE],
        arrivals=Deterministic(0.05),
        output=Fixed(2),
        n_requests=6,
        horizon_s=None,
    )


def draw(id_: int, token: int, part: Slice, visit: int = 0, attempt: int = 0, replication: int = 0) -> float:
    """What the documentation says that a factor follows from."""
    key = key_of(1, replication, "service", "b", id_, attempt, token, str(part), visit)
    return LAW.factor(keyed_uniform(key, 0))


def remote(request, cluster):
    yield from cluster.send(request, "a", "b", request.prompt_bytes)
    for token in request.tokens():
        yield from cluster.compute(request, "b", WHOLE, token)
        yield from cluster.emit(request, "b", token)


def split(request, cluster):
    """The same on the second device, in two parts and with its station kept."""
    yield from cluster.send(request, "a", "b", request.prompt_bytes)
    for token in request.tokens():
        yield from cluster.compute(request, "b", FRONT, token, keep=(BACK, token))
        yield from cluster.compute(request, "b", BACK, token)
        yield from cluster.emit(request, "b", token)


def durations_s(ran, device_id="b"):
    spans = ran.spans[(ran.spans["kind"] == "compute") & (ran.spans["device"] == device_id)]
    took_s = spans["ended_at_s"] - spans["started_at_s"]
    return dict(zip(zip(spans["request_id"], spans["token"], spans["via"], strict=True), took_s, strict=True))


def test_a_pass_takes_its_time_by_the_draw_of_its_visit() -> None:
    took_s = durations_s(run(there(), Serve(remote)))
    expected_s = {
        (id_, token, str(WHOLE)): MEAN_S * draw(id_, token, WHOLE) for id_ in range(6) for token in range(2)
    }
    assert took_s == pytest.approx(expected_s, rel=1e-12)


def test_parts_draw_each_for_itself_also_where_the_station_is_kept() -> None:
    ran = run(there(), Serve(split), holdings={"a": (WHOLE,), "b": (FRONT, BACK)})
    expected_s = {
        (id_, token, str(part)): part.n_blocks * draw(id_, token, part)
        for id_ in range(6)
        for token in range(2)
        for part in (FRONT, BACK)
    }
    assert durations_s(ran) == pytest.approx(expected_s, rel=1e-12)
    spans = ran.spans[ran.spans["kind"] == "compute"].sort_values(["request_id", "token", "started_at_s"])
    fronts, backs = spans.iloc[::2], spans.iloc[1::2]
    np.testing.assert_array_equal(backs["started_at_s"].to_numpy(), fronts["ended_at_s"].to_numpy())


def test_replications_draw_differently() -> None:
    took_s = durations_s(run(replace(there(), replication=3), Serve(remote)))
    assert took_s[0, 0, str(WHOLE)] == pytest.approx(MEAN_S * draw(0, 0, WHOLE, replication=3))


def test_two_strategies_meet_the_same_draws_where_they_send_the_same_pass() -> None:
    def some(request, cluster):
        """Half of the requests stay at home, and all is late."""
        yield from cluster.sleep(1.5)
        at = "b" if request.id % 2 else "a"
        if at == "b":
            yield from cluster.send(request, "a", "b", request.prompt_bytes)
        for token in request.tokens():
            yield from cluster.compute(request, at, WHOLE, token)
            yield from cluster.emit(request, at, token)

    all_s, some_s = durations_s(run(there(), Serve(remote))), durations_s(run(there(), Serve(some)))
    assert {visit[0] for visit in some_s} == {1, 3, 5}
    assert some_s == pytest.approx({visit: all_s[visit] for visit in some_s}, rel=1e-12)


FIFO = [
    {"serving": FirstComeFirstServed(queue_limit=100)},
    {"endpoint": Endpoint(on_compute=True)},
]


@pytest.mark.parametrize("facts", FIFO)
def test_limits_and_messages_on_the_processor_change_nothing_where_they_bind_nobody(facts) -> None:
    ran, plain = run(there(**facts), Serve(remote)), run(there(), Serve(remote))
    assert ran.log() == plain.log()


def test_a_device_that_may_fail_and_does_not_is_as_one_that_cannot() -> None:
    fallible = replace(there(), faults=Faults(devices={"b": ScheduledOutages(((1e6, 2e6),))}))
    assert run(fallible, Serve(remote)).log() == run(there(), Serve(remote)).log()


def test_an_attempt_after_a_failure_draws_anew() -> None:
    fails_at_s = 0.5 * MEAN_S * draw(0, 0, WHOLE)
    failing = replace(
        there(),
        faults=Faults(devices={"b": ScheduledOutages(((fails_at_s, fails_at_s + 0.5),))}),
        retry=Retry(limit=3, backoff_s=1.0),
    )
    ran = run(failing, Serve(remote))
    assert set(ran.requests["outcome"]) == {"completed"}
    spans = ran.spans[(ran.spans["kind"] == "compute") & (ran.spans["request_id"] == 0)]
    took_s = (spans["ended_at_s"] - spans["started_at_s"]).tolist()
    lost, again, last = took_s
    assert lost == pytest.approx(fails_at_s)
    assert again == pytest.approx(MEAN_S * draw(0, 0, WHOLE, attempt=1))
    assert last == pytest.approx(MEAN_S * draw(0, 1, WHOLE, attempt=1))


def test_a_pass_computed_anew_by_the_strategy_itself_draws_anew() -> None:
    def patient(request, cluster):
        yield from cluster.send(request, "a", "b", request.prompt_bytes)
        for token in request.tokens():
            while True:
                try:
                    yield from cluster.compute(request, "b", WHOLE, token)
                    break
                except DeviceDown:
                    yield from cluster.sleep(1.0)
                    yield from cluster.send(
                        request, "a", "b", request.prompt_bytes + 100 * request.token_bytes
                    )
                    token = Token(token.index, token.n_context + token.n_new, 0, 0, token.is_last)
            yield from cluster.emit(request, "b", token)

    fails_at_s = 0.5 * MEAN_S * draw(0, 0, WHOLE)
    failing = replace(
        there(), faults=Faults(devices={"b": ScheduledOutages(((fails_at_s, fails_at_s + 0.5),))})
    )
    failing = replace(failing, workload=replace(failing.workload, n_requests=1))
    spans = run(failing, Serve(patient)).spans
    spans = spans[spans["kind"] == "compute"]
    took_s = (spans["ended_at_s"] - spans["started_at_s"]).tolist()
    assert took_s[1] == pytest.approx(MEAN_S * draw(0, 0, WHOLE, visit=1))


def test_shared_time_is_shared_among_what_was_drawn() -> None:
    """Two passes from time zero: the shorter ends after twice its time, the longer after the sum of both."""
    sharing = there(serving=ProcessorSharing())
    sharing = replace(
        sharing,
        workload=replace(
            sharing.workload, n_requests=2, arrivals=Deterministic(1e12), output_tokens=Fixed(1)
        ),
    )
    told = run(sharing, Serve(remote)).requests.sort_values("request_id")
    one, other = (MEAN_S * draw(id_, 0, WHOLE) for id_ in (0, 1))
    first_s, last_s = sorted(told["ended_at_s"])
    assert first_s == pytest.approx(2 * min(one, other))
    assert last_s == pytest.approx(one + other)


@pytest.mark.parametrize("serving", [StaticBatching(), ContinuousBatching()])
def test_batches_are_refused(serving) -> None:
    with pytest.raises(InputError, match=r"device 'b': service times are drawn pass by pass \(erlang, 2 sta"):
        device("b", serving=serving, service=ErlangService(2.0))


def test_groups_are_refused_before_time_zero() -> None:
    grouped = worlds()["two devices"]
    drawn = {id_: replace(one, service=Lognormal(0.5)) for id_, one in grouped.devices.items()}
    grouped = replace(grouped, devices=drawn)
    placement = TensorParallel().place(grouped.model, Fleet.of(grouped))
    cluster = Cluster(grouped, Clock(), placement.holdings, shards=placement.shards)
    ((group, summing),) = placement.groups.items()
    with pytest.raises(InputError, match="or service times that are drawn"):
        cluster.check_group(group, summing, max_new=8, max_context=16)


def test_planners_see_the_mean_and_the_variation() -> None:
    constant, drawn = Fleet.of(there(service=None)), Fleet.of(there(service=GammaService.from_cv(0.5)))
    for fleet in (constant, drawn):
        assert fleet.seconds("b", WHOLE, n_new=1, n_context=0) == MEAN_S
    assert constant.service_scv("b") == 0.0
    assert drawn.service_scv("b") == pytest.approx(0.25)
    assert drawn.service_scv("a") == 0.0


def test_what_is_not_drawn_keeps_its_closed_form() -> None:
    """No station with events, and a pass that is booked at once."""
    ran = run(there(), Serve(remote))
    assert ran.cluster.hosts["a"].shared is None
    assert ran.cluster.hosts["b"].shared is not None
    assert run(there(service=None), Serve(remote)).cluster.hosts["b"].shared is None


def test_nothing_is_kept_of_requests_that_have_ended() -> None:
    ran = run(there(), Serve(remote))
    assert not ran.cluster.hosts["b"].draws._visits
