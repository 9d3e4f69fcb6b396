"""Two devices, one link of 8 Mbit/s, one second per block: every instant by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from miniature import N_BLOCKS, PerBlock, Serve, Tables, answered, device, model, run, world

from edgesim.engine import arrivals
from edgesim.engine.simulation import simulate
from edgesim.errors import ContractError, InputError, PlacementError
from edgesim.model.answers.exit_records import ExitRecords
from edgesim.model.architecture import Slice
from edgesim.radio.motion.outages import RandomOutages
from edgesim.workload.arrivals import Bursts, Deterministic
from edgesim.workload.lengths import Fixed
from edgesim.world.device import Endpoint, Power
from edgesim.world.faults import Faults
from edgesim.world.link import Link

WHOLE = Slice(0, N_BLOCKS, embedding=True, head=True)
WIRE = Link(between=("a-0", "b-0"), rate_bps=8e6, latency_s=0.5)
AT_ONCE = Bursts(n_requests=2, period_s=1e6)


def local(request, cluster):
    for token in request.tokens():
        yield from cluster.compute(request, request.source, WHOLE, token)
        yield from cluster.emit(request, request.source, token)


def remote(request, cluster):
    yield from cluster.send(request, "a-0", "b-0", 1000)
    for token in request.tokens():
        yield from cluster.compute(request, "b-0", WHOLE, token)
        yield from cluster.emit(request, "b-0", token)


def test_compute_is_first_come_first_served() -> None:
    ran = run(world([device("a-0")], arrivals=AT_ONCE, n_requests=2), Serve(local))
    assert ran.log() == [
        (0, 0, "compute", "a-0", 0.0, 0.0, 4.0),
        (1, 0, "compute", "a-0", 0.0, 4.0, 8.0),
        (0, 0, "emit", "a-0", 4.0, 4.0, 4.0),
        (1, 0, "emit", "a-0", 8.0, 8.0, 8.0),
    ]


def test_requests_take_turns_token_by_token() -> None:
    ran = run(world([device("a-0")], arrivals=AT_ONCE, n_requests=2, output=Fixed(2)), Serve(local))
    computed = [row for row in ran.log("request_id", "token", "kind", "ended_at_s") if row[2] == "compute"]
    assert computed == [
        (0, 0, "compute", 4.0),
        (1, 0, "compute", 8.0),
        (0, 1, "compute", 12.0),
        (1, 1, "compute", 16.0),
    ]


def test_a_message_queues_is_transmitted_and_arrives_after_the_latency() -> None:
    ran = run(world([device("a-0"), device("b-0")], [WIRE], arrivals=AT_ONCE, n_requests=2), Serve(remote))
    sent = [
        row
        for row in ran.log("request_id", "kind", "device", "peer", "asked_at_s", "started_at_s", "ended_at_s")
        if row[1] == "send" and row[2] == "a-0"
    ]
    assert sent == [
        (0, "send", "a-0", "b-0", 0.0, 0.0, 0.501),
        (1, "send", "a-0", "b-0", 0.0, 0.001, 0.502),
    ]


def test_tokens_stream_home_while_decoding_goes_on() -> None:
    ran = run(world([device("a-0"), device("b-0")], [WIRE], output=Fixed(2)), Serve(remote))
    # A token id is 4 bytes: 4 microseconds at 8 Mbit/s.
    assert ran.log() == [
        (0, 0, "send", "a-0", 0.0, 0.0, 0.501),
        (0, 0, "compute", "b-0", 0.501, 0.501, 4.501),
        (0, 0, "send", "b-0", 4.501, 4.501, 5.001004),
        (0, 1, "compute", "b-0", 4.501, 4.501, 8.501),
        (0, 0, "emit", "a-0", *[5.001004] * 3),
        (0, 1, "send", "b-0", 8.501, 8.501, 9.001004),
        (0, 1, "emit", "a-0", *[9.001004] * 3),
    ]
    (request,) = ran.requests.itertuples()
    assert (request.first_token_at_s, request.ended_at_s) == (
        pytest.approx(5.001004),
        pytest.approx(9.001004),
    )


def test_routes_are_store_and_forward_over_the_cheapest_path() -> None:
    hops = [
        Link(between=("a-0", "s-0"), rate_bps=8e6, latency_s=0.1),
        Link(between=("s-0", "b-0"), rate_bps=4e6, latency_s=0.2),
        Link(between=("a-0", "b-0"), rate_bps=8e6, latency_s=0.5),
    ]
    devices = [device("a-0"), device("s-0", timing=None, memory_bytes=0), device("b-0")]
    ran = run(world(devices, hops), Serve(remote))
    assert ran.log("kind", "device", "peer", "started_at_s", "ended_at_s")[:2] == [
        ("send", "a-0", "s-0", 0.0, 0.101),
        ("send", "s-0", "b-0", 0.101, 0.303),
    ]


@pytest.mark.parametrize("on_compute", [False, True])
def test_endpoints_cost_their_overhead_and_staging_at_both_ends(on_compute: bool) -> None:
    costly = Endpoint(overhead_s=1.0, staging_bytes_per_s=1000.0, on_compute=on_compute)
    devices = [device("a-0", endpoint=costly), device("b-0", endpoint=Endpoint(overhead_s=0.25))]

    def both(request, cluster):
        token = next(request.tokens())
        yield from cluster.together(
            cluster.compute(request, "a-0", WHOLE, token), cluster.send(request, "a-0", "b-0", 1000)
        )
        yield from cluster.emit(request, "a-0", token)

    ran = run(world(devices, [WIRE]), Serve(both))
    # The message costs its sender 2 s, after the 4 s of computing only if it shares the station.
    begun_s = 4.0 if on_compute else 0.0
    sent = [
        row
        for row in ran.log("kind", "device", "started_at_s", "ended_at_s")
        if row[0] in ("endpoint", "send")
    ]
    assert sent == [
        ("endpoint", "a-0", begun_s, begun_s + 2.0),
        ("send", "a-0", begun_s + 2.0, round(begun_s + 2.501, 9)),
        ("endpoint", "b-0", round(begun_s + 2.501, 9), round(begun_s + 2.751, 9)),
    ]


def test_the_channel_is_looked_at_when_a_transmission_starts() -> None:
    """A link that turns 8 times faster at 0.0005 s: the second message, queued before, starts after."""
    faster = Link(between=("a-0", "b-0"), rate_bps=lambda at_s: 8e6 if at_s < 0.0005 else 64e6)
    ran = run(world([device("a-0"), device("b-0")], [faster], arrivals=AT_ONCE, n_requests=2), Serve(remote))
    sent = [
        row for row in ran.log("kind", "device", "started_at_s", "ended_at_s") if row[:2] == ("send", "a-0")
    ]
    assert sent == [("send", "a-0", 0.0, 0.001), ("send", "a-0", 0.001, 0.001125)]


def test_kept_work_lets_nobody_in_between() -> None:
    first, rest = Slice(0, 1, embedding=True), Slice(1, N_BLOCKS, head=True)

    def serve(request, cluster):
        token = next(request.tokens())
        if request.id == 0:
            yield from cluster.compute(request, "a-0", first, token, keep=(rest, token))
        else:
            yield from cluster.compute(request, "a-0", first, token)
        yield from cluster.compute(request, "a-0", rest, token)
        yield from cluster.emit(request, "a-0", token)

    there = world([device("a-0")], arrivals=AT_ONCE, n_requests=2)
    ran = run(there, Serve(serve), holdings={"a-0": (first, rest)})
    assert [row for row in ran.log("request_id", "via", "started_at_s", "ended_at_s") if row[1]] == [
        (0, "embedding+0", 0.0, 1.0),
        (0, "1-3+head", 1.0, 4.0),
        (1, "embedding+0", 4.0, 5.0),
        (1, "1-3+head", 5.0, 8.0),
    ]


def test_together_waits_for_the_slowest_and_returns_all_values() -> None:
    told = []

    def serve(request, cluster):
        token = next(request.tokens())
        answered(request, "a-0", "b-0")
        values = yield from cluster.together(
            cluster.sleep(2.0),
            cluster.all_reduce(request, ("a-0", "b-0"), 2000, via="star"),
            cluster.compute(request, "b-0", WHOLE, token),
        )
        told.append((cluster.now_s, values))
        yield from cluster.emit(request, "a-0", token)

    run(world([device("a-0"), device("b-0")], [WIRE]), Serve(serve))
    assert told == [(4.0, [None, 0.0, None])]


@pytest.mark.parametrize(
    ("via", "seconds"),
    # star: 3 kB up, then 3 kB down, two members at once on links of their own; ring: 4 rounds of 1 kB
    [("star", 2 * (0.003 + 0.5)), ("ring", 4 * (0.001 + 0.5))],
)
def test_all_reduce_takes_the_time_of_its_rounds(via: str, seconds: float) -> None:
    ids = ("a-0", "b-0", "c-0")
    links = [Link(between=pair, rate_bps=8e6, latency_s=0.5) for pair in (ids[:2], ids[1:], ids[::2])]

    def serve(request, cluster):
        answered(request, *ids)
        error = yield from cluster.all_reduce(request, ids, 3000, via=via)
        assert error == 0.0
        yield from cluster.emit(request, "a-0", next(request.tokens()))

    ran = run(world([device(id_) for id_ in ids], links), Serve(serve))
    assert ran.requests["ended_at_s"][0] == pytest.approx(seconds, rel=1e-12)


def test_a_lone_member_reduces_nothing() -> None:
    def serve(request, cluster):
        answered(request, "a-0")
        yield from cluster.all_reduce(request, ("a-0",), 3000)
        yield from cluster.emit(request, "a-0", next(request.tokens()))

    assert run(world([device("a-0")]), Serve(serve)).requests["ended_at_s"][0] == 0.0


def test_a_failed_request_tells_its_reason_and_gives_its_memory_back() -> None:
    def serve(request, cluster):
        token = next(request.tokens())
        yield from cluster.compute(request, "a-0", WHOLE, token)
        cluster.fail(request, "battery empty")

    ran = run(world([device("a-0")]), Serve(serve))
    assert ran.requests[["outcome", "reason", "ended_at_s", "n_emitted_tokens"]].values.tolist() == [
        ["failed", "battery empty", 4.0, 0]
    ]
    memory = ran.cluster.memories["a-0"]
    assert memory.used_bytes == memory.resident_bytes < memory.peak_bytes


def test_at_the_horizon_requests_in_flight_are_censored_and_the_future_is_null() -> None:
    there = world(
        [device("a-0", power=Power(active_w=2.0))],
        arrivals=AT_ONCE,
        n_requests=2,
        output=Fixed(2),
        horizon_s=10.0,
    )
    ran = run(there, Serve(local))
    assert ran.log("request_id", "kind", "started_at_s", "ended_at_s", "energy_j") == [
        (0, "compute", 0.0, 4.0, 8.0),
        (1, "compute", 4.0, 8.0, 8.0),
        (0, "emit", 4.0, 4.0, 0.0),
        (0, "compute", 8.0, None, 4.0),
        (1, "emit", 8.0, 8.0, 0.0),
        (1, "compute", None, None, 0.0),
    ]
    assert ran.requests["outcome"].tolist() == ["censored"] * 2
    assert ran.requests["n_emitted_tokens"].tolist() == [1, 1]
    assert ran.requests["ended_at_s"].isna().all()
    assert ran.requests["energy_j"].tolist() == [12.0, 8.0]
    assert ran.devices["busy_s"].tolist() == [10.0]
    assert ran.devices["energy_compute_j"].tolist() == [20.0]


def test_energy_is_power_times_the_time_in_each_state() -> None:
    power = Power(idle_w=1.0, active_w=10.0, tx_w=3.0, rx_w=2.0)
    ran = run(world([device("a-0", power=power), device("b-0", power=power)], [WIRE]), Serve(remote))
    prompt_s, token_s = 0.001, 4e-6
    told = ran.devices.set_index("device")
    assert told.loc["b-0", "energy_compute_j"] == pytest.approx(40.0)
    assert told.loc["a-0", "energy_tx_j"] == pytest.approx(3.0 * prompt_s)
    assert told.loc["b-0", "energy_rx_j"] == pytest.approx(2.0 * prompt_s)
    assert told.loc["b-0", "energy_tx_j"] == pytest.approx(3.0 * token_s)
    assert told.loc["a-0", "energy_idle_j"] == pytest.approx(ran.requests["ended_at_s"][0])
    # Sending draws at both ends, but not during the latency.
    assert ran.requests["energy_j"][0] == pytest.approx(40.0 + 5.0 * (prompt_s + token_s))


def tight(n_tokens: int, **facts) -> Tables:
    """One device with room for the KV cache of this many tokens, three requests of two tokens at once."""
    resident = model().weight_bytes(WHOLE)
    room = model().kv_bytes_per_token(N_BLOCKS) * n_tokens
    there = world(
        [device("a-0", memory_bytes=resident + room)],
        arrivals=Bursts(n_requests=3, period_s=1e6),
        n_requests=3,
        **facts,
    )
    return run(there, Serve(local))


def test_requests_queue_for_memory_in_the_order_of_arrival() -> None:
    ran = tight(n_tokens=3)  # one at a time: prompt 1 + output 1 = 2 tokens
    waits = [row for row in ran.log("request_id", "kind", "asked_at_s", "ended_at_s") if row[1] == "wait"]
    assert waits == [(1, "wait", 0.0, 4.0), (2, "wait", 0.0, 8.0)]
    assert ran.requests.sort_values("request_id")["ended_at_s"].tolist() == [4.0, 8.0, 12.0]
    assert (ran.devices["peak_memory_bytes"] <= ran.devices["memory_bytes"]).all()


def test_the_reject_policy_fails_what_does_not_fit_now() -> None:
    ran = tight(n_tokens=5, memory_policy="reject")  # two fit, the third does not
    told = ran.requests.sort_values("request_id")
    assert told["outcome"].tolist() == ["completed", "completed", "failed"]
    assert told["reason"].iloc[2].startswith("memory: a-0: no room")


def test_what_can_never_fit_fails_under_either_policy() -> None:
    ran = tight(n_tokens=1)
    assert set(ran.requests["outcome"]) == {"failed"}
    assert ran.requests["reason"].str.contains("can never fit").all()


def test_admission_on_several_devices_is_all_or_nothing_and_nobody_starves() -> None:
    """Request 0 holds b; 1 wants a and b and waits; 2 wants a: it must not overtake 1 on a."""
    wants = {0: ("b-0",), 1: ("a-0", "b-0"), 2: ("a-0",)}
    stay_s = {0: 5.0, 1: 1.0, 2: 1.0}
    admitted: list[tuple[int, float]] = []

    def serve(request, cluster):
        yield from cluster.admit(request, wants[request.id])
        admitted.append((request.id, cluster.now_s))
        yield from cluster.sleep(stay_s[request.id])
        answered(request, "a-0")
        yield from cluster.emit(request, "a-0", next(request.tokens()))

    room = model().weight_bytes(WHOLE) + 2 * model().kv_bytes_per_token(N_BLOCKS)
    devices = [device("a-0", memory_bytes=room), device("b-0", memory_bytes=room)]
    run(world(devices, [WIRE], arrivals=Bursts(n_requests=3, period_s=1e6), n_requests=3), Serve(serve))
    assert admitted == [(0, 0.0), (1, 5.0), (2, 6.0)]


def test_observe_tells_queues_requests_and_memory() -> None:
    told = []

    def serve(request, cluster):
        token = next(request.tokens())
        wait = cluster.compute(request, "a-0", WHOLE, token)
        state = cluster.observe()
        told.append((state.at_s, state.backlog_s("a-0"), state.n_requests("a-0"), state.backlog_s("b-0")))
        yield from wait
        yield from cluster.emit(request, "a-0", token)

    def served(request, cluster):
        yield from cluster.admit(request, ("a-0",))
        yield from serve(request, cluster)

    devices = [device("a-0"), device("b-0")]
    run(world(devices, [WIRE], arrivals=Deterministic(1.0), n_requests=3), Serve(served))
    assert told == [(0.0, 4.0, 1, 0.0), (1.0, 7.0, 2, 0.0), (2.0, 10.0, 3, 0.0)]


def test_a_strategys_own_process_runs_beside_the_requests() -> None:
    seen = []

    def control(cluster):
        for _ in range(3):
            yield from cluster.sleep(1.5)
            seen.append((cluster.now_s, cluster.observe().n_requests("a-0")))
            yield from cluster.send(None, "a-0", "b-0", 1000)

    ran = run(world([device("a-0"), device("b-0")], [WIRE], horizon_s=7.0), Serve(local, control))
    assert seen == [(1.5, 1), (pytest.approx(3.501), 1), (pytest.approx(5.502), 0)]
    control_traffic = ran.spans[ran.spans["request_id"].isna()]
    assert control_traffic["kind"].tolist() == ["control"] * 3
    assert control_traffic["token"].isna().all()


def test_without_a_horizon_the_run_ends_with_the_last_request_whatever_the_controller_does() -> None:
    def control(cluster):
        while True:
            yield from cluster.sleep(0.7)

    ran = run(world([device("a-0")], n_requests=3), Serve(local, control))
    assert ran.devices["duration_s"].tolist() == [12.0]
    assert ran.requests["outcome"].tolist() == ["completed"] * 3


def test_a_token_that_arrives_after_its_request_has_failed_does_not_count() -> None:
    def serve(request, cluster):
        token = next(request.tokens())
        yield from cluster.send(request, "a-0", "b-0", request.prompt_bytes)
        yield from cluster.compute(request, "b-0", WHOLE, token)
        yield from cluster.emit(request, "b-0", token)  # on its way for half a second
        yield from cluster.sleep(0.1)
        cluster.fail(request, "too late")

    ran = run(world([device("a-0"), device("b-0")], [WIRE], output=Fixed(2), n_requests=2), Serve(serve))
    assert ran.requests["n_emitted_tokens"].tolist() == [0, 0]
    assert ran.requests["first_token_at_s"].isna().all()
    assert "emit" not in set(ran.spans["kind"])


# --- broken contracts ----------------------------------------------------------------------------


def test_ending_without_all_tokens_is_a_contract_error() -> None:
    def serve(request, cluster):
        yield from cluster.compute(request, "a-0", WHOLE, next(request.tokens()))

    with pytest.raises(ContractError, match="0 of its 1 tokens"):
        run(world([device("a-0")]), Serve(serve))


def test_computing_what_a_device_does_not_hold_is_a_contract_error() -> None:
    with pytest.raises(ContractError, match="'a-0' does not hold"):
        run(world([device("a-0")]), Serve(local), holdings={"a-0": (Slice(0, 2),)})


def test_breaking_a_kept_station_is_a_contract_error() -> None:
    def serve(request, cluster):
        token = next(request.tokens())
        yield from cluster.compute(request, "a-0", WHOLE, token, keep=(WHOLE, token))
        yield from cluster.compute(request, "a-0", Slice(0, 1), token)

    with pytest.raises(ContractError, match="kept 'a-0'"):
        run(world([device("a-0")]), Serve(serve))


def test_waiting_for_what_never_happens_is_a_contract_error() -> None:
    def serve(request, cluster):
        yield from cluster.admit(request, ("a-0",))
        if request.id == 0:
            yield cluster._clock.event()

    with pytest.raises(ContractError, match="deadlock"):
        run(world([device("a-0")]), Serve(serve))


def test_a_bug_in_a_strategy_ends_the_run_and_says_where() -> None:
    def serve(request, cluster):
        yield from cluster.sleep(2.0)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError) as caught:
        run(world([device("a-0")]), Serve(serve))
    assert "LiveRequest(id=0" in caught.value.__notes__[0]
    assert "2.0 s" in caught.value.__notes__[0]


def test_no_route_is_an_error_that_names_both_ends() -> None:
    with pytest.raises(PlacementError, match="from 'a-0' to 'b-0'"):
        run(world([device("a-0"), device("b-0")]), Serve(remote))


def test_without_spans_the_other_tables_are_the_same() -> None:
    there = world([device("a-0"), device("b-0", timing=PerBlock(0.1))], [WIRE], n_requests=5, output=Fixed(3))
    with_spans, without = run(there, Serve(remote)), run(there, Serve(remote), keep_spans=False)
    assert without.spans.empty
    assert without.requests["energy_j"].isna().all()
    lean = with_spans.requests.drop(columns="energy_j")
    assert lean.equals(without.requests.drop(columns="energy_j"))
    assert with_spans.devices.equals(without.devices)


# --- what a review found -------------------------------------------------------------------------


@pytest.mark.parametrize("latency_s", [0.0, 0.5])
@pytest.mark.parametrize("endpoint", [Endpoint(), Endpoint(overhead_s=0.01)])
@pytest.mark.parametrize("rate_bps", [8e6, math.inf])
def test_tokens_emitted_together_arrive_in_order_and_all_of_them(
    latency_s: float, endpoint: Endpoint, rate_bps: float
) -> None:
    hops = [
        Link(between=pair, rate_bps=rate_bps, latency_s=latency_s)
        for pair in (("a-0", "s-0"), ("s-0", "b-0"))
    ]
    devices = [device("a-0"), device("s-0", None), device("b-0", endpoint=endpoint)]

    def serve(request, cluster):
        answered(request, "b-0")
        tokens = list(request.tokens())
        yield from cluster.compute(request, "b-0", WHOLE, tokens[0])
        for token in tokens:
            yield from cluster.emit(request, "b-0", token)

    ran = run(world(devices, hops, output=Fixed(6)), Serve(serve))
    emitted = ran.spans[ran.spans["kind"] == "emit"]
    assert ran.requests["outcome"].tolist() == ["completed"]
    assert sorted(emitted["token"]) == list(range(6))
    assert emitted.sort_values("token")["ended_at_s"].is_monotonic_increasing


@pytest.mark.parametrize("endpoint", [Endpoint(), Endpoint(overhead_s=1e-12)])
def test_verbs_handed_to_together_overlap_whatever_the_topology(endpoint: Endpoint) -> None:
    def serve(request, cluster):
        token = next(request.tokens())
        yield from cluster.together(
            cluster.send(request, "a-0", "b-0", 1000), cluster.compute(request, "a-0", WHOLE, token)
        )
        yield from cluster.emit(request, "a-0", token)

    ran = run(world([device("a-0", endpoint=endpoint), device("b-0")], [WIRE]), Serve(serve))
    assert ran.requests["ended_at_s"][0] == 4.0  # the message needs half a second beside it


def test_a_verb_that_has_ended_before_it_is_waited_for_takes_no_more_time() -> None:
    def serve(request, cluster):
        token = next(request.tokens())
        sending = cluster.send(request, "a-0", "b-0", 1000)
        yield from cluster.compute(request, "a-0", WHOLE, token)
        yield from sending
        yield from cluster.emit(request, "a-0", token)

    ran = run(world([device("a-0"), device("b-0")], [WIRE]), Serve(serve))
    assert ran.requests["ended_at_s"][0] == 4.0


def test_a_failure_inside_together_fails_the_request_and_nothing_else() -> None:
    def serve(request, cluster):
        token = next(request.tokens())
        if request.id == 0:
            yield from cluster.together(
                cluster.sleep(1.0), cluster.admit(request, ("a-0", "b-0")), gives_up(cluster, request)
            )
        yield from cluster.compute(request, "a-0", WHOLE, token)
        yield from cluster.emit(request, "a-0", token)

    def gives_up(cluster, request):
        yield from cluster.sleep(0.5)
        cluster.fail(request, "too slow")

    ran = run(world([device("a-0"), device("b-0")], [WIRE], n_requests=2), Serve(serve))
    assert ran.requests.sort_values("request_id")["outcome"].tolist() == ["failed", "completed"]
    assert ran.requests.sort_values("request_id")["ended_at_s"].tolist() == [0.5, 5.0]
    for memory in ran.cluster.memories.values():
        assert memory.used_bytes == memory.resident_bytes


def test_a_wait_that_its_request_has_left_is_forgotten() -> None:
    """Request 1 gives up waiting for memory; request 2, behind it, gets it, and nothing stays reserved."""
    resident = model().weight_bytes(WHOLE) + 2 * model().kv_bytes_per_token(N_BLOCKS)

    def serve(request, cluster):
        token = next(request.tokens())
        if request.id == 1:
            yield from cluster.together(cluster.admit(request, ("a-0",)), gives_up(cluster, request))
        yield from cluster.compute(request, "a-0", WHOLE, token)
        yield from cluster.emit(request, "a-0", token)

    def gives_up(cluster, request):
        yield from cluster.sleep(1.0)
        cluster.fail(request, "impatient")

    there = world(
        [device("a-0", memory_bytes=resident)], arrivals=Bursts(n_requests=3, period_s=1e6), n_requests=3
    )
    ran = run(there, Serve(serve))
    assert ran.requests.sort_values("request_id")["outcome"].tolist() == ["completed", "failed", "completed"]
    assert ran.cluster.observe().n_requests("a-0") == 0
    assert ran.cluster.memories["a-0"].used_bytes == ran.cluster.memories["a-0"].resident_bytes


def test_one_request_asks_for_its_memory_once_however_often_it_waits() -> None:
    resident = model().weight_bytes(WHOLE) + 2 * model().kv_bytes_per_token(N_BLOCKS)
    half, rest = Slice(0, 2, embedding=True), Slice(2, N_BLOCKS, head=True)

    def serve(request, cluster):
        token = next(request.tokens())
        answered(request, "a-0")  # two passes at once, whatever the second needs
        yield from cluster.together(
            cluster.compute(request, "a-0", half, token), cluster.compute(request, "a-0", rest, token)
        )
        yield from cluster.emit(request, "a-0", token)

    there = world([device("a-0", memory_bytes=resident)], arrivals=AT_ONCE, n_requests=2)
    ran = run(there, Serve(serve), holdings={"a-0": (half, rest)})
    assert ran.requests["outcome"].tolist() == ["completed"] * 2
    assert ran.devices["peak_memory_bytes"][0] <= resident


def test_what_is_under_way_when_the_last_request_ends_is_cut_there() -> None:
    """Without a horizon, too, the devices' energy and the spans' are the same."""
    power = Power(active_w=1.0, tx_w=3.0, rx_w=2.0)

    def gossip(cluster):
        while True:
            yield from cluster.send(None, "a-0", "b-0", 3_000_000)  # three seconds

    ran = run(world([device("a-0", power=power), device("b-0", power=power)], [WIRE]), Serve(local, gossip))
    assert ran.devices["duration_s"].tolist() == [4.0, 4.0]
    last = ran.spans[ran.spans["kind"] == "control"].iloc[-1]
    assert np.isnan(last["ended_at_s"])
    spent_j = ran.devices[["energy_compute_j", "energy_tx_j", "energy_rx_j"]].to_numpy().sum()
    assert ran.spans["energy_j"].sum() == pytest.approx(spent_j)


def test_spans_are_handed_on_although_nobody_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    from edgesim.trace import buffer

    monkeypatch.setattr(buffer, "_PART_ROWS", 10)
    parts = []
    there = world(
        [device("a-0")],
        arrivals=Bursts(n_requests=20, period_s=1e6),
        n_requests=20,
        output=Fixed(50),
        horizon_s=100.0,
    )
    simulate(
        there, Serve(local), None, {"a-0": (WHOLE,)}, lambda name, table: parts.append((name, table.num_rows))
    )
    assert max(rows for name, rows in parts if name == "spans") <= 10 + 2 * 20
    assert len(parts) > 3


def test_an_endless_controller_does_not_hide_a_deadlock() -> None:
    def stuck(request, cluster):
        yield cluster._clock.event()

    def control(cluster):
        while True:
            yield from cluster.sleep(1.0)

    with pytest.raises(ContractError, match="deadlock"):
        run(world([device("a-0")]), Serve(stuck, control))


def test_a_controller_that_sends_among_failures_does_not_hide_a_deadlock(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Something is always left to happen then: what counts is that no request goes a step."""
    monkeypatch.setattr(arrivals, "_IDLE_STEPS", 1_000)
    monkeypatch.setattr(arrivals, "_IDLE_S", 50.0)

    def stuck(request, cluster):
        yield cluster._clock.event()

    def control(cluster):
        while True:
            yield from cluster.sleep(0.06)
            cluster.report("a-0", "b-0", 2000.0, wait=False)

    there = world(
        [device("a-0"), device("b-0")],
        [Link(between=("a-0", "b-0"), rate_bps=1e9)],
        faults=Faults(devices={"b-0": RandomOutages(1, 500.0, 1.0)}),
    )
    with pytest.raises(ContractError, match=r"for 50 s but failures and .* still waits"):
        run(there, Serve(stuck, control), keep_spans=False)


