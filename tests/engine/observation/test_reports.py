"""Reports between devices: every instant by hand, what is lost or late, and what they cost."""

from __future__ import annotations

import math

import pytest
from airwaves import STATION, Channel, Interface, cell
from miniature import N_BLOCKS, Serve, Tables, device, run, world

from edgesim.errors import ContractError
from edgesim.model.architecture import Slice
from edgesim.radio.adaptation.air_interface import Arq
from edgesim.radio.motion.outages import ScheduledOutages
from edgesim.workload.arrivals import Bursts
from edgesim.workload.lengths import Fixed
from edgesim.world.device import Endpoint, Power
from edgesim.world.disciplines.continuous import ContinuousBatching
from edgesim.world.disciplines.fifo import FirstComeFirstServed
from edgesim.world.disciplines.processor_sharing import ProcessorSharing
from edgesim.world.disciplines.static import StaticBatching
from edgesim.world.faults import Faults
from edgesim.world.link import Link

WHOLE = Slice(0, N_BLOCKS, embedding=True, head=True)
WIRE = Link(between=("a-0", "b-0"), rate_bps=8e6, latency_s=0.5)
POWER = Power(active_w=1.0, tx_w=4.0, rx_w=2.0)
LOG = ("kind", "device", "peer", "via", "asked_at_s", "started_at_s", "ended_at_s", "size_bytes")


def local(request, cluster):
    """Four seconds of work at the source for every token."""
    for token in request.tokens():
        yield from cluster.compute(request, request.source, WHOLE, token)
        yield from cluster.emit(request, request.source, token)


def controlled(control, links=(WIRE,), devices=None, serve=local, **facts) -> Tables:
    there = world(devices or [device("a-0"), device("b-0")], links, **({"horizon_s": 10.0} | facts))
    return run(there, Serve(serve, control))


def test_a_report_goes_hop_by_hop_and_is_told_as_control() -> None:
    """Over a switch: 0.25 s at either end (at a-0 behind 4 s of work), 1 ms and 0.5 s, 2 ms and 0.25 s."""
    ends = Endpoint(overhead_s=0.25, on_compute=True)
    devices = [
        device("a-0", endpoint=ends, power=POWER),
        device("s-0", timing=None, power=POWER),
        device("b-0", endpoint=ends, power=POWER),
    ]
    links = [
        Link(between=("a-0", "s-0"), rate_bps=8e6, latency_s=0.5),
        Link(between=("s-0", "b-0"), rate_bps=4e6, latency_s=0.25),
    ]
    arrived = []

    def control(cluster):
        arrived.append((yield from cluster.report("b-0", "a-0", 1000)))
        arrived.append(cluster.now_s)
        yield from cluster.sleep(100.0)

    ran = controlled(control, links, devices)
    assert arrived == [True, 4.25]
    rows = ran.log(*LOG)
    told = [row for row in rows if row[0] != "compute" and row[0] != "emit"]
    assert told == [
        ("endpoint", "b-0", None, None, 0.0, 0.0, 0.25, 1000),
        ("control", "b-0", "s-0", "b-0--s-0", 0.25, 0.25, 0.502, 1000),
        ("control", "s-0", "a-0", "a-0--s-0", 0.502, 0.502, 1.003, 1000),
        ("endpoint", "a-0", None, None, 1.003, 4.0, 4.25, 1000),
    ]
    of_control = ran.spans[ran.spans["request_id"].isna()]
    assert len(of_control) == 4
    assert of_control["token"].isna().all()
    assert (of_control["attempts"] == 1).all()
    # 2 ms and 1 ms on wires at 6 W, 0.25 s at either end at 1 W; nobody's request has them.
    assert of_control["energy_j"].tolist() == pytest.approx([0.25, 0.012, 0.006, 0.25])
    spent_j = ran.devices[["energy_compute_j", "energy_tx_j", "energy_rx_j"]].to_numpy().sum()
    assert spent_j == pytest.approx(ran.requests["energy_j"].sum() + 0.518)


