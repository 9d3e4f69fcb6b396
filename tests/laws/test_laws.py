"""Universal statements, on worlds that Hypothesis makes up."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kept import kept
from miniature import PerBlock, Tables, device, model, run, world

from edgesim.strategies.local import Local
from edgesim.strategies.offload import Offload
from edgesim.strategies.pipeline import Pipeline
from edgesim.strategy import Strategy
from edgesim.testing import worlds
from edgesim.workload.arrivals import Gamma, Poisson
from edgesim.workload.lengths import Uniform
from edgesim.world.device import Endpoint, Power
from edgesim.world.fleet import Fleet
from edgesim.world.link import Link
from edgesim.world.world import World

STRATEGIES: tuple[Strategy, ...] = (
    Local(),
    Offload(to=("d-1", "d-2")),
    Pipeline(partition="even"),
    Pipeline(partition="latency", over=("d-1", "d-2")),
)

rates = st.floats(0.05, 5.0)
durations = st.floats(0.0, 0.5)


@st.composite
def made_up(draw: st.DrawFn) -> World:
    """Three devices with made-up speeds, endpoints and power, fully linked; two of them are sources."""
    tight = draw(st.booleans())
    room = 60 * model().kv_bytes_per_token(4) if tight else 1 << 40
    devices = [
        device(
            f"d-{i}",
            PerBlock(draw(st.floats(0.001, 0.2)), head_s=draw(durations)),
            memory_bytes=model().weight_bytes(model().whole) + room,
            power=Power(idle_w=1.0, active_w=draw(rates), tx_w=draw(rates), rx_w=draw(rates)),
            endpoint=Endpoint(overhead_s=draw(durations), on_compute=draw(st.booleans())),
        )
        for i in range(3)
    ]
    links = [
        Link(between=(a.id, b.id), rate_bps=draw(st.floats(1e5, 1e9)), latency_s=draw(durations))
        for a, b in itertools.combinations(devices, 2)
    ]
    return world(
        devices,
        links,
        arrivals=Gamma(draw(rates), draw(st.floats(0.2, 3.0))),
        prompt=Uniform(1, 20),
        output=Uniform(1, 6),
        n_requests=25,
        horizon_s=draw(st.sampled_from([None, 5.0, 30.0])),
        sources=("d-0", "d-1"),
        seed=draw(st.integers(0, 1000)),
        memory_policy=draw(st.sampled_from(["queue", "reject"])),
    )


def serve(there: World, strategy: Strategy) -> Tables:
    return run(there, strategy, strategy.place(there.model, Fleet.of(there)))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(there=made_up(), strategy=st.sampled_from(STRATEGIES))
def test_every_trace_obeys_the_laws(
    there: World, strategy: Strategy, tmp_path_factory: pytest.TempPathFactory
) -> None:
    assert kept(there, strategy, tmp_path_factory.mktemp("trace")).check() == []


@pytest.mark.parametrize("strategy", STRATEGIES, ids=lambda strategy: type(strategy).__name__)
def test_tokens_that_come_at_one_instant_are_lawful(strategy: Strategy, tmp_path: Path) -> None:
    """Where computing and sending take no time, all of a request happens as it arrives, in order."""
    devices = [device(f"d-{i}", PerBlock(0.0)) for i in range(3)]
    links = [Link(between=(a.id, b.id), rate_bps=math.inf) for a, b in itertools.combinations(devices, 2)]
    trace = kept(world(devices, links, output=Uniform(2, 6), n_requests=10), strategy, tmp_path / "trace")
    assert trace.check() == []
    requests, spans = trace.requests("one", 0), trace.spans("one", 0)
    assert (requests["ended_at_s"] == requests["arrived_at_s"]).all()
    assert (spans["kind"] == "emit").sum() == requests["n_output_tokens"].sum() > 20


@settings(max_examples=25, deadline=None)
@given(there=made_up(), strategy=st.sampled_from(STRATEGIES))
def test_conservation(there: World, strategy: Strategy) -> None:
    """Requests, memory and work: what came in has gone out, or is still there."""
    ran = serve(there, strategy)
    assert sorted(ran.requests["request_id"]) == [r.id for r in there.requests()]
    held = dict.fromkeys(there.devices, 0)
    for device_id, memory in ran.cluster.memories.items():
        assert memory.used_bytes <= memory.peak_bytes <= memory.capacity_bytes
        held[device_id] = memory.used_bytes - memory.resident_bytes
    if there.horizon_s is None:
        assert set(held.values()) == {0}
        assert all(host.n_requests == 0 for host in ran.cluster.hosts.values())


@settings(max_examples=20, deadline=None)
@given(there=made_up(), strategy=st.sampled_from(STRATEGIES))
def test_the_utilisation_law_on_every_station(there: World, strategy: Strategy) -> None:
    """Busy time is arrivals times mean service: the stations' own books against the spans."""
    ran = serve(there, strategy)
    end_s = ran.devices["duration_s"].iloc[0]
    begun = ran.spans[ran.spans["started_at_s"].notna()]
    served_s = begun["ended_at_s"].fillna(np.inf).clip(upper=end_s) - begun["started_at_s"]
    for id_, busy_s in ran.devices.set_index("device")["busy_s"].items():
        on_compute = there.devices[id_].endpoint.on_compute
        kinds = ["compute", "endpoint"] if on_compute else ["compute"]
        mine = begun["kind"].isin(kinds) & (begun["device"] == id_)
        assert math.isclose(served_s[mine].sum(), busy_s, rel_tol=1e-9, abs_tol=1e-9), id_
    for (sender, peer), hop in ran.cluster.hops.items():
        mine = (begun["kind"] == "send") & (begun["device"] == sender) & (begun["peer"] == peer)
        ended_s = (begun["ended_at_s"][mine].fillna(np.inf) - hop.latency_s).clip(upper=end_s)
        if begun["ended_at_s"][mine].notna().all():  # a message cut by the end has no end to subtract from
            busy_s = (ended_s - begun["started_at_s"][mine]).sum()
            assert math.isclose(busy_s, hop.busy_until(end_s), rel_tol=1e-9, abs_tol=1e-9), (sender, peer)


