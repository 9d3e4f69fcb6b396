"""Batteries: the instant of their emptying and the energy drawn, against sums by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from miniature import N_BLOCKS, PerBlock, Serve, Steady, device, run, world

from edgesim.errors import InputError
from edgesim.model.architecture import Slice
from edgesim.radio.motion.outages import ScheduledOutages
from edgesim.workload.arrivals import Bursts, Poisson
from edgesim.workload.lengths import Fixed
from edgesim.world.battery import Battery
from edgesim.world.device import Power
from edgesim.world.disciplines.processor_sharing import ProcessorSharing
from edgesim.world.faults import Faults, Retry
from edgesim.world.link import Link
from edgesim.world.medium import Medium, RadioChannel

WHOLE = Slice(0, N_BLOCKS, embedding=True, head=True)
POWER = Power(idle_w=1.0, active_w=4.0, tx_w=2.0, rx_w=3.0)
AT_ONCE = Bursts(n_requests=2, period_s=1e6)


def local(request, cluster):
    for token in request.tokens():
        yield from cluster.compute(request, request.source, WHOLE, token)
        yield from cluster.emit(request, request.source, token)


def told(ran, name="a-0"):
    row = ran.devices.set_index("device").loc[name]
    total_j = row[["energy_compute_j", "energy_tx_j", "energy_rx_j", "energy_idle_j"]].sum()
    return float(total_j), int(row["n_failures"])


@pytest.mark.parametrize("serving", [None, ProcessorSharing()])
def test_a_battery_empties_at_the_instant_at_which_it_is_drawn(serving) -> None:
    # Idle at 1 W and computing at 4 W more: 5 J a second from the beginning; 42.5 J last 8.5 s.
    battery = Battery(capacity_j=85.0, charge=0.5)
    there = world(
        [device("a-0", power=POWER, battery=battery, serving=serving)], output=Fixed(3), horizon_s=20.0
    )
    ran = run(there, Serve(local))
    (request,) = ran.requests.itertuples()
    assert (request.outcome, request.reason) == ("failed", "device down: a-0 (battery empty)")
    assert request.ended_at_s == pytest.approx(8.5, abs=85e-9 / 5 * 1.001)
    assert request.n_emitted_tokens == 2
    assert ran.devices["busy_s"][0] == pytest.approx(8.5, rel=1e-8)
    assert told(ran) == (pytest.approx(42.5, abs=85e-9), 1)
    assert ran.cluster.observe().battery_j("a-0") == pytest.approx(0.0, abs=85e-9)


@pytest.mark.parametrize("power", [POWER, Power(idle_w=0.25, radio_idle_w=0.75, active_w=9.0)])
def test_idling_empties_it_too_and_nothing_is_drawn_after(power) -> None:
    there = world([device("a-0", power=power, battery=Battery(capacity_j=3.0))], n_requests=2, horizon_s=9.0)
    ran = run(there, Serve(lambda request, cluster: (yield from cluster.sleep(7.0))))
    assert ran.requests["reason"].tolist() == ["device down: a-0 (battery empty)"] * 2
    np.testing.assert_allclose(ran.requests["ended_at_s"], 3.0, atol=3e-9)
    assert told(ran) == (pytest.approx(3.0, abs=3e-9), 1)


def test_the_radio_draws_while_it_sends_and_receives() -> None:
    def to_and_fro(request, cluster):
        while True:
            yield from cluster.send(request, "a-0", "b-0", 1e6)  # 1 s of 1 + 2 W
            yield from cluster.send(request, "b-0", "a-0", 1e6)  # 1 s of 1 + 3 W

    devices = [device("a-0", power=POWER, battery=Battery(capacity_j=16.0)), device("b-0", power=POWER)]
    there = world(devices, [Link(between=("a-0", "b-0"), rate_bps=8e6)], horizon_s=9.0)
    ran = run(there, Serve(to_and_fro))
    # 7 J in 2 s, 14 J in 4 s, and the rest in 2/3 s of sending.
    assert ran.requests["ended_at_s"][0] == pytest.approx(4 + 2 / 3, abs=1e-8)
    assert told(ran) == (pytest.approx(16.0, abs=16e-9), 1)
    sent = ran.spans[ran.spans["kind"] == "send"]
    assert sent["ended_at_s"].tolist()[-1] == pytest.approx(4 + 2 / 3, abs=1e-8)
    active_j = ran.devices[["energy_compute_j", "energy_tx_j", "energy_rx_j"]].to_numpy().sum()
    assert sent["energy_j"].sum() == pytest.approx(active_j)


def test_a_device_that_is_down_draws_nothing() -> None:
    there = world(
        [device("a-0", power=POWER, battery=Battery(capacity_j=3.0)), device("b-0")],
        faults=Faults(devices={"a-0": ScheduledOutages([(1.0, 6.0), (7.5, 8.0), (20.0, 30.0)])}),
        sources=("b-0",),
        horizon_s=40.0,
    )
    ran = run(there, Serve(local))
    # One second, then one and a half, then half a one until it is empty, at 8.5 s; it does not come back.
    assert told(ran) == (pytest.approx(3.0, abs=3e-9), 3)
    assert not ran.cluster.observe().is_up("a-0")


def test_an_empty_battery_is_not_mended() -> None:
    there = world(
        [device("a-0", power=POWER, battery=Battery(capacity_j=12.0))],
        output=Fixed(9),
        retry=Retry(limit=3, backoff_s=10.0),
    )
    ran = run(there, Serve(local))
    assert ran.requests["reason"].tolist() == ["device down: a-0 (battery empty)"]
    assert ran.requests["ended_at_s"][0] == pytest.approx(2.4 + 30.0)


def test_a_radio_with_several_messages_draws_once() -> None:
    def many(request, cluster):
        yield from cluster.together(*(cluster.send(request, "a-0", "b-0", 1e6) for _ in range(4)))

    air = RadioChannel(link=Steady(8e6), terminal="a-0", station="b-0", medium="b-0", key=1)
    devices = [device("a-0", power=POWER, battery=Battery(capacity_j=7.5)), device("b-0", power=POWER)]
    links = [Link(between=("a-0", "b-0"), rate_bps=8e6, radio=air)]
    there = world(devices, links, media={"b-0": Medium(name="b-0")}, horizon_s=9.0)
    ran = run(there, Serve(many))
    # Four messages of a second each share the band: 1 + 2 W, for 2.5 s.
    assert ran.requests["ended_at_s"][0] == pytest.approx(2.5, abs=1e-8)
    assert told(ran) == (pytest.approx(7.5, abs=7.5e-9), 1)


@settings(max_examples=30, deadline=None)
@given(
    capacity_j=st.floats(1.0, 60.0),
    idle_w=st.floats(0.0, 1.0),
    active_w=st.floats(0.0, 5.0),
    block_s=st.floats(0.01, 0.3),
    rate_hz=st.floats(0.1, 3.0),
)
def test_no_battery_gives_more_than_it_has(capacity_j, idle_w, active_w, block_s, rate_hz) -> None:
    power = Power(idle_w=idle_w, active_w=active_w, tx_w=1.0, rx_w=0.5)
    devices = [
        device("a-0", power=power, battery=Battery(capacity_j=capacity_j)),
        device("b-0", PerBlock(block_s), power=power, battery=Battery(capacity_j=capacity_j)),
    ]

    def remote(request, cluster):
        yield from cluster.send(request, "a-0", "b-0", 1e4)
        for token in request.tokens():
            yield from cluster.compute(request, "b-0", WHOLE, token)
            yield from cluster.emit(request, "b-0", token)

    there = world(
        devices,
        [Link(between=("a-0", "b-0"), rate_bps=1e6, latency_s=0.01)],
        arrivals=Poisson(rate_hz),
        output=Fixed(3),
        n_requests=40,
        horizon_s=30.0,
    )
    ran = run(there, Serve(remote))
    for name in ("a-0", "b-0"):
        total_j, n_failures = told(ran, name)
        assert total_j <= capacity_j * (1 + 1e-9)
        if n_failures:
            assert total_j == pytest.approx(capacity_j, abs=1.1e-9 * capacity_j)
        else:
            assert total_j < capacity_j
    spans_j = ran.spans["energy_j"].sum()
    columns = ["energy_compute_j", "energy_tx_j", "energy_rx_j"]
    assert spans_j == pytest.approx(ran.devices[columns].to_numpy().sum(), rel=1e-9, abs=1e-12)


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(InputError, match="capacity"):
        Battery(capacity_j=0.0)
    with pytest.raises(InputError, match="charge"):
        Battery(capacity_j=1.0, charge=1.5)