def test_what_is_known_is_as_old_as_the_way_and_the_period() -> None:
    """b-0 works from 1 s on; it reports every 2 s to a-0, 0.501 s away, and knows itself at once."""
    seen = []

    def remote(request, cluster):
        yield from cluster.sleep(0.0)
        yield from local(request, cluster)

    def control(cluster):
        for _ in range(3):
            yield from cluster.report("b-0", "a-0", 1000, payload=("costs", cluster.now_s), wait=False)
            yield from cluster.sleep(2.0)

    def look(request, cluster):
        for at_s in (0.25, 0.6, 2.4, 2.6, 4.6):
            yield from cluster.sleep(at_s - cluster.now_s)
            known = cluster.observe(at="a-0")
            age_s = known.age_s("b-0")
            if not known.knows("b-0"):
                seen.append((at_s, age_s))
                continue
            state = known.device("b-0")
            seen.append((at_s, age_s, state.at_s, state.backlog_s, known.payload("b-0")))
            assert (known.backlog_s("b-0"), known.is_up("b-0")) == (state.backlog_s, True)
            assert known.age_s("a-0") == 0.0
            assert known.device("a-0") == cluster.observe().device("a-0")
        cluster.fail(request, "seen")

    def serve(request, cluster):
        return look(request, cluster) if request.source == "a-0" else remote(request, cluster)

    ran = controlled(
        control,
        serve=serve,
        sources=("a-0", "b-0"),
        arrivals=Bursts(n_requests=8, period_s=1e6),
        n_requests=8,
        seed=2,
    )
    n_remote = int((ran.requests["source"] == "b-0").sum())
    n_lookers = 8 - n_remote
    assert n_remote >= 2
    assert n_lookers >= 1
    booked_s = 4.0 * n_remote
    expected = [
        (0.25, math.inf),
        (0.6, pytest.approx(0.6), 0.0, 0.0, ("costs", 0.0)),
        (2.4, pytest.approx(2.4), 0.0, 0.0, ("costs", 0.0)),
        (2.6, pytest.approx(0.6), 2.0, pytest.approx(booked_s - 2.0), ("costs", 2.0)),
        (4.6, pytest.approx(0.6), 4.0, pytest.approx(booked_s - 4.0), ("costs", 4.0)),
    ]
    assert sorted(seen, key=lambda row: row[0]) == [row for row in expected for _ in range(n_lookers)]


def test_links_are_known_as_their_sender_last_said() -> None:
    """b-0 has half of a megabyte under way when it reports; then it does not tell of that wire."""
    third = Link(between=("b-0", "c-0"), rate_bps=8e6)
    seen = []

    def control(cluster):
        big = cluster.send(None, "b-0", "c-0", 1_000_000)
        yield from cluster.sleep(0.5)
        yield from cluster.report("b-0", "a-0", 1000)
        known = cluster.observe(at="a-0")
        seen.append(known.link("b-0", "c-0"))
        seen.append([hop.at_s for hop in known.route("a-0", "c-0").hops])
        yield from cluster.report("b-0", "a-0", 1000, links=("a-0",))
        known = cluster.observe(at="a-0")
        with pytest.raises(
            ContractError, match="says nothing of a link to 'c-0'; it reported those to 'a-0'"
        ):
            known.link("b-0", "c-0")
        with pytest.raises(ContractError, match="no report from 'c-0' has arrived yet"):
            known.route("c-0", "b-0")
        with pytest.raises(ContractError, match=r"no report from 'c-0' has arrived yet; ask knows\('c-0'\)"):
            known.backlog_s("c-0")
        with pytest.raises(ContractError, match="no report from 'c-0'"):
            known.payload("c-0")
        with pytest.raises(ContractError, match="no device 'd-0'"):
            cluster.observe(at="d-0")
        yield from big
        yield from cluster.sleep(0.5)
        with pytest.raises(ContractError, match="observe again"):
            known.age_s("b-0")

    controlled(control, [WIRE, third], [device(f"{name}-0") for name in "abc"])
    link, ages = seen
    assert (link.at_s, link.queued_bytes, link.queued_s) == (0.5, 500_000.0, 0.5)
    assert ages == [pytest.approx(1.001), 0.5]


def test_a_lost_report_leaves_what_was_known() -> None:
    """The wire is down from 1.2 s to 3 s: what left at 1 s is lost on its way, what leaves at 2 s at once."""
    faults = Faults(links={"a-0--b-0": ScheduledOutages([(1.0002, 3.0)])})
    arrived, known = [], []

    def control(cluster):
        for number in range(5):
            cluster_at_s = cluster.now_s
            arrived.append((yield from cluster.report("b-0", "a-0", 1000, payload=number)))
            state = cluster.observe(at="a-0")
            known.append((state.payload("b-0"), round(cluster.now_s - state.age_s("b-0"), 9)))
            yield from cluster.sleep(1.0 - (cluster.now_s - cluster_at_s))

    ran = controlled(control, faults=faults)
    assert arrived == [True, False, False, True, True]
    assert known == [(0, 0.0), (0, 0.0), (0, 0.0), (3, 3.0), (4, 4.0)]
    sent = [row for row in ran.log(*LOG) if row[0] == "control"]
    assert [row[5:] for row in sent] == [
        (0.0, 0.501, 1000),
        (1.0, 1.0002, 1000),  # what had left by then
        (3.0, 3.501, 1000),
        (4.0, 4.501, 1000),
    ]


