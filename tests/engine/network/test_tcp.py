"""Nagle's algorithm and delayed acknowledgements: closed forms, and segment by segment on a long stream."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from miniature import Serve, Tables, answered, device, run, world

from edgesim.engine.simulation import simulate
from edgesim.errors import InputError
from edgesim.radio.motion.outages import ScheduledOutages
from edgesim.scenario.load import parse
from edgesim.trace.reader import Trace
from edgesim.trace.writer import TraceFolder
from edgesim.world.device import Endpoint
from edgesim.world.faults import Faults
from edgesim.world.link import Link
from edgesim.world.routes import link_facts
from edgesim.world.tcp import Tcp

MSS = 1000  # bytes: 1 ms at 8 Mbit/s
LATENCY_S, DELAY_S = 3e-3, 40e-3
PLAIN, NAGLE = Tcp(mss_bytes=MSS), Tcp(nagle=True, delayed_ack_s=DELAY_S, mss_bytes=MSS)


def send(*writes: Any, here: Tcp | None = NAGLE, there: Tcp | None = NAGLE, **facts: Any) -> Tables:
    """Write messages of so many bytes from a to b, at once; a negative size goes back, after those before."""

    def serve(request: Any, cluster: Any) -> Any:
        answered(request, "a-0", "b-0")
        begun: list[Any] = []
        for size in [*writes, None]:
            if (size is None or size < 0) and begun:
                yield from cluster.together(*begun)
                begun = []
            if size is not None and size < 0:
                yield from cluster.send(request, "b-0", "a-0", -size)
            elif size is not None:
                begun.append(cluster.send(request, "a-0", "b-0", size))
        cluster.fail(request, "sent")

    ends = [device("a-0", endpoint=Endpoint(tcp=here)), device("b-0", endpoint=Endpoint(tcp=there))]
    link = Link(between=("a-0", "b-0"), rate_bps=8e6, latency_s=LATENCY_S)
    return run(world(ends, [link], **facts), Serve(serve))


def ended_s(ran: Tables) -> float:
    return float(ran.requests["ended_at_s"].item())


def one_way_s(n_bytes: float) -> float:
    return n_bytes / 1e6 + LATENCY_S


STALL_S = DELAY_S + LATENCY_S
"""From the arrival of a small segment until its acknowledgement is back."""


def test_a_second_small_write_waits_for_the_acknowledgement_of_the_first() -> None:
    assert ended_s(send(100, 200)) == pytest.approx(one_way_s(100) + STALL_S + one_way_s(200))
    assert ended_s(send(100, 200, here=PLAIN)) == pytest.approx(one_way_s(300))
    assert ended_s(send(100, 200, there=None)) == pytest.approx(
        one_way_s(100) + LATENCY_S + one_way_s(200)  # acknowledged at once
    )


def test_a_lone_write_goes_whole_whatever_its_size() -> None:
    for n_bytes in (1, 999, 1000, 2500):
        assert ended_s(send(n_bytes)) == pytest.approx(one_way_s(n_bytes))


@pytest.mark.parametrize("n_exchanges", [1, 5])
def test_header_body_and_answer_lose_the_timer_in_every_exchange(n_exchanges: int) -> None:
    """Write, write, read: the answer acknowledges the body, and every exchange begins with nothing open."""
    exchange_s = one_way_s(20) + STALL_S + one_way_s(500) + one_way_s(50)
    assert ended_s(send(*[20, 500, -50] * n_exchanges)) == pytest.approx(n_exchanges * exchange_s)
    plain_s = one_way_s(520) + one_way_s(50)
    assert ended_s(send(*[20, 500, -50] * n_exchanges, here=PLAIN)) == pytest.approx(n_exchanges * plain_s)


def test_write_and_read_lose_nothing() -> None:
    """Request and answer in one write each: both ride on one another."""
    exchange_s = one_way_s(520) + one_way_s(50)
    assert ended_s(send(*[520, -50] * 4)) == pytest.approx(4 * exchange_s)


def test_a_header_of_its_own_is_such_a_write() -> None:
    headed = Tcp(nagle=True, delayed_ack_s=DELAY_S, mss_bytes=MSS, header_bytes=20)
    exchange_s = one_way_s(20) + STALL_S + one_way_s(500)
    assert ended_s(send(500, here=headed)) == pytest.approx(exchange_s)
    # Of a large body the full segments go at once, and acknowledge the header; the rest waits for them alone.
    full_s = one_way_s(20 + 2000)
    assert ended_s(send(2300, here=headed)) == pytest.approx(full_s + LATENCY_S + one_way_s(300))


def test_full_segments_do_not_wait_and_every_second_is_acknowledged_at_once() -> None:
    """After a small write: two full segments are acknowledged with it; a single one waits for the timer."""
    assert ended_s(send(100, 2000)) == pytest.approx(one_way_s(2100))
    assert ended_s(send(100, 2500)) == pytest.approx(one_way_s(2100) + LATENCY_S + one_way_s(500))
    # The first write's timer has begun when it arrived, and acknowledges the full segment, too.
    assert ended_s(send(100, 1500)) == pytest.approx(one_way_s(100) + STALL_S + one_way_s(500))


def test_small_writes_that_wait_go_together_and_at_once_when_they_fill_a_segment() -> None:
    first_s = one_way_s(100)
    assert ended_s(send(100, 200, 300)) == pytest.approx(first_s + STALL_S + one_way_s(500))
    ran = send(100, 600, 700)  # 1,300 bytes: a full segment now, 300 with the timer
    assert ended_s(ran) == pytest.approx(first_s + STALL_S + one_way_s(300))
    sent = ran.spans[ran.spans["kind"] == "send"]
    assert sorted(sent["size_bytes"]) == [100, 300, 400, 600]


def test_a_lost_segment_does_not_hold_the_connection_for_ever() -> None:
    faults = Faults(links={"a-0--b-0": ScheduledOutages([(1e-5, 2e-3)])})
    ran = send(100, 200, faults=faults, horizon_s=1.0)
    assert ran.requests["reason"].item().startswith("message lost: a-0--b-0")


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(1, 3500), min_size=1, max_size=6))
def test_a_stream_against_a_plain_loop(writes: list[int]) -> None:
    assert ended_s(send(*writes)) == pytest.approx(_loop(writes), abs=1e-9)


def _loop(writes: list[int]) -> float:
    """All writes at time zero, one segment after the other on the wire; when the last byte is there.

    A burst is acknowledged when its last segment is there, as in a simulation of messages.
    """
    total, sent, free_s, now_s = sum(writes), 0, 0.0, 0.0
    acks: list[tuple[float, int]] = []  # (when back, up to where)
    arrivals: list[tuple[float, int, int]] = []  # (when, bytes of the burst, up to where)
    acked = arrived = n_full = 0
    timer_s: float | None = None
    known = 0  # bytes written so far: the first write goes by itself, before the others are known
    for n_bytes in writes:
        known += n_bytes
        n = known - sent
        if sent > acked:
            n -= n % MSS
        if n:
            sent += n
            free_s += n / 1e6
            arrivals.append((free_s + LATENCY_S, n, sent))
    while arrived < total:
        times = [(at, 0) for at, *_ in arrivals[:1]] + [(at, 1) for at, _ in acks[:1]]
        times += [] if timer_s is None else [(timer_s, 2)]
        now_s, what = min(times)
        if what == 0:
            _, n, arrived = arrivals.pop(0)
            n_full += n // MSS
            if n_full >= 2:
                left = n_full % 2 * MSS + n % MSS
                acks.append((now_s + LATENCY_S, arrived - left))
                n_full, timer_s = n_full % 2, now_s + DELAY_S if left else None
            elif timer_s is None:
                timer_s = now_s + DELAY_S
        elif what == 1:
            acked = max(acked, acks.pop(0)[1])
            n = total - sent
            if sent > acked:
                n -= n % MSS
            if n:
                sent, free_s = sent + n, max(free_s, now_s) + n / 1e6
                arrivals.append((free_s + LATENCY_S, n, sent))
        else:
            acks.append((now_s + LATENCY_S, arrived))
            n_full, timer_s = 0, None
    return now_s


def test_a_trace_keeps_its_laws(tmp_path: Path) -> None:
    headed = Tcp(nagle=True, delayed_ack_s=DELAY_S, mss_bytes=MSS, header_bytes=20)
    ends = [device(id_, endpoint=Endpoint(overhead_s=1e-3, tcp=headed)) for id_ in ("a-0", "b-0")]
    made = world(ends, [Link(between=("a-0", "b-0"), rate_bps=8e6, latency_s=LATENCY_S)])

    def serve(request: Any, cluster: Any) -> Any:
        answered(request, "a-0", "b-0")
        for size in (100, 2500):
            yield from cluster.send(request, "a-0", "b-0", size)
            yield from cluster.send(request, "b-0", "a-0", size)
        cluster.fail(request, "sent")

    folder = TraceFolder(tmp_path / "trace")
    folder.write_run({"status": "complete", "strategies": ["tcp"], "links": link_facts(made.links)})
    holdings = {end.id: (made.model.whole,) for end in ends}
    simulate(made, Serve(serve), None, holdings, folder.parts("tcp", 0).write)
    assert Trace(tmp_path / "trace").check() == []


SCENARIO = """\
name: sockets
model: {architecture: gpt2, dtype: float32}
topology:
  devices:
    - {id: a, kind: jetson-agx-orin, endpoint: {tcp: {nagle: true, delayed_ack: 40 ms}}}
    - {id: b, kind: jetson-agx-orin}
  links: [{between: [a, b], wired: {rate: 1 Gbit/s}}]
workload: {sources: a, arrivals: {poisson: 1 Hz}, requests: 1, prompt_tokens: 4, output_tokens: 2}
strategies: [{use: local}]
"""


def test_a_scenario_says_it() -> None:
    endpoint = parse(SCENARIO).topology.devices[0].endpoint
    assert endpoint is not None
    assert endpoint.tcp is not None
    assert endpoint.tcp.value() == Tcp(nagle=True, delayed_ack_s=0.04)
    with pytest.raises(InputError, match=r"endpoint\.tcp: .* delayed by 0\.5 s; expected .* \(RFC 1122"):
        parse(SCENARIO.replace("40 ms", "500 ms"))