def doubled(there: World) -> World:
    """Every duration twice as long, every rate half as high."""
    arrivals = there.workload.arrivals
    assert isinstance(arrivals, Gamma | Poisson)
    devices = {
        id_: replace(
            d,
            timing=PerBlock(2 * d.timing.block_s, 2 * d.timing.head_s),
            endpoint=replace(
                d.endpoint,
                overhead_s=2 * d.endpoint.overhead_s,
                staging_bytes_per_s=d.endpoint.staging_bytes_per_s / 2,
            ),
        )
        for id_, d in there.devices.items()
    }
    links = tuple(
        replace(link, rate_bps=link.rate_bps / 2, latency_s=2 * link.latency_s) for link in there.links
    )
    horizon_s = None if there.horizon_s is None else 2 * there.horizon_s
    workload = replace(
        there.workload, arrivals=replace(arrivals, rate_hz=arrivals.rate_hz / 2), horizon_s=horizon_s
    )
    return replace(there, devices=devices, links=links, workload=workload, horizon_s=horizon_s)


@settings(max_examples=30, deadline=None)
@given(there=made_up(), strategy=st.sampled_from(STRATEGIES))
def test_doubling_every_duration_doubles_every_timestamp_bit_for_bit(
    there: World, strategy: Strategy
) -> None:
    """Multiplication by two is exact in binary floating point, so any unit mixed up anywhere shows."""
    placement = strategy.place(there.model, Fleet.of(there))
    once, twice = run(there, strategy, placement), run(doubled(there), strategy, placement)
    for before, after in ((once.spans, twice.spans), (once.requests, twice.requests)):
        assert len(before) == len(after)
        instants = [column for column in before.columns if column.endswith("_at_s")]
        for column in instants:
            assert np.array_equal(2 * before[column].to_numpy(), after[column].to_numpy(), equal_nan=True), (
                column
            )
        same = [c for c in before.columns if c not in instants and not c.endswith("_j")]
        assert before[same].equals(after[same])


def test_one_rate_left_as_it_was_is_caught() -> None:
    """The doubling test can fail: leave one link at its old rate."""
    there = next(w for name, w in worlds().items() if name == "slow links")
    devices = {id_: replace(d, timing=PerBlock(0.01)) for id_, d in there.devices.items()}
    there = replace(there, devices=devices)
    wrong = doubled(there)
    wrong = replace(
        wrong, links=(replace(wrong.links[0], rate_bps=there.links[0].rate_bps), *wrong.links[1:])
    )
    strategy = Offload(to=("server-0",))
    once, twice = serve(there, strategy), serve(wrong, strategy)
    assert not np.array_equal(2 * once.spans["ended_at_s"].to_numpy(), twice.spans["ended_at_s"].to_numpy())


@settings(max_examples=15, deadline=None)
@given(there=made_up(), strategy=st.sampled_from(STRATEGIES))
def test_the_same_seed_gives_the_same_run(there: World, strategy: Strategy) -> None:
    once, again = serve(there, strategy), serve(there, strategy)
    assert once.spans.equals(again.spans)
    assert once.requests.equals(again.requests)
    assert once.devices.equals(again.devices)


@settings(max_examples=15, deadline=None)
@given(there=made_up())
def test_every_strategy_meets_the_same_requests(there: World) -> None:
    drawn = ["request_id", "source", "sample", "arrived_at_s", "n_prompt_tokens", "n_output_tokens"]
    told = [serve(there, s).requests.sort_values("request_id", ignore_index=True)[drawn] for s in STRATEGIES]
    for other in told[1:]:
        assert told[0].equals(other)


@settings(max_examples=15, deadline=None)
@given(there=made_up())
def test_on_a_network_that_costs_nothing_a_lone_request_takes_its_compute(there: World) -> None:
    """The pipeline over free links is the sum of its parts."""
    free = tuple(replace(link, rate_bps=math.inf, latency_s=0.0) for link in there.links)
    devices = {id_: replace(d, endpoint=Endpoint()) for id_, d in there.devices.items()}
    lone = replace(there.workload, n_requests=1, horizon_s=None)
    there = replace(there, links=free, devices=devices, workload=lone, horizon_s=None)
    ran = serve(there, Pipeline(partition="even"))
    (asked,) = there.requests()
    work = ran.spans[ran.spans["kind"] == "compute"]
    busy_s = float((work["ended_at_s"] - work["started_at_s"]).sum())
    assert ran.requests["ended_at_s"][0] - asked.arrived_at_s == pytest.approx(busy_s, rel=1e-12)
