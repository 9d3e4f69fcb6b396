"""Failures, batteries, preemption, retries, handover and groups at once: all laws hold."""

from __future__ import annotations

import math

import pytest
from crossings import WAYS, Crossing, crossings
from effort import sized
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from kept import kept
from miniature import run

from edgesim.world.battery import TOLERANCE
from edgesim.world.fleet import Fleet
from edgesim.world.world import World

N_EXAMPLES = sized(60, 1500)

strategies = st.builds(
    Crossing,
    ways=st.lists(st.sampled_from(WAYS), min_size=1, max_size=4).map(tuple),
    goes_on=st.booleans(),
    reports=st.booleans(),
)


@settings(
    max_examples=N_EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    phases=[Phase.generate, Phase.shrink],  # explaining a failure runs hundreds of worlds more
)
@given(there=crossings(), strategy=strategies)
def test_whatever_meets_every_law_holds(
    there: World, strategy: Crossing, tmp_path_factory: pytest.TempPathFactory
) -> None:
    placement = strategy.place(there.model, Fleet.of(there))
    ran = run(there, strategy, placement)
    requests, spans, devices = ran.requests, ran.spans, ran.devices.set_index("device")
    # Every request is there once, and ends once: completed with all its tokens, failed for a reason, or cut.
    assert sorted(requests["request_id"]) == [asked.id for asked in there.requests()]
    assert (requests["outcome"] != "censored").all() or there.horizon_s is not None
    assert requests["reason"].notna().equals(requests["outcome"] == "failed")
    completed = requests[requests["outcome"] == "completed"]
    assert (completed["n_emitted_tokens"] == completed["n_output_tokens"]).all()
    assert not spans[spans["kind"] == "emit"].duplicated(["request_id", "token"]).any()
    # Memory comes back, and nobody is counted who is not there.
    for memory in ran.cluster.memories.values():
        assert memory.resident_bytes <= memory.used_bytes <= memory.peak_bytes <= memory.capacity_bytes
        if there.horizon_s is None:
            assert memory.used_bytes == memory.resident_bytes
            assert not memory.holders
    if there.horizon_s is None:
        assert all(host.n_requests == 0 for host in ran.cluster.hosts.values())
    # Energy is spent and never won, and a battery gives what it has.
    drawn_j = devices[[column for column in devices.columns if column.startswith("energy_")]]
    assert (drawn_j.to_numpy(float) >= 0.0).all()
    assert (spans["energy_j"] >= 0.0).all()
    assert (requests["energy_j"] >= 0.0).all()
    for name, device in there.devices.items():
        if device.battery is not None:
            most_j = device.battery.initial_j + 2 * TOLERANCE * device.battery.capacity_j
            assert drawn_j.loc[name].sum() <= most_j
    # What is down does no work.
    work = spans[spans["kind"].isin(["compute", "endpoint"]) & spans["started_at_s"].notna()]
    for name, outages in ({} if there.faults is None else there.faults.devices).items():
        mine = work[work["device"] == name]
        for begun_s, ended_s in mine[["started_at_s", "ended_at_s"]].itertuples(index=False):
            assert not outages.down(begun_s)
            assert outages.next_down(begun_s) >= (begun_s if math.isnan(ended_s) else ended_s)
    # The laws of any trace, and the same seed gives the same.
    trace = kept(there, strategy, tmp_path_factory.mktemp("trace"))
    assert trace.check() == []
    again = run(there, strategy, placement)
    for name in ("requests", "spans", "devices"):
        assert getattr(again, name).equals(getattr(ran, name))
