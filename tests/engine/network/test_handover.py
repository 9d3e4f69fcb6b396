"""A mobile user crossing two cells while its answer is decoded: every instant by hand, both policies."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from miniature import N_BLOCKS, PerBlock, Serve, Steady, answered, device, run, world

from edgesim.errors import PlacementError
from edgesim.model.architecture import Slice
from edgesim.radio.motion.handover import A3, ServingCell
from edgesim.radio.motion.mobility import Area, RandomWaypoint
from edgesim.radio.motion.outages import ScheduledOutages
from edgesim.radio.motion.tracks import RecordedTrack
from edgesim.rng import key_of
from edgesim.workload.arrivals import Poisson
from edgesim.workload.lengths import Fixed, Uniform
from edgesim.world.device import Power
from edgesim.world.faults import Faults, Retry
from edgesim.world.link import Link
from edgesim.world.medium import Medium, RadioChannel
from edgesim.world.roaming import Roaming

WHOLE = Slice(0, N_BLOCKS, embedding=True, head=True)
MASTS_M = {"west": (0.0, 0.0), "east": (100.0, 0.0)}
RULE = A3(interruption_s=0.05)

WALK = RecordedTrack([(0.0, 0.0, 10.0), (20.0, 100.0, 10.0)])
"""From one mast to the other at 5 m/s: half way at 10 s."""


def received(track):
    """Power over a distance with exponent 4, in dB of something: 3 dB at a ratio of distances of 1.189."""

    def measure(cell, times_s):
        places = np.array([track.position(t) for t in times_s.tolist()])
        return -40.0 * np.log10(np.hypot(*(places - MASTS_M[cell]).T))

    return measure


def crossing(in_flight="keep", rule=RULE, track=WALK):
    return {"user": Roaming(serving=ServingCell(received(track), tuple(MASTS_M), rule), in_flight=in_flight)}


def make_street(is_radio, rate_bps=8e4, **facts):
    """A user between two cells, joined over a switch to a server; 10 kB a second on the air."""
    power = Power(tx_w=2.0, rx_w=1.0)
    devices = [
        device("user", power=power),
        *(device(cell, timing=None, memory_bytes=0, power=power) for cell in MASTS_M),
        device("server", PerBlock(0.25)),
    ]
    air = [Link(between=("user", cell), rate_bps=rate_bps) for cell in MASTS_M]
    if is_radio:
        facts["media"] = {cell: Medium(name=cell) for cell in MASTS_M}
        channel = {"link": Steady(rate_bps), "terminal": "user", "key": 1}
        air = [
            replace(link, radio=RadioChannel(station=cell, medium=cell, **channel))
            for link, cell in zip(air, MASTS_M, strict=True)
        ]
    wires = [Link(between=(cell, "server"), rate_bps=8e9, latency_s=0.001) for cell in MASTS_M]
    return world(devices, [*air, *wires], **({"roaming": crossing()} | facts))


@pytest.fixture(params=[False, True], ids=["fixed rate", "radio"])
def street(request):
    """The same street twice: what is said of instants holds of both."""
    return partial(make_street, request.param)


def decode(request, cluster):
    yield from cluster.send(request, "user", "server", 1000)
    for token in request.tokens():
        yield from cluster.compute(request, "server", WHOLE, token)
        yield from cluster.emit(request, "server", token)


def change():
    """When west gives way to east: the power's margin of 3 dB is passed, 160 ms ago."""
    ratio = 10 ** (3 / 40)

    def margin(t):
        x = 5.0 * t
        return np.hypot(x, 10.0) / np.hypot(x - 100.0, 10.0) - ratio

    low, high = 10.0, 12.0
    while high - low > 1e-9:
        middle = (low + high) / 2
        low, high = (low, middle) if margin(middle) > 0 else (middle, high)
    return (np.floor(high / 0.04) + 1 + 4) * 0.04


def test_the_serving_cell_changes_when_the_event_says() -> None:
    assert 11.0 < change() < 12.0
    serving = crossing()["user"].serving
    assert serving.next_handover(0.0, 20.0) == (pytest.approx(change()), "west", "east", 0.05)


def test_an_answer_is_decoded_across_two_cells(street) -> None:
    ran = run(street(output=Fixed(16)), Serve(decode))
    assert ran.requests["outcome"].tolist() == ["completed"]
    # The question is 100 ms on the air, 1 ms and 1 us on the wire; then a token a second, 1 ms to the cell.
    on_air_s = 0.1 + 0.001001 + np.arange(1.0, 17.0) + 0.001000004
    paid = (on_air_s >= change()) & (on_air_s < change() + 0.05)
    assert paid.sum() == 1  # one of them comes to the new cell during the interruption, and waits
    home_s = np.where(paid, change() + 0.05, on_air_s) + 4e-4
    emits = ran.spans[ran.spans["kind"] == "emit"]["ended_at_s"]
    np.testing.assert_allclose(emits, home_s, atol=1e-9)
    down = ran.spans[(ran.spans["kind"] == "send") & (ran.spans["peer"] == "user")]
    assert down["device"].tolist() == ["west" if at_s < change() else "east" for at_s in on_air_s]


