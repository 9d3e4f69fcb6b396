"""Devices and links that fail: every instant by hand in worlds of round numbers; conservation at random."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kept import kept
from miniature import N_BLOCKS, PerBlock, Serve, Steady, device, model, run, world

from edgesim.engine import arrivals
from edgesim.errors import ContractError, InputError
from edgesim.model.architecture import Slice
from edgesim.radio.motion.outages import AnyOutages, RandomOutages, ScheduledOutages
from edgesim.rng import key_of
from edgesim.strategies.local import Local
from edgesim.strategies.offload import Offload
from edgesim.strategies.pipeline import Pipeline
from edgesim.strategy import DeviceDown, MessageLost, Token
from edgesim.workload.arrivals import Bursts, Deterministic, Poisson
from edgesim.workload.lengths import Fixed, Uniform
from edgesim.world.device import Endpoint, Power
from edgesim.world.disciplines.continuous import ContinuousBatching
from edgesim.world.disciplines.fifo import FirstComeFirstServed
from edgesim.world.disciplines.processor_sharing import ProcessorSharing
from edgesim.world.disciplines.static import StaticBatching
from edgesim.world.faults import Faults, Retry
from edgesim.world.fleet import Fleet
from edgesim.world.link import Link
from edgesim.world.medium import Medium, RadioChannel

WHOLE = Slice(0, N_BLOCKS, embedding=True, head=True)
WIRE = Link(between=("a-0", "b-0"), rate_bps=8e6, latency_s=0.5)
FREE = Link(between=("a-0", "b-0"), rate_bps=math.inf)
VIA = "a-0--b-0"
AT_ONCE = Bursts(n_requests=2, period_s=1e6)
DISCIPLINES = [ProcessorSharing(), StaticBatching(max_batch=2), ContinuousBatching(max_batch=2)]


def down(*windows, **links):
    """Device b-0 is down in these windows."""
    return Faults(devices={"b-0": ScheduledOutages(windows)}, **links)


def cut(*windows):
    """The wire is down in these windows."""
    return Faults(links={VIA: ScheduledOutages(windows)})


def pair(**facts):
    return [device("a-0"), device("b-0", **facts)]


def remote(request, cluster):
    """Prompt to b-0 (1 ms, and 0.5 s of latency), 4 s a token there, tokens home."""
    yield from cluster.send(request, "a-0", "b-0", 1000)
    for token in request.tokens():
        yield from cluster.compute(request, "b-0", WHOLE, token)
        yield from cluster.emit(request, "b-0", token)


def ends(ran):
    columns = ["outcome", "reason", "ended_at_s", "n_emitted_tokens"]
    told = ran.requests.sort_values("request_id")[columns].astype(object)
    return [tuple(row) for row in told.where(told.notna(), None).itertuples(index=False)]


def computed(ran):
    return [
        row[1:] for row in ran.log("kind", "request_id", "started_at_s", "ended_at_s") if row[0] == "compute"
    ]


# --- a device that dies mid-request --------------------------------------------------------------


def test_work_on_a_device_that_dies_is_lost_and_the_books_end_there() -> None:
    power = Power(idle_w=2.0, active_w=10.0)
    there = world(pair(power=power), [WIRE], faults=down((2.5, 7.0)), horizon_s=10.0)
    ran = run(there, Serve(remote))
    assert ends(ran) == [("failed", "device down: b-0", 2.5, 0)]
    assert computed(ran) == [(0, 0.501, 2.5)]
    told = ran.devices.set_index("device").loc["b-0"]
    assert told["busy_s"] == pytest.approx(1.999)
    assert told["energy_compute_j"] == pytest.approx(19.99)
    assert told["energy_idle_j"] == pytest.approx(2.0 * (10.0 - 4.5))  # it draws nothing while it is down
    assert told["n_failures"] == 1
    assert ran.devices["n_failures"].tolist() == [0, 1]


def test_a_retried_request_keeps_its_arrival_and_ends_with_all_its_tokens() -> None:
    retry = Retry(limit=2, backoff_s=2.0, growth=2.0)
    there = world(pair(), [WIRE], output=Fixed(2), faults=down((6.0, 9.0)), retry=retry)
    ran = run(there, Serve(remote))
    # Token 0 is home at 5.001 s. Token 1 is lost at 6 s; at 8 s b-0 is still down; at 12 s all begins anew.
    emits = [row[1:] for row in ran.log("kind", "token", "ended_at_s") if row[0] == "emit"]
    assert emits == [(0, pytest.approx(5.001004)), (1, pytest.approx(12.0 + 0.501 + 8.0 + 0.500004))]
    (request,) = ran.requests.itertuples()
    assert (request.outcome, request.n_emitted_tokens, request.arrived_at_s) == ("completed", 2, 0.0)
    assert request.first_token_at_s == pytest.approx(5.001004)
    assert computed(ran) == [(0, 0.501, 4.501), (0, 4.501, 6.0), (0, 12.501, 16.501), (0, 16.501, 20.501)]


def test_retries_have_a_limit() -> None:
    there = world(pair(), [WIRE], faults=down((1.0, math.inf)), retry=Retry(limit=3, backoff_s=1.0))
    assert ends(run(there, Serve(remote))) == [("failed", "device down: b-0", 4.0, 0)]


def test_a_strategy_may_catch_it_and_go_elsewhere() -> None:
    seen = []

    def fall_back(request, cluster):
        try:
            yield from remote(request, cluster)
        except DeviceDown as error:
            seen.append((error.device, cluster.now_s, cluster.observe().is_up("b-0")))
            for token in request.tokens():
                yield from cluster.compute(request, "a-0", WHOLE, token)
                yield from cluster.emit(request, "a-0", token)

    ran = run(world(pair(), [WIRE], output=Fixed(2), faults=down((6.0, 9.0))), Serve(fall_back))
    assert seen == [("b-0", 6.0, False)]
    assert ends(ran) == [("completed", None, 14.0, 2)]
    assert ran.requests["first_token_at_s"].tolist() == [pytest.approx(5.001004)]


def test_the_queue_of_a_device_that_dies_is_lost_too() -> None:
    there = world(pair(), [WIRE], arrivals=AT_ONCE, n_requests=2, faults=down((2.5, 7.0)))
    ran = run(there, Serve(remote))
    assert ends(ran) == [("failed", "device down: b-0", 2.5, 0)] * 2
    assert computed(ran) == [(0, 0.501, 2.5)]  # the other had not begun
    assert ran.devices["busy_s"].tolist() == [0.0, pytest.approx(1.999)]


@pytest.mark.parametrize("serving", [None, *DISCIPLINES], ids=lambda serving: type(serving).__name__)
def test_what_ends_at_the_very_instant_is_done(serving) -> None:
    def at_b(request, cluster):
        (token,) = request.tokens()
        yield from cluster.send(request, "a-0", "b-0", request.prompt_bytes)
        yield from cluster.compute(request, "b-0", WHOLE, token)
        cluster.fail(request, "done")

    devices = pair(serving=serving)
    assert ends(run(world(devices, [FREE], faults=down((4.0, 5.0))), Serve(at_b)))[0][1] == "done"
    just_before_s = float(np.nextafter(4.0, 0.0))
    told = ends(run(world(devices, [FREE], faults=down((just_before_s, 5.0))), Serve(at_b)))
    assert told == [("failed", "device down: b-0", just_before_s, 0)]


def test_a_cache_on_a_device_that_was_down_is_lost_even_if_nothing_was_at_work_there() -> None:
    def pause(request, cluster):
        first, second = request.tokens()
        yield from cluster.send(request, "a-0", "b-0", request.prompt_bytes)
        yield from cluster.compute(request, "b-0", WHOLE, first)
        yield from cluster.sleep(5.0)
        yield from cluster.compute(request, "b-0", WHOLE, second)

    ran = run(world(pair(), [FREE], output=Fixed(2), faults=down((5.0, 6.0))), Serve(pause))
    assert ends(ran) == [("failed", "device down: b-0 (its cache is lost)", 9.0, 0)]
    assert ran.cluster.memories["b-0"].used_bytes == ran.cluster.memories["b-0"].resident_bytes


def test_a_cache_may_be_made_anew() -> None:
    def again(request, cluster):
        first, second = request.tokens()
        yield from cluster.send(request, "a-0", "b-0", request.prompt_bytes)
        yield from cluster.compute(request, "b-0", WHOLE, first)
        yield from cluster.emit(request, "b-0", first)
        yield from cluster.sleep(5.0)
        try:
            yield from cluster.compute(request, "b-0", WHOLE, second)
        except DeviceDown:
            whole = Token(1, 2, 0, second.activation_bytes, True)
            yield from cluster.send(request, "a-0", "b-0", request.prompt_bytes + request.token_bytes)
            yield from cluster.compute(request, "b-0", WHOLE, whole)
        yield from cluster.emit(request, "b-0", second)

    ran = run(world(pair(), [FREE], output=Fixed(2), faults=down((5.0, 6.0))), Serve(again))
    assert ends(ran)[0][:2] == ("completed", None)
    assert computed(ran) == [(0, 0.0, 4.0), (0, 9.0, 17.0)]


def test_who_waits_for_memory_of_a_device_that_dies_hears_of_it() -> None:
    room = model().weight_bytes(WHOLE) + model().kv_bytes_per_token(N_BLOCKS) * 2
    there = world(pair(memory_bytes=room), [WIRE], arrivals=AT_ONCE, n_requests=2, faults=down((2.5, 7.0)))
    ran = run(there, Serve(remote))
    assert ends(ran) == [("failed", "device down: b-0", 2.5, 0)] * 2
    retried = run(replace(there, retry=Retry(limit=1, backoff_s=10.0)), Serve(remote))
    assert [row[0] for row in ends(retried)] == ["completed"] * 2
    assert computed(retried) == [
        (0, 0.501, 2.5),
        (0, 13.001, 17.001),
        (1, 17.501004, 21.501004),  # there is room when the other's token is home
    ]


def test_a_kept_station_is_lost_as_a_whole() -> None:
    def keeping(request, cluster):
        (token,) = request.tokens()
        lower, upper = Slice(0, 2, embedding=True), Slice(2, 4, head=True)
        yield from cluster.compute(request, "b-0", lower, token, keep=(upper, token))
        yield from cluster.compute(request, "b-0", upper, token)
        yield from cluster.emit(request, "b-0", token)

    facts = {"arrivals": AT_ONCE, "n_requests": 2, "sources": ("b-0",)}
    never = run(world(pair(), faults=down((1e6, 2e6)), **facts), Serve(keeping))
    plain = run(world(pair(), **facts), Serve(keeping))
    assert sorted(never.log()) == sorted(plain.log())
    ran = run(world(pair(), faults=down((3.0, 5.0)), **facts), Serve(keeping))
    assert computed(ran) == [(0, 0.0, 2.0), (0, 2.0, 3.0)]


# --- messages -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("faults", "reason", "at_s", "airtime_s"),
    [
        (down((0.25, 1.0)), "device down: b-0", 0.25, 0.25),  # the receiver, while bits are sent
        (
            down((1.2, 2.0)),
            "device down: b-0",
            1.2,
            1.0,
        ),  # the receiver, while the last bits are on their way
        (down((0.0, 1.0)), "device down: b-0", 0.0, 0.0),  # the receiver, beforehand
        (cut((0.25, 1.0)), f"message lost: {VIA} (link down)", 0.25, 0.25),
        (cut((0.0, 1.0)), f"message lost: {VIA} (link down)", 0.0, 0.0),
    ],
)
def test_messages_are_lost(faults, reason: str, at_s: float, airtime_s: float) -> None:
    def a_second(request, cluster):
        yield from cluster.send(request, "a-0", "b-0", 1e6)

    devices = [device("a-0", power=Power(tx_w=3.0)), device("b-0", power=Power(rx_w=2.0))]
    ran = run(world(devices, [WIRE], faults=faults), Serve(a_second))
    assert ends(ran) == [("failed", reason, at_s, 0)]
    assert ran.devices["energy_tx_j"].sum() == pytest.approx(3.0 * airtime_s)
    assert ran.devices["energy_rx_j"].sum() == pytest.approx(2.0 * airtime_s)
    assert ran.spans["energy_j"].sum() == pytest.approx(5.0 * airtime_s)


@pytest.mark.parametrize("at_s", [1.0, 1.2])
def test_what_has_left_survives_the_link_and_its_sender(at_s: float) -> None:
    def a_second(request, cluster):
        yield from cluster.send(request, "a-0", "b-0", 1e6)
        (token,) = request.tokens()
        yield from cluster.compute(request, "b-0", WHOLE, token)
        cluster.fail(request, f"arrived by {cluster.now_s}")

    faults = cut((at_s, 1.4))
    assert ends(run(world(pair(), [WIRE], faults=faults), Serve(a_second)))[0][1] == "arrived by 5.5"
    faults = Faults(devices={"a-0": ScheduledOutages([(at_s, 9.0)])})
    there = world(pair(), [WIRE], faults=faults, sources=("b-0",))
    assert ends(run(there, Serve(a_second)))[0][1] == "arrived by 5.5"


def test_the_ends_of_messages_are_lost_too() -> None:
    slow = Endpoint(overhead_s=1.0)
    there = world([device("a-0"), device("b-0", endpoint=slow)], [WIRE], faults=down((1.0, 2.0)))
    ran = run(there, Serve(remote))
    assert ends(ran) == [("failed", "device down: b-0", 1.0, 0)]
    assert ran.log("kind", "started_at_s", "ended_at_s") == [("send", 0.0, 0.501), ("endpoint", 0.501, 1.0)]


def test_a_message_through_a_dead_device_is_lost() -> None:
    devices = [device("a-0"), device("s-0", timing=None, memory_bytes=0), device("b-0")]
    hops = [Link(between=("a-0", "s-0"), rate_bps=8e6), Link(between=("s-0", "b-0"), rate_bps=8e6)]
    there = world(devices, hops, faults=Faults(devices={"s-0": ScheduledOutages([(0.0005, 1.0)])}))
    assert ends(run(there, Serve(remote))) == [("failed", "device down: s-0", 0.0005, 0)]


def test_a_token_lost_on_its_way_ends_the_attempt_at_once() -> None:
    # Token 0 leaves at 4.501 s and is lost at 4.6 s with its receiver, while token 1 is computed.
    faults = Faults(links={VIA: ScheduledOutages([(4.501, 4.6)])})
    there = world(pair(), [WIRE], output=Fixed(3), faults=faults)
    assert ends(run(there, Serve(remote))) == [("failed", f"message lost: {VIA} (link down)", 4.501, 0)]
    there = replace(there, links=(replace(WIRE, rate_bps=80.0, latency_s=0.0),))  # a token takes 0.4 s
    there = replace(there, faults=cut((104.1, 105.0)), retry=Retry(limit=1, backoff_s=1.0))
    ran = run(there, Serve(remote))
    assert [row[:1] for row in ran.log("kind") if row == ("emit",)] == [("emit",)] * 3
    assert ends(ran)[0][0] == "completed"
    assert ran.requests["first_token_at_s"][0] == pytest.approx(105.1 + 100.0 + 4.0 + 0.4)


@pytest.mark.parametrize("token", [0, 1, 2])
def test_an_attempt_may_go_on_another_way_after_a_token_was_lost(token: int) -> None:
    """What it sends then is waited for, and not what never came home."""

    def by_one_or_the_other(request, cluster):
        for here in ("b-0", "c-0"):
            try:
                yield from cluster.send(request, "a-0", here, request.prompt_bytes)
                for token in request.tokens():
                    yield from cluster.compute(request, here, WHOLE, token)
                    yield from cluster.emit(request, here, token)
            except MessageLost:
                continue
            return

    slow = replace(WIRE, rate_bps=80.0, latency_s=0.0)  # a token takes 0.4 s, as does the prompt
    lost_s = 4.5 + 4.0 * token
    there = world(
        [device(name) for name in ("a-0", "b-0", "c-0")],
        [slow, replace(slow, between=("a-0", "c-0"))],
        output=Fixed(3),
        faults=cut((lost_s, lost_s + 0.1)),
    )
    ran = run(there, Serve(by_one_or_the_other))
    assert ends(ran) == [("completed", None, pytest.approx(lost_s + 0.4 + 3 * 4.0 + 0.4), 3)]


# --- sources --------------------------------------------------------------------------------------


def test_requests_at_a_dead_source_fail_with_the_reason() -> None:
    there = world(
        pair(), [WIRE], sources=("b-0",), faults=down((0.0, 5.0)), n_requests=2, arrivals=Deterministic(0.1)
    )
    ran = run(there, Serve(lambda request, cluster: (yield from local(request, cluster))))
    assert ends(ran) == [("failed", "device down: b-0", 0.0, 0), ("completed", None, 14.0, 1)]
    assert ran.devices["n_failures"].tolist() == [0, 0]  # it was down from the beginning


def local(request, cluster):
    for token in request.tokens():
        yield from cluster.compute(request, request.source, WHOLE, token)
        yield from cluster.emit(request, request.source, token)


def test_a_request_whose_source_dies_ends_at_once_wherever_it_is_served() -> None:
    def at_a(request, cluster):
        yield from cluster.send(request, "b-0", "a-0", request.prompt_bytes)
        for token in request.tokens():
            yield from cluster.compute(request, "a-0", WHOLE, token)
            yield from cluster.emit(request, "a-0", token)

    there = world(pair(), [FREE], sources=("b-0",), output=Fixed(3), faults=down((5.0, 6.0)))
    ran = run(replace(there, horizon_s=9.0), Serve(at_a))
    assert ends(ran) == [("failed", "device down: b-0", 5.0, 1)]
    assert computed(ran) == [(0, 0.0, 4.0), (0, 4.0, 8.0)]  # what a-0 had booked runs on


def test_a_kept_pass_of_a_request_whose_source_has_died_is_worked_off_and_lawful(tmp_path) -> None:
    class TwoInOneGo(Offload):
        def serve(self, request, cluster, placement):
            yield from cluster.send(request, request.source, "b-0", request.prompt_bytes)
            first, second = request.tokens()
            yield from cluster.compute(request, "b-0", WHOLE, first, keep=(WHOLE, second))
            yield from cluster.emit(request, "b-0", first)
            yield from cluster.compute(request, "b-0", WHOLE, second)
            yield from cluster.emit(request, "b-0", second)

    outages = {"a-0": ScheduledOutages([(5.0, 6.0)]), "b-0": ScheduledOutages([(99.0, 100.0)])}
    there = world(
        pair(), [FREE], output=Fixed(2), faults=Faults(devices=outages), arrivals=AT_ONCE, horizon_s=30.0,
        n_requests=2,
    )  # fmt: skip
    trace = kept(there, TwoInOneGo(to="b-0"), tmp_path / "trace")
    spans = trace.spans("one", 0)
    assert spans.loc[spans["kind"] == "compute", "asked_at_s"].tolist() == [0.0, 4.0, 0.0, 12.0]
    assert trace.requests("one", 0)["ended_at_s"].tolist() == [5.0, 5.0]
    assert trace.check() == []


# --- devices that serve several at once -----------------------------------------------------------


@pytest.mark.parametrize("serving", DISCIPLINES, ids=lambda serving: type(serving).__name__)
def test_shared_stations_lose_all_they_hold(serving) -> None:
    devices = [device("a-0"), device("b-0", serving=serving, power=Power(active_w=1.0))]
    facts = {"arrivals": AT_ONCE, "n_requests": 2, "sources": ("a-0",), "output": Fixed(2)}
    there = world(devices, [WIRE], faults=down((6.0, 8.0)), retry=Retry(limit=1, backoff_s=4.0), **facts)
    ran = run(there, Serve(remote))
    assert [row[0] for row in ends(ran)] == ["completed"] * 2
    assert ran.requests["n_emitted_tokens"].tolist() == [2, 2]
    work = ran.spans[ran.spans["kind"] == "compute"]
    assert not ((work["started_at_s"] < 6.0) & (work["ended_at_s"] > 6.0)).any()
    assert not ((work["started_at_s"] < 8.0) & (work["ended_at_s"] > 6.0)).any()
    assert work["energy_j"].sum() == pytest.approx(ran.devices["energy_compute_j"].sum())
    failed = run(replace(there, retry=None), Serve(remote))
    assert [row[:3] for row in ends(failed)] == [("failed", "device down: b-0", 6.0)] * 2
    assert failed.devices["busy_s"][1] == pytest.approx(6.0 - 0.501)


def test_a_controller_must_catch_what_is_lost() -> None:
    def control(cluster):
        while True:
            yield from cluster.send(None, "a-0", "b-0", 1e6)

    there = world(pair(), [WIRE], faults=down((2.5, 7.0)), horizon_s=10.0)
    with pytest.raises(ContractError, match="control: device down: b-0; catch DeviceDown"):
        run(there, Serve(remote, control))


# --- conservation at random -----------------------------------------------------------------------

STRATEGIES = (
    Local(),
    Offload(to=("d-1", "d-2")),
    Pipeline(partition="even"),
    Pipeline(partition="latency", over=("d-1", "d-2")),
)


@st.composite
def fragile(draw: st.DrawFn):
    """Three devices, fully linked, all of which fail at random, and their links too."""
    # Beside a stage with static batches no other may have them, or preempt requests.
    batches = draw(st.sampled_from([*DISCIPLINES, None]))
    is_static = isinstance(batches, StaticBatching)
    beside = ContinuousBatching(max_batch=2, cache="reserve" if is_static else "grow")
    limited = FirstComeFirstServed(queue_limit=2, patience_s=1.0)
    disciplines = [draw(st.sampled_from([None, ProcessorSharing(), beside, limited])), None]
    disciplines = draw(st.permutations([batches, *disciplines]))
    tight = draw(st.booleans())
    room = 60 * model().kv_bytes_per_token(4) if tight else 1 << 40
    devices = []
    for i in range(3):
        serving = disciplines[i]
        devices.append(
            device(
                f"d-{i}",
                PerBlock(draw(st.floats(0.001, 0.2)), head_s=draw(st.floats(0.0, 0.1))),
                memory_bytes=model().weight_bytes(model().whole) + room,
                power=Power(idle_w=1.0, active_w=3.0, tx_w=2.0, rx_w=1.0),
                endpoint=Endpoint(
                    overhead_s=draw(st.floats(0.0, 0.1)), on_compute=serving is None and draw(st.booleans())
                ),
                serving=serving,
            )
        )
    links = [
        Link(between=(a.id, b.id), rate_bps=draw(st.floats(1e5, 1e9)), latency_s=draw(st.floats(0.0, 0.1)))
        for a, b in itertools.combinations(devices, 2)
    ]
    on_air = draw(st.sets(st.integers(0, 2)))
    for i in on_air:
        terminal, station = links[i].between
        channel = {"link": Steady(links[i].rate_bps), "medium": station, "key": i}
        radio = RadioChannel(terminal=terminal, station=station, **channel)
        links[i] = replace(links[i], radio=radio)
    seed = draw(st.integers(0, 10_000))
    mtbf_s, mttr_s = draw(st.floats(1.0, 30.0)), draw(st.floats(0.1, 5.0))

    def outages(name):
        return RandomOutages(key_of(seed, name), mtbf_s, mttr_s)

    faulty = draw(st.sets(st.sampled_from(["d-0", "d-1", "d-2"]), min_size=1))
    cut = draw(st.sets(st.sampled_from(["d-0--d-1", "d-0--d-2", "d-1--d-2"])))
    return world(
        devices,
        links,
        arrivals=Poisson(draw(st.floats(0.1, 3.0))),
        prompt=Uniform(1, 20),
        output=Uniform(1, 6),
        n_requests=20,
        media={links[i].between[1]: Medium(name=links[i].between[1]) for i in on_air},
        horizon_s=draw(st.sampled_from([None, 10.0, 40.0])),
        sources=("d-0", "d-1"),
        seed=seed,
        memory_policy=draw(st.sampled_from(["queue", "reject"])),
        patience_s=draw(st.sampled_from([None, 2.0])),
        faults=Faults(
            devices={name: outages(name) for name in faulty}, links={via: outages(via) for via in cut}
        ),
        retry=draw(
            st.sampled_from([None, Retry(limit=2, backoff_s=0.5), Retry(limit=20, backoff_s=0.3, growth=1.5)])
        ),
    )


@settings(max_examples=40, deadline=None)
@given(there=fragile(), strategy=st.sampled_from(STRATEGIES))
def test_requests_tokens_work_and_memory_are_conserved_under_random_outages(
    there, strategy, tmp_path_factory
) -> None:
    placement = strategy.place(there.model, Fleet.of(there))
    ran = run(there, strategy, placement)
    # Every request is told once, and ends in one of three ways; the completed have all their tokens, once.
    asked = list(there.requests())
    assert sorted(ran.requests["request_id"]) == [r.id for r in asked]
    assert ran.requests["outcome"].isin(["completed", "failed", "censored"]).all()
    if there.horizon_s is None:
        assert not (ran.requests["outcome"] == "censored").any()
    assert ran.requests["reason"].notna().equals(ran.requests["outcome"] == "failed")
    arrivals = ran.requests.set_index("request_id")["arrived_at_s"]
    assert all(arrivals[r.id] == r.arrived_at_s for r in asked)
    emits = ran.spans[ran.spans["kind"] == "emit"]
    assert not emits.duplicated(["request_id", "token"]).any()
    completed = ran.requests[ran.requests["outcome"] == "completed"]
    assert (completed["n_emitted_tokens"] == completed["n_output_tokens"]).all()
    # Nobody holds or awaits memory who is not in flight.
    if there.horizon_s is None:
        for memory in ran.cluster.memories.values():
            assert memory.used_bytes == memory.resident_bytes
        assert all(host.n_requests == 0 for host in ran.cluster.hosts.values())
    for memory in ran.cluster.memories.values():
        assert memory.resident_bytes <= memory.used_bytes <= memory.capacity_bytes
    # No work while the device is down, and the books agree with the spans.
    work = ran.spans[ran.spans["kind"].isin(["compute", "endpoint"]) & ran.spans["started_at_s"].notna()]
    for name, outages in there.faults.devices.items():
        for begun_s, ended_s in work[work["device"] == name][["started_at_s", "ended_at_s"]].itertuples(
            index=False
        ):
            assert not outages.down(begun_s)
            assert outages.next_down(begun_s) >= (ended_s if not math.isnan(ended_s) else begun_s)
    # The laws of any trace, energy against spans and requests among them.
    assert kept(there, strategy, tmp_path_factory.mktemp("trace")).check() == []


def without_ties(there):
    """The world with durations of which no two sums are alike: of two that end together, any may be first."""
    roots = (math.sqrt(prime) for prime in (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47))
    devices = {
        name: replace(
            d,
            timing=PerBlock(d.timing.block_s + 1e-3 * next(roots), d.timing.head_s + 1e-3 * next(roots)),
            endpoint=replace(d.endpoint, overhead_s=d.endpoint.overhead_s + 1e-3 * next(roots)),
        )
        for name, d in there.devices.items()
    }
    links = [
        replace(link, latency_s=link.latency_s + 1e-3 * next(roots), rate_bps=link.rate_bps * next(roots))
        for link in there.links
    ]
    return replace(there, devices=devices, links=tuple(links))


@settings(max_examples=20, deadline=None)
@given(there=fragile(), strategy=st.sampled_from(STRATEGIES))
def test_outages_that_never_come_change_nothing(there, strategy) -> None:
    there = without_ties(there)
    placement = strategy.place(there.model, Fleet.of(there))
    never = ScheduledOutages([(1e9, 2e9)])
    faults = Faults(
        devices=dict.fromkeys(there.devices, never), links=dict.fromkeys(("d-0--d-1", "d-1--d-2"), never)
    )
    plain = run(replace(there, faults=None, retry=None), strategy, placement)
    watched = run(replace(there, faults=faults), strategy, placement)
    by = ["request_id", "token", "kind", "device", "peer", "asked_at_s", "started_at_s"]
    for one, other, key in (
        (plain.requests, watched.requests, ["request_id"]),
        (plain.spans, watched.spans, by),
        (plain.devices, watched.devices, ["device"]),
    ):
        one, other = (table.sort_values(key, ignore_index=True) for table in (one, other))
        assert len(one) == len(other)
        for column in one.columns:
            if one[column].dtype.kind == "f":
                np.testing.assert_allclose(other[column], one[column], rtol=1e-9, atol=1e-9)
            else:
                told, again = (list(table[column].astype(object).fillna("")) for table in (one, other))
                assert told == again, column


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(InputError, match="limit"):
        Retry(limit=-1)
    with pytest.raises(InputError, match="backoff"):
        Retry(limit=1, backoff_s=-1.0)
    with pytest.raises(InputError, match="growth"):
        Retry(limit=1, growth=0.5)
    assert issubclass(DeviceDown, Exception)
    assert issubclass(MessageLost, Exception)


def test_a_wait_that_outgrows_the_run_is_refused_with_what_to_change(monkeypatch: pytest.MonkeyPatch) -> None:
    """Attempts last 4 s and their device 1 s on average: of 60 none succeeds, and waits double."""
    monkeypatch.setattr(arrivals, "MOST_CHANGES", 100)
    faults = Faults(devices={"b-0": RandomOutages(key_of(1, "b-0"), 0.1, 0.1)})

    def served_again(limit: int, **ends: float):
        retry = Retry(limit=limit, backoff_s=1.0, growth=2.0)
        return run(
            world(pair(), [WIRE], n_requests=1, faults=faults, retry=retry, **ends), Serve(remote)
        ).requests

    assert faults.changes_per_s == 10.0
    assert served_again(4)["outcome"].tolist() == ["failed"]  # 1, 2, 4 and 8 s: no more than 100 / 10
    with pytest.raises(InputError, match=r"served 5 times in vain and would wait 16 s .* lower its 'limit'"):
        served_again(40)
    assert served_again(40, horizon_s=9.0)["outcome"].tolist() == ["censored"]


def test_changes_in_the_long_run() -> None:
    often, seldom = RandomOutages(1, 3.0, 1.0), RandomOutages(2, 7.0, 1.0)
    assert (often.changes_per_s, seldom.changes_per_s) == (0.5, 0.25)
    assert AnyOutages([often, seldom, ScheduledOutages([(1.0, 2.0)])]).changes_per_s == 0.75
    edges = sum(often.down(t) != often.down(t + 0.01) for t in np.arange(0.0, 2000.0, 0.01))
    assert edges == pytest.approx(1000, rel=0.1)
