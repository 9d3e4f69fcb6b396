"""Groups over the air in scenarios: budgets, shares, what is refused, and when."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from edgesim import runner
from edgesim.errors import InputError, PlacementError
from edgesim.scenario.load import load
from edgesim.trace.reader import Trace

Simulate = Callable[..., Trace]

QUICK = ("workload.requests=1", "workload.output_tokens=4")
OVER_THE_AIR = "topology.links[0].over_the_air"


def prepared(*changes: str, only: str = "aircomp-4") -> runner.Prepared:
    return runner.prepare(load("aircomp_llama2", [*QUICK, *changes]), only=(only,))


def error(trace: Trace, label: str) -> float:
    told: float = trace.requests(label, 0)["error_variance"].iloc[0]
    return told


def test_a_budget_is_charged_half_by_half_however_long_channels_last(simulate: Simulate) -> None:
    """The MLP's shard takes more energy than attention's, and leaves less to send its sums with."""

    def lasting(coherence: str, *changes: str) -> float:
        links = [
            f"topology.links[{i}].{key}"
            for i in (0, 1)
            for key in (f"over_the_air.coherence={coherence}", "fading={speed: 0 m/s}")
        ]
        return error(simulate("aircomp_assignment", *QUICK, *links, *changes, only=("even",)), "even")

    never = lasting("null")  # nothing moves: channels never change
    assert never == pytest.approx(lasting("1e6 s"), rel=1e-9)
    assert never > 1.2 * lasting("null", "strategies.even.budget=1 J")


def test_shares_with_the_least_error_beat_even_ones_where_devices_differ(simulate: Simulate) -> None:
    trace = simulate("aircomp_assignment", *QUICK, only=("even", "ssca"))
    assert error(trace, "ssca") < 0.7 * error(trace, "even")
    alike = simulate(
        "aircomp_assignment", *QUICK, "kinds.thirsty.power.active='40 mW'", only=("even", "ssca")
    )
    assert error(alike, "ssca") == pytest.approx(error(alike, "even"), rel=0.01)


def test_shares_of_least_mean_error_are_refused_where_the_error_has_no_mean() -> None:
    single = [
        f"topology.links[{i}].over_the_air.{key}"
        for i in (0, 1)
        for key in ("antennas={station: 4, terminal: 4}", "streams=4")
    ]
    scenario = load("aircomp_assignment", [*QUICK, *single])
    with pytest.raises(PlacementError, match="4 streams from 4 to 4 antennas it is infinite"):
        runner.prepare(scenario, only=("ssca",))
    assert runner.prepare(scenario, only=("even",)).placements


def test_shares_by_speed_follow_speed(simulate: Simulate) -> None:
    slow = ("kinds.thirsty.memory_bandwidth='58.1 GB/s'", "strategies.by-speed.budget='1 J'")  # half as fast
    found = runner.prepare(load("aircomp_assignment", [*QUICK, *slow]), only=("by-speed",)).placements
    shares = [shard.block_share for shard in found["by-speed"].shards.values()]
    assert shares[:4] == pytest.approx([1 / 6] * 4, abs=0.02)
    assert shares[4:] == pytest.approx([1 / 12] * 4, abs=0.02)


def test_imperfect_estimates_and_clocks_are_heard(simulate: Simulate) -> None:
    changes = {
        "perfect": (),
        "estimates": (f"{OVER_THE_AIR}.csi_error=0.1",),
        "clocks": (f"{OVER_THE_AIR}.synchronisation={{phase: 0.2, timing: 0.1}}",),
    }
    for label in ("aircomp-4", "uncoded-4"):
        errors = {
            name: error(simulate("aircomp_llama2", *QUICK, *change, only=(label,)), label)
            for name, change in changes.items()
        }
        assert errors["perfect"] < min(errors["estimates"], errors["clocks"])


def test_single_antennas_invert_their_channels(simulate: Simulate) -> None:
    single = (f"{OVER_THE_AIR}.antennas={{station: 1, terminal: 1}}", "strategies.aircomp-4.energy=null")
    errors = {
        name: error(
            simulate(
                "aircomp_llama2",
                *QUICK,
                *single,
                f"strategies.aircomp-4.transceiver={name}",
                only=("aircomp-4",),
            ),
            "aircomp-4",
        )
        for name in ("channel-inversion", "truncated-inversion", "least-error")
    }
    assert errors["least-error"] <= min(errors.values())


def test_a_member_out_of_reach_fails_the_request(simulate: Simulate) -> None:
    far = "topology.switches.server.place.at=[35 km, 20 km]"
    requests = simulate("aircomp_llama2", *QUICK, far, only=("digital-2",)).requests("digital-2", 0)
    assert requests["outcome"].tolist() == ["failed"]
    assert requests["reason"].tolist() == ["a member of the group is out of the station's reach"]


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ((f"{OVER_THE_AIR}=null",), "no station has a band for worker-0"),
        (("strategies.aircomp-4.all_reduce=ring",), "has no constant rate"),
        (
            ("faults=[{link: [worker, server], down: [[0 s, 9 s]]}]",),
            "'server', or a radio link of the group",
        ),
        (("faults=[{device: server, down: [[0 s, 9 s]]}]",), "'server', or a radio link of the group"),
        (
            ("faults=[{device: worker-1, down: [[0 s, 9 s]]}]",),
            "'worker-1' is a member of a group and may fail",
        ),
        (("strategies.aircomp-4.budget=1 mJ",), "spends .* of a budget of 0.001 J"),
        (("strategies.aircomp-4.shares=ssca",), "'ssca' are those with the least error"),
        (("strategies.aircomp-4.transceiver=least-error",), "expected one at either end"),
    ],
)
def test_what_cannot_be_is_refused_before_time_zero(changes: tuple[str, ...], complaint: str) -> None:
    with pytest.raises(PlacementError, match=f"strategy 'aircomp-4': .*{complaint}"):
        prepared(*changes)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ("topology.links[0].csi={error: 0.5}", "leave out 'csi'"),
        ("topology.links[0].interference=true", "leave out 'csi' and 'interference'"),
        (f"{OVER_THE_AIR}.rician_k=4000 dB", "too large a number"),
        (f"{OVER_THE_AIR}.coherence=1e-20 s", "too small a number"),
        (f"{OVER_THE_AIR}.streams=5", "expected 1 to 4"),
        ("strategies.aircomp-4.shares=[1, 1, 1, 0]", "greater than 0"),
        ("strategies.aircomp-4.per_sum=.inf", "finite"),
        ("strategies.aircomp-4.per_sum=true", "quantity with its unit"),
    ],
)
def test_mistakes_over_the_air_are_told(change: str, complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        prepared(change)


def test_links_of_one_station_that_disagree_are_refused() -> None:
    with pytest.raises(InputError, match=r"links of 'server' disagree on 'over_the_air'"):
        runner.prepare(
            load("aircomp_assignment", [*QUICK, "topology.links[1].over_the_air.antennas.terminal=2"]),
            only=("even",),
        )
    unlike = "topology.links[1].over_the_air.rician_k=-20 dB"
    assert runner.prepare(load("aircomp_assignment", [*QUICK, unlike]), only=("even",)).placements