def big_answer(request, cluster):
    """A message of 40 kB down, 4 s on the air, begun 2 s before the handover."""
    yield from cluster.sleep(change() - 2.0 - 0.001 - 4e-5)
    answered(request, "user")
    yield from cluster.send(request, "server", "user", 4e4)
    for token in request.tokens():
        yield from cluster.emit(request, "user", token)


def test_a_message_on_the_air_is_kept_and_the_rest_goes_over_the_new_cell(
    street,
) -> None:
    ran = run(street(), Serve(big_answer))
    hops = ran.log("kind", "device", "peer", "started_at_s", "ended_at_s")[:4]
    at_s = change()
    # What is left, 20 kB, is forwarded over the server during the interruption, 20 us and 1 ms a hop.
    assert hops == [
        ("send", "server", "west", pytest.approx(at_s - 2.00104), pytest.approx(at_s - 2.0)),
        ("send", "west", "user", pytest.approx(at_s - 2.0), pytest.approx(at_s)),
        ("send", "west", "server", pytest.approx(at_s), pytest.approx(at_s + 0.00102)),
        ("send", "server", "east", pytest.approx(at_s + 0.00102), pytest.approx(at_s + 0.00204)),
    ]
    last = ran.log("kind", "device", "peer", "started_at_s", "ended_at_s")[4]
    assert last == ("send", "east", "user", pytest.approx(at_s + 0.05), pytest.approx(at_s + 2.05))
    assert ran.requests["outcome"].tolist() == ["completed"]
    # 4 s on the air in all, however often it was handed over.
    told = ran.devices.set_index("device")
    assert told.loc["user", "energy_rx_j"] == pytest.approx(4.0)
    assert ran.spans["energy_j"].sum() == pytest.approx(told[["energy_tx_j", "energy_rx_j"]].to_numpy().sum())


def big_question(request, cluster):
    yield from cluster.sleep(change() - 2.0)
    answered(request, "user")
    yield from cluster.send(request, "user", "server", 4e4)
    for token in request.tokens():
        yield from cluster.emit(request, "user", token)


def test_uplink_bits_continue_too(street) -> None:
    ran = run(street(), Serve(big_question))
    at_s = change()
    assert ran.log("device", "peer", "started_at_s", "ended_at_s")[:3] == [
        ("user", "west", pytest.approx(at_s - 2.0), pytest.approx(at_s)),
        ("user", "east", pytest.approx(at_s + 0.05), pytest.approx(at_s + 2.05)),
        ("east", "server", pytest.approx(at_s + 2.05), pytest.approx(at_s + 2.05 + 0.001 + 4e-5)),
    ]


@pytest.mark.parametrize("course", [big_answer, big_question])
def test_a_message_on_the_air_is_lost_where_that_is_the_policy(street, course) -> None:
    ran = run(street(roaming=crossing("lose")), Serve(course))
    (request,) = ran.requests.itertuples()
    assert (request.outcome, request.reason) == ("failed", "message lost: user--west (handover)")
    assert request.ended_at_s == pytest.approx(change())


def test_a_token_lost_at_a_handover_fails_the_request_or_has_it_served_again(street) -> None:
    # At 80 bit/s a token of 4 bytes is 0.4 s on the air of every second: one is on it at the handover.
    facts = {"rate_bps": 80.0, "output": Fixed(30), "prompt": Fixed(1)}

    def server_only(request, cluster):
        answered(request, "server")
        for token in request.tokens():
            yield from cluster.compute(request, "server", WHOLE, token)
            yield from cluster.emit(request, "server", token)

    lost = run(street(roaming=crossing("lose"), **facts), Serve(server_only))
    (request,) = lost.requests.itertuples()
    assert (request.outcome, request.reason) == ("failed", "message lost: user--west (handover)")
    assert request.ended_at_s == pytest.approx(change())
    n_before = request.n_emitted_tokens
    assert n_before == int(change() - 1.4) + 1
    retry = Retry(limit=1, backoff_s=0.5)
    ran = run(street(roaming=crossing("lose"), retry=retry, **facts), Serve(server_only))
    (request,) = ran.requests.itertuples()
    assert (request.outcome, request.n_emitted_tokens) == ("completed", 30)
    emits = ran.spans[ran.spans["kind"] == "emit"]
    assert emits["token"].tolist() == list(range(30))
    # Served again from its beginning, when the server is done with what the first attempt had booked: the
    # first token that is new comes when as many have been made anew.
    free_at_s = np.ceil(change())
    assert change() + 0.5 < free_at_s
    assert emits["ended_at_s"].tolist()[n_before] == pytest.approx(free_at_s + n_before + 1.401, abs=1e-3)
    kept = run(street(**facts), Serve(server_only))
    (request,) = kept.requests.itertuples()
    assert (request.outcome, request.n_emitted_tokens) == ("completed", 30)
    paid_s = kept.spans[kept.spans["kind"] == "emit"]["ended_at_s"].to_numpy()[n_before] - (n_before + 1.401)
    assert 0.05 <= paid_s < 0.06  # the interruption, and the way from cell to cell