@pytest.mark.parametrize("has_controller", [False, True])
def test_a_deadlock_before_the_horizon_is_told(has_controller: bool) -> None:
    """The second of two requests waits for ever; nothing but a controller ticks on."""

    def stuck(request, cluster):
        yield from local(request, cluster)
        if request.id:
            yield cluster._clock.event()

    def control(cluster):
        while True:
            yield from cluster.sleep(1.0)

    serve = Serve(stuck, control if has_controller else None)
    ran = run(world([device("a-0")], n_requests=2, horizon_s=100.0), serve).requests.sort_values("request_id")
    assert ran["outcome"].tolist() == ["completed", "censored"]
    assert ran["reason"].isna().tolist() == [True, False]
    assert ran["reason"].iloc[1] == "deadlock: nothing was left to happen"


def test_requests_that_a_horizon_cuts_off_are_not_stuck() -> None:
    ran = run(world([device("a-0")], output=Fixed(500), horizon_s=100.0), Serve(local))
    assert ran.requests["outcome"].tolist() == ["censored"]
    assert ran.requests["reason"].isna().all()


def test_no_sleeping_backwards_and_nothing_but_verbs() -> None:
    def backwards(request, cluster):
        yield from cluster.sleep(-5.0)

    def odd(request, cluster):
        yield None

    with pytest.raises(ContractError, match="0 seconds or more"):
        run(world([device("a-0")]), Serve(backwards))
    with pytest.raises(TypeError, match="yielded None") as caught:
        run(world([device("a-0")]), Serve(odd))
    assert "LiveRequest(id=0" in caught.value.__notes__[0]