def test_a_report_of_a_device_that_is_down_is_lost() -> None:
    faults = Faults(devices={"b-0": ScheduledOutages([(0.0, 2.0)])})
    arrived = []

    def control(cluster):
        arrived.append((yield from cluster.report("b-0", "a-0", 1000)))
        arrived.append((yield from cluster.report("a-0", "b-0", 1000)))
        yield from cluster.report("b-0", "a-0", 1000, wait=False)
        yield from cluster.sleep(2.5)
        arrived.append(cluster.observe(at="a-0").knows("b-0"))
        arrived.append((yield from cluster.report("b-0", "a-0", 1000)))

    controlled(control, faults=faults)
    assert arrived == [False, False, False, True]


def test_a_report_lost_on_the_air_raises_nothing() -> None:
    """Every block fails; a message that is waited for in the same way raises MessageLost."""
    arrived = []
    there = cell({"t0": Channel(1e6, (1.0,), air=Interface(0.0, Arq(0, 0.0)))}, horizon_s=5.0)

    def serve(request, cluster):
        yield from cluster.sleep(1.0)
        cluster.fail(request, "enough")

    def control(cluster):
        arrived.append((yield from cluster.report("t0", STATION, 125)))
        yield from cluster.report("t0", STATION, 125, wait=False)
        yield from cluster.sleep(1.0)
        arrived.append(cluster.observe(at=STATION).knows("t0"))

    ran = run(there, Serve(serve, control))
    assert arrived == [False, False]
    assert ran.spans["kind"].tolist() == ["control"] * 2
    assert ran.spans["energy_j"].tolist() == pytest.approx([3e-3] * 2)  # 1 ms at 2 W and 1 W each


def test_an_older_report_that_comes_later_is_dropped() -> None:
    """10 MB from b-0 take 10 s over a wire of its own; a small report overtakes it on a second way."""
    ends = [device("a-0"), device("b-0"), device("s-0", timing=None)]
    slow = Link(between=("s-0", "a-0"), rate_bps=8e6)
    fast = Link(between=("b-0", "s-0"), rate_bps=8e6)
    seen = []

    def control(cluster):
        # Two hops of 1 s each; the second, from the switch itself, goes between them.
        yield from cluster.report("b-0", "a-0", 1_000_000, payload="old", wait=False)
        yield from cluster.sleep(0.5)
        yield from cluster.report("s-0", "a-0", 1000, payload="switch", wait=False)
        yield from cluster.sleep(1.0)
        seen.append((cluster.observe(at="a-0").knows("s-0"), cluster.observe(at="a-0").knows("b-0")))
        yield from cluster.sleep(1.0)
        seen.append(cluster.observe(at="a-0").payload("b-0"))

    controlled(control, [slow, fast], ends)
    assert seen == [(True, False), "old"]


def test_a_round_of_reports_is_waited_for_together_and_does_not_stop_at_a_loss() -> None:
    devices = [device(f"{name}-0") for name in "abc"]
    third = Link(between=("a-0", "c-0"), rate_bps=8e6, latency_s=0.25)
    faults = Faults(links={"a-0--b-0": ScheduledOutages([(0.0, 9.0)])})
    rounds = []

    def control(cluster):
        said = yield from cluster.together(
            *(cluster.report(name, "a-0", 1000, payload=name) for name in ("b-0", "c-0", "a-0"))
        )
        known = cluster.observe(at="a-0")
        rounds.append((said, round(cluster.now_s, 9), known.payload("c-0"), known.payload("a-0")))

    controlled(control, [WIRE, third], devices, faults=faults)
    assert rounds == [([False, True, True], 0.251, "c-0", "a-0")]


def test_a_report_that_is_not_waited_for_holds_nobody_up() -> None:
    instants = []

    def control(cluster):
        cluster.report("b-0", "a-0", 1_000_000, wait=False)  # nothing to wait for: no 'yield from' needed
        yield from cluster.report("b-0", "a-0", 1000, wait=False)
        instants.append(cluster.now_s)
        yield from cluster.sleep(1.6)
        instants.append(cluster.observe(at="a-0").age_s("b-0"))

    controlled(control)
    assert instants == [0.0, 1.6]