def test_a_message_waits_for_the_end_of_an_interruption(street) -> None:
    def during(request, cluster):
        yield from cluster.sleep(change() + 0.01)
        yield from cluster.send(request, "user", "server", 1000)
        cluster.fail(request, "sent")

    ran = run(street(), Serve(during))
    assert ran.log("device", "peer", "started_at_s")[0] == ("user", "east", pytest.approx(change() + 0.05))


@pytest.mark.parametrize("ends", [("user", "server"), ("server", "user")], ids=["up", "down"])
def test_a_cell_that_fails_during_the_interruption_carries_nothing(street, ends) -> None:
    """The message waits for the new cell, before it or on it, and meets it down when it is ready."""

    def during(request, cluster):
        yield from cluster.sleep(change() + 0.01)
        answered(request, "user", "server")
        yield from cluster.send(request, *ends, 1000)

    down = Faults(devices={"east": ScheduledOutages([(change() + 0.02, change() + 1.0)])})
    ran = run(street(faults=down), Serve(during))
    (request,) = ran.requests.itertuples()
    assert (request.outcome, request.reason) == ("failed", "device down: east")
    assert request.ended_at_s == pytest.approx(change() + 0.05)
    assert not ran.spans["via"].isin(["user--east", "east--user"]).any()


def test_cells_must_reach_one_another_without_the_terminal(street) -> None:
    there = street()
    links = tuple(link for link in there.links if link.between != ("east", "server"))
    with pytest.raises(PlacementError, match="no path leads from 'west' to 'east'"):
        run(replace(there, links=links), Serve(decode))


@settings(max_examples=25, deadline=None)
@given(
    is_radio=st.booleans(),
    seed=st.integers(0, 1000),
    in_flight=st.sampled_from(["keep", "lose"]),
    rate_bps=st.floats(200.0, 1e5),
    retry=st.sampled_from([None, Retry(limit=3, backoff_s=0.2)]),
)
def test_requests_and_airtime_are_conserved_on_random_ways(
    is_radio, seed, in_flight, rate_bps, retry
) -> None:
    track = RandomWaypoint(key_of(seed), Area(-20.0, -20.0, 120.0, 20.0), (10.0, 40.0))
    rule = A3(hysteresis_db=1.0, time_to_trigger_s=0.04, interruption_s=0.1)
    there = make_street(
        is_radio,
        rate_bps,
        roaming=crossing(in_flight, rule, track),
        arrivals=Poisson(0.3),
        n_requests=15,
        output=Uniform(1, 8),
        retry=retry,
        seed=seed,
    )
    ran = run(there, Serve(decode))
    assert sorted(ran.requests["request_id"]) == list(range(15))
    completed = ran.requests[ran.requests["outcome"] == "completed"]
    assert (completed["n_emitted_tokens"] == completed["n_output_tokens"]).all()
    assert len(completed) == 15 or in_flight == "lose"
    assert not ran.spans[ran.spans["kind"] == "emit"].duplicated(["request_id", "token"]).any()
    serving = there.roaming["user"].serving
    air = ran.spans[(ran.spans["kind"] == "send") & ran.spans["via"].isin(["user--west", "east--user"])]
    for row in air[air["started_at_s"].notna()].itertuples():
        cell = row.peer if row.device == "user" else row.device
        assert serving.cell(row.started_at_s) == cell
        assert serving.ready_s(row.started_at_s) == row.started_at_s
        handed = serving.next_handover(row.started_at_s, row.started_at_s + 120.0)
        assert np.isnan(row.ended_at_s) or handed is None or row.ended_at_s <= handed.at_s
    if in_flight == "keep" and retry is None:  # every byte is once on the air, whatever cells it went over
        sent_bytes = 1000 * 15 + 4 * int(ran.requests["n_output_tokens"].sum())
        airtime_s = 8 * sent_bytes / rate_bps
        spent_j = air["energy_j"].sum()
        assert spent_j <= 3.0 * airtime_s * (1 + 1e-9)  # a band's part counts in part
        if not is_radio:
            assert (air["ended_at_s"] - air["started_at_s"]).sum() == pytest.approx(airtime_s, rel=1e-6)
            assert spent_j == pytest.approx(3.0 * airtime_s, rel=1e-6)