# --- early exits, replayed -----------------------------------------------------------------------

ANSWERS = ExitRecords(
    blocks=(2, N_BLOCKS),
    confidence=np.array([[0.9, 1.0], [0.2, 0.6], [0.7, 0.8]]),
    is_correct=np.array([[True, True], [False, True], [False, False]]),
)


def early(request, cluster):
    """Leave after two blocks where the exit is at least 0.7 sure."""
    for token in request.tokens():
        yield from cluster.compute(request, "a-0", Slice(0, 2, embedding=True, head=True), token)
        if not cluster.exits(request, token, 2, confidence=0.7):
            yield from cluster.compute(request, "a-0", Slice(2, N_BLOCKS, head=True), token)
            assert cluster.exits(request, token, N_BLOCKS, confidence=1.1)  # the model's own head
        yield from cluster.emit(request, "a-0", token)


def test_exits_are_replayed_from_measured_answers_token_by_token() -> None:
    there = world([device("a-0")], output=Fixed(6), exits=ANSWERS)
    ran = run(there, Serve(early))
    (asked,) = there.requests()
    rows = [(asked.sample + token) % 3 for token in range(6)]
    left_after = [2 if ANSWERS.confidence[row, 0] >= 0.7 else N_BLOCKS for row in rows]
    right = [
        ANSWERS.is_correct[row, 0 if block == 2 else 1] for row, block in zip(rows, left_after, strict=True)
    ]
    (told,) = ran.requests.itertuples()
    assert told.mean_exit_block == pytest.approx(np.mean(left_after))
    assert told.correct == pytest.approx(np.mean(right))
    n_waiting, n_passed = 0, 0
    for block in left_after:
        # Those that have left pass the last two blocks with the next that goes there (cluster.compute).
        n_waiting += 1
        n_passed += 2
        if block == N_BLOCKS:
            n_passed += 2 * n_waiting
            n_waiting = 0
    assert told.ended_at_s == n_passed  # a second per block and token


def test_exits_need_measured_answers_and_an_exit_that_stands_there() -> None:
    with pytest.raises(ContractError, match="no measured answers"):
        run(world([device("a-0")]), Serve(early))

    def wrong(request, cluster):
        cluster.exits(request, next(request.tokens()), 3, confidence=0.5)
        yield from cluster.sleep(0.0)

    with pytest.raises(ContractError, match="there is none after block 3; exits are after 2, 4"):
        run(world([device("a-0")], exits=ANSWERS), Serve(wrong))


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"blocks": (2,)}, "do not fit 1 exits"),
        ({"blocks": (4, 2)}, "expected increasing numbers"),
        ({"confidence": ANSWERS.confidence + 1}, "not a probability"),
    ],
)
def test_records_that_make_no_sense_are_refused(changes: dict[str, object], complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        replace(ANSWERS, **changes)