@pytest.mark.parametrize(
    ("call", "complaint"),
    [
        (
            lambda c: c.report("b-0", "a-0", 10, payload=[1.0]),
            "the payload is a list, which may still change",
        ),
        (lambda c: c.report("b-0", "a-0", -1), "found a size of -1 bytes; expected 0 or more"),
        (lambda c: c.report("b-9", "a-0", 10), "no device 'b-9'; did you mean 'b-0'"),
    ],
)
def test_a_report_that_cannot_be_is_told(call, complaint) -> None:
    def control(cluster):
        yield from call(cluster)

    with pytest.raises(ContractError, match=complaint):
        controlled(control)


def test_a_report_to_be_waited_for_is_waited_for() -> None:
    def control(cluster):
        cluster.report("b-0", "a-0", 10)
        yield from cluster.sleep(1.0)
        yield from cluster.sleep(1.0)

    with pytest.raises(ContractError, match=r"never waited for: report\('b-0', 'a-0', 10\)"):
        controlled(control)


def test_every_run_has_reports_of_its_own() -> None:
    """What one run has heard of, the next has not; and twice the same run is twice the same."""
    knew = []

    def control(cluster):
        knew.append(cluster.observe(at="a-0").knows("b-0"))
        yield from cluster.report("b-0", "a-0", 1000)

    first, second = controlled(control), controlled(control)
    assert knew == [False, False]
    assert first.spans.equals(second.spans)


# --- what devices are seen to have in hand ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("serving", "expected"),
    [
        (None, [(0.0, 3, 12.0), (5.0, 2, 7.0)]),
        (FirstComeFirstServed(queue_limit=9), [(0.0, 3, 12.0), (5.0, 2, 7.0)]),
        # Three share the device: in 5 s each has had 5/3 s of its four.
        (ProcessorSharing(), [(0.0, 3, 12.0), (5.0, 3, 7.0)]),
        # Prompts of one token are a decode batch of 4 s.
        (ContinuousBatching(max_batch=3), [(0.0, 3, 4.0), (5.0, 0, 0.0)]),
        # Two go together; the third waits for a place, and is no pass yet.
        (ContinuousBatching(max_batch=2), [(0.0, 2, 4.0), (5.0, 1, 3.0)]),
    ],
    ids=["fifo", "limited", "processor-sharing", "one batch", "batches"],
)
def test_passes_and_work_in_hand(serving, expected) -> None:
    """Three passes of 4 s come at once; a fourth request only sleeps."""
    seen = []

    def serve(request, cluster):
        if request.id < 3:
            yield from local(request, cluster)
            return
        for at_s in (1e-9, 5.0):
            yield from cluster.sleep(at_s - cluster.now_s)
            state = cluster.observe().device("a-0")
            assert (state.n_passes, state.work_s) == (
                cluster.observe().n_passes("a-0"),
                cluster.observe().work_s("a-0"),
            )
            seen.append((round(at_s, 6), state.n_passes, pytest.approx(state.work_s, abs=1e-8)))
        cluster.fail(request, "seen")

    there = world([device("a-0", serving=serving)], arrivals=Bursts(n_requests=4, period_s=1e6), n_requests=4)
    run(there, Serve(serve))
    assert seen == expected


@pytest.mark.parametrize("serving", [ContinuousBatching(max_batch=3), StaticBatching(max_batch=1)])
def test_who_waits_for_the_next_iteration_is_work_too(serving) -> None:
    """At 1.5 s the first pass has 2.5 s to go, and the one that came at 1 s all of its 4 s."""
    seen = []

    def serve(request, cluster):
        if request.id < 2:
            yield from cluster.sleep(request.id)
            yield from local(request, cluster)
            return
        yield from cluster.sleep(1.5)
        seen.append((cluster.observe().n_passes("a-0"), cluster.observe().work_s("a-0")))
        cluster.fail(request, "seen")

    there = world([device("a-0", serving=serving)], arrivals=Bursts(n_requests=3, period_s=1e6), n_requests=3)
    run(there, Serve(serve))
    assert seen == [(2, 6.5)]


def test_passes_of_several_verbs_at_once_count_each() -> None:
    """One request computes on two devices at once, and sends besides."""
    seen = []

    def serve(request, cluster):
        token = next(request.tokens())
        yield from cluster.send(request, "a-0", "b-0", request.prompt_bytes)
        here = cluster.compute(request, "a-0", WHOLE, token)
        there = cluster.compute(request, "b-0", WHOLE, token)
        state = cluster.observe()
        seen.append((state.n_passes("a-0"), state.n_passes("b-0")))
        yield from cluster.together(here, there)
        seen.append((cluster.observe().n_passes("a-0"), cluster.observe().n_passes("b-0")))
        yield from cluster.emit(request, "a-0", token)

    run(world([device("a-0"), device("b-0")], [WIRE], output=Fixed(1)), Serve(serve))
    assert seen == [(1, 1), (0, 0)]
