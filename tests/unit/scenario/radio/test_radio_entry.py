"""Radio links, movement and failures in YAML: what comes out, and one clear line for each mistake."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jsonschema import Draft202012Validator
from ruamel.yaml import YAML

from edgesim.errors import InputError, ScenarioError
from edgesim.model.architecture import Slice
from edgesim.radio.access.duplex import TddPattern
from edgesim.radio.access.edca import Edca
from edgesim.radio.access.wifi_mac import Aggregation, WifiMac
from edgesim.radio.access.wifi_phy import PpduFormat
from edgesim.radio.adaptation.air_interface import AirInterface
from edgesim.radio.adaptation.bler import LteThresholds
from edgesim.radio.adaptation.nr import Nr
from edgesim.radio.adaptation.shannon import Shannon, truncated_shannon
from edgesim.radio.adaptation.wifi import Wifi
from edgesim.radio.channel.csi import ImperfectCsi
from edgesim.radio.channel.fading import BlockFading, JakesFading
from edgesim.radio.channel.fading_by_line_of_sight import FadingByLineOfSight
from edgesim.radio.channel.fading_law import Nakagami, Rayleigh, Rician
from edgesim.radio.channel.path_loss.environments import IndoorFactory
from edgesim.radio.motion.mobility import GaussMarkov, RandomWaypoint
from edgesim.radio.motion.tracks import RecordedTrack
from edgesim.radio.radio_link import RadioLink
from edgesim.scenario.build import build_world, kinds_used
from edgesim.scenario.catalogue import device_kind, radio_kinds
from edgesim.scenario.failures import faults
from edgesim.scenario.load import parse
from edgesim.scenario.radio.air import tracks
from edgesim.scenario.radio.inspection import radio_links
from edgesim.scenario.schema.json_schema import json_schema
from edgesim.scenario.schema.scenario import Scenario
from edgesim.scenario.topology.topology import lay_out
from edgesim.world.battery import Battery
from edgesim.world.device import Power
from edgesim.world.faults import Retry
from edgesim.world.fleet import Fleet
from edgesim.world.world import World

TEXT = """\
name: air
seed: 3
model: {architecture: gpt2, dtype: float32}
profile: analytic
topology:
  devices:
    - {id: user, kind: raspberry-pi-5, count: 2, place: {grid: 30 m}}
    - {id: cell, kind: rtx-3090, place: {at: [40 m, 25 m]}}
  links:
    - {between: [user, cell], radio: nr-n78}
workload: {sources: user, arrivals: {poisson: 1 Hz}, prompt_tokens: 8, output_tokens: 4, requests: 5}
strategies: [{use: local}]
"""
USERS = "{id: user, kind: raspberry-pi-5, count: 2, place: {grid: 30 m}}"
LINK = "{between: [user, cell], radio: nr-n78}"


def scenario(*changes: tuple[str, str], folder: Path | None = None) -> Scenario:
    text = TEXT
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return parse(text, name="air.yaml", folder=folder or Path())


def links(*changes: tuple[str, str], replication: int = 0) -> list[RadioLink]:
    return [one.link for one in radio_links(scenario(*changes), replication=replication)]


def world_of(told: Scenario) -> World:
    timings: dict[str, Any] = dict.fromkeys(kinds_used(told), Instant())
    return build_world(told, 0, timings)


class Instant:
    """A timing that charges nothing."""

    origin = "analytic"

    def seconds(self, part: Slice, **_: Any) -> float:
        return 0.0

    def check(self, **_: Any) -> None:
        pass


def refusal(*changes: tuple[str, str], folder: Path | None = None) -> str:
    with pytest.raises(ScenarioError) as caught:
        scenario(*changes, folder=folder)
    return str(caught.value)


@pytest.mark.parametrize("radio", radio_kinds())
def test_every_radio_of_the_catalogue_carries_data_over_ten_metres(radio: str) -> None:
    (link,) = links(
        (USERS, "{id: user, kind: raspberry-pi-5, place: {at: [30 m, 25 m]}}"),
        ("radio: nr-n78", f"radio: {radio}, fading: none, propagation: free-space"),
    )
    for uplink in (True, False):
        state = link.state(0.0, uplink=uplink)
        assert state.rate_bps > 1e7
        assert state.errors[0] < 0.1


def test_every_figure_of_the_catalogue_has_a_source() -> None:
    for kind in radio_kinds().values():
        figures = [kind.carrier_hz, kind.bandwidth_hz, kind.latency_s]
        figures += [
            getattr(end, name) for end in (kind.terminal, kind.station) for name in type(end).model_fields
        ]
        assert all(figure.source for figure in figures)


def test_radios_keep_to_what_the_rules_allow() -> None:
    for name, kind in radio_kinds().items():
        terminal, station = kind.terminal, kind.station
        eirp_dbm = terminal.power_dbm.value + terminal.gain_dbi.value
        if name.startswith("wifi"):  # 200 mW EIRP indoors at 5.15 to 5.35 GHz in Europe
            assert max(eirp_dbm, station.power_dbm.value + station.gain_dbi.value) <= 23.0
        elif name == "nr-n258":  # power class 3 of frequency range 2 reaches at least 22.4 dBm
            assert eirp_dbm == pytest.approx(22.4)
        else:  # power class 3 of frequency range 1
            assert terminal.power_dbm.value == 23.0
    low_high_ghz = {"nr-n78": (3.3, 3.8), "nr-n1": (2.11, 2.17), "nr-n258": (24.25, 27.5)}
    for name, (low, high) in low_high_ghz.items():
        kind = radio_kinds()[name]
        half = kind.bandwidth_hz.value / 2e9
        assert low <= kind.carrier_hz.value / 1e9 - half
        assert kind.carrier_hz.value / 1e9 + half <= high


def test_figures_of_its_own_replace_the_catalogues() -> None:
    (link, _) = links(
        (
            "radio: nr-n78",
            "radio: {use: nr-n78, bandwidth: 20 MHz, carrier: 3.7 GHz, max_attempts: 2, arq_limit: 1, "
            "terminal: {power: 20 dBm}, station: {noise_figure: 4 dB, height: 12 m}}",
        )
    )
    assert isinstance(link.air, Nr)
    assert (link.air.n_prb, link.air.n_attempts, link.air.arq.limit) == (51, 2, 1)
    assert (link.terminal.power_dbm, link.station.noise_figure_db) == (20.0, 4.0)
    assert (link.large_scale.carrier_hz, link.large_scale.station_height_m) == (3.7e9, 12.0)
    assert link.bandwidth_hz(uplink=True) == 20e6


def test_a_weak_terminal_narrows_its_share_of_an_nr_carrier_but_not_a_wifi_channel() -> None:
    def uplink(radio: str, exponent: float) -> float:
        text = f"radio: {radio}, fading: none, propagation: {{model: log-distance, exponent: {exponent}}}"
        return links(("radio: nr-n78", text))[0].state(0.0, uplink=True).rate_bps

    assert 0 < uplink("nr-n78", 5.5) < 3e6  # a part of the 40 MHz, with all the power in it
    rates = {uplink("wifi6", exponent) for exponent in np.arange(3.0, 6.0, 0.1)}
    assert min(rates - {0.0}) == pytest.approx(36.0e6, rel=0.01)  # 802.11ax at 80 MHz: MCS 0, or nothing
    assert 0.0 in rates


def test_wifi_links_adapt_as_wifi_does() -> None:
    (link, _) = links(("radio: nr-n78", "radio: wifi6"))
    assert isinstance(link.air, Wifi)
    assert link.air.generation == "ax"


@pytest.mark.parametrize(
    ("text", "law", "process"),
    [
        ("rayleigh", Rayleigh(), JakesFading),
        ("{rician: {k: 9 dB}}", Rician(9.0), JakesFading),
        ("{nakagami: {m: 2}}", Nakagami(2.0), JakesFading),
        ("{law: rayleigh, process: block, speed: 3 m/s}", Rayleigh(), BlockFading),
        ("{rician: {k: 3 dB}, process: block}", Rician(3.0), BlockFading),
    ],
)
def test_fading_is_what_the_scenario_says(text: str, law: object, process: type) -> None:
    (link, _) = links(("radio: nr-n78", f"radio: nr-n78, fading: {text}"))
    fading = link._down.fading
    assert isinstance(fading, process)
    assert fading.law == law


def test_the_environments_fading_is_rician_in_line_of_sight_and_rayleigh_without() -> None:
    seen, hidden = (
        links(("radio: nr-n78", f"radio: nr-n78, propagation: {{model: 3gpp-umi, los: {los}}}"))
        for los in ("always", "never")
    )
    k_db = [link._down.fading.law.k_db for link in seen]  # type: ignore[attr-defined]
    assert len(set(k_db)) == len(k_db)  # drawn per link
    assert all(link._down.fading.law == Rayleigh() for link in hidden)  # type: ignore[attr-defined]


def test_both_ways_fade_alike_on_one_carrier_and_differently_on_two() -> None:
    (tdd, _), (fdd, _) = links(), links(("radio: nr-n78", "radio: nr-n1"))
    at_s = np.linspace(0, 1, 11)

    def fading_db(link: RadioLink, *, uplink: bool) -> list[float]:
        return [link.report(at, uplink=uplink).fading_db for at in at_s]

    assert fading_db(tdd, uplink=True) == fading_db(tdd, uplink=False)
    assert fading_db(fdd, uplink=True) != fading_db(fdd, uplink=False)


def test_a_channel_is_the_same_whoever_asks_and_another_in_another_replication() -> None:
    once, again, other = links(), links(), links(replication=1)
    told = [[link.report(0.7, uplink=True) for link in made] for made in (once, again, other)]
    assert told[0] == told[1]
    assert told[0] != told[2]


def test_imperfect_knowledge_makes_the_first_attempts_fail_as_often_as_the_target_says() -> None:
    text = "radio: nr-n78, fading: {law: rayleigh, process: block}, csi: {error: 0.3}, "
    text += "propagation: {model: log-distance, exponent: 4.5}"
    link = links(("radio: nr-n78", text))[0]
    step_s = link._down.fading.step_s  # type: ignore[attr-defined]
    states = [link.state((n + 0.5) * step_s, uplink=False) for n in range(6000)]
    errors = [state.errors[0] for state in states if 0 < state.grant.mcs < 28]
    # The offset is solved for mean ratios spread evenly in dB; one link has one mean ratio.
    assert np.mean(errors) == pytest.approx(0.1, rel=0.3)
    assert any(state.sinr_estimate > 2 * state.sinr for state in states)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{use: nr-n78, adaptation: shannon}", Shannon()),
        (
            "{use: nr-n78, adaptation: {shannon: {attenuation: 0.6, cap: 4.4, floor: -10 dB}}, "
            "target_bler: 0.2}",
            replace(truncated_shannon(), target_bler=0.2),
        ),
        (
            "{use: nr-n78, adaptation: {nr: {mcs_table: 2, cqi_table: 2, bler: lte-cqi, layers: 2, "
            "combining: chase, overhead: 0.08, round_trip_slots: 16}}, max_attempts: 3}",
            Nr(
                40e6, mcs_table=2, cqi_table=2, bler=LteThresholds(), n_layers=2, combining="chase",
                overhead_ratio=0.08, round_trip_slots=16, n_attempts=3,
            ),
        ),
        ("nr-n258", Nr(100e6, 120e3, 2)),
        (
            "{use: wifi5, adaptation: {wifi: {streams: 2, guard: 0.8 us, curve: nist, frame_bytes: 4096}}}",
            Wifi("ac", 80e6, n_streams=2, guard_s=0.8e-6, curve="nist", mpdu_bytes=4096),
        ),
    ],
)  # fmt: skip
def test_link_adaptation_is_what_the_scenario_says(text: str, expected: AirInterface) -> None:
    (link, _) = links(("radio: nr-n78", f"radio: {text}"))
    assert link.air == expected


def test_access_and_patience_reach_the_cell() -> None:
    asked = scenario(
        (
            "radio: nr-n78",
            "radio: {use: nr-n78, access: proportional-fair, fairness_window: 50, patience: 2 s, tdd: DSU}",
        )
    )
    (one, _) = radio_links(asked, replication=0)
    medium = one.medium
    assert (medium.access, medium.window, medium.give_up_s) == ("proportional-fair", 50.0, 2.0)
    assert medium.duplex == TddPattern("DSU", 0.5e-3)
    assert medium.slot_s == 0.5e-3
    (wifi, _) = radio_links(scenario(("radio: nr-n78", "radio: {use: wifi6, rts_cts: true}")), replication=0)
    assert wifi.mac == WifiMac(rts_from_bytes=0)


def test_contention_reaches_the_link_and_its_planners() -> None:
    asked = (
        "{use: wifi5, contention: {category: video, cw_max: 31, aggregation: {frames: 32, duration: 2 ms, "
        "size: 20 kB}, rts_from: 3 kB, transport_acks: true}, adaptation: {wifi: {streams: 2, guard: 0.8 us, "
        "frame_bytes: 1400}}}"
    )
    (one, _) = radio_links(scenario(("radio: nr-n78", f"radio: {asked}")), replication=0)
    assert one.mac == WifiMac(
        ppdu=PpduFormat(generation="ac", n_streams=2, guard_s=0.8e-6),
        edca=Edca(aifsn=2, cw_min=7, cw_max=31, txop_s=4.096e-3),
        aggregation=Aggregation(most_frames=32, longest_s=2e-3, most_bytes=20_000),
        frame_bytes=1400,
        rts_from_bytes=3000,
        acknowledges_segments=True,
    )
    for said, most in (("false", 1), ("true", 64)):
        asked = f"{{use: wifi6, contention: {{aggregation: {said}}}}}"
        (one, _) = radio_links(scenario(("radio: nr-n78", f"radio: {asked}")), replication=0)
        assert one.mac.aggregation.most_frames == most


def test_planners_know_what_a_short_message_costs_over_wifi() -> None:
    """At 3 m the fastest scheme, 600 Mb/s: half a slot, 43.2 + 13.6 us, SIFS, acknowledgement, the bits."""
    near = (USERS, "{id: user, kind: raspberry-pi-5, count: 1, place: {at: [40 m, 22 m]}}")
    still = "radio: {use: wifi6, latency: 0 ms, terminal: {power: 20 dBm}}, fading: none, "
    there = world_of(scenario(near, ("radio: nr-n78", still + "propagation: {model: 3gpp-inh, los: always}")))
    least_s = (4.5 + 43.2 + 13.6 + 16.0 + 28.0) * 1e-6
    assert there.links[0].access_s == pytest.approx(least_s)
    # 64 frames of 1572 bytes are 99 symbols: 1389.6 us, with SIFS, block acknowledgement and access 1548.1.
    full_bps = 64 * 12_000 / 1548.1e-6
    assert there.links[0].rate_bps == pytest.approx(full_bps, rel=1e-3)
    fleet, ends = Fleet.of(there), there.links[0].between
    for n_bytes, expected_s in ((4, least_s), (4_000_000, 32e6 / full_bps)):
        hosts_s = sum(there.devices[end].endpoint.seconds(n_bytes) for end in ends)
        assert fleet.transfer_seconds(*ends, n_bytes) - hosts_s == pytest.approx(expected_s, rel=2e-3)


def test_what_is_known_of_the_channel_is_what_the_scenario_says() -> None:
    (link, _) = links(("radio: nr-n78", "radio: nr-n78, csi: {error: 0.2, delay: 4 ms, period: 10 ms}"))
    csi = link._down._csi
    assert isinstance(csi, ImperfectCsi)
    assert (csi.error, csi.delay_s, csi.period_s) == (0.2, 4e-3, 10e-3)


def test_a_terminal_that_walks_has_a_direct_path_only_while_it_is_in_sight() -> None:
    area = "{random-waypoint: {area: {size: [200 m, 50 m]}, speed: [5 m/s, 9 m/s]}}"
    (link,) = links((USERS, f"{{id: user, kind: raspberry-pi-5, mobility: {area}}}"))
    fading = link._down.fading
    assert isinstance(fading, FadingByLineOfSight)
    seen = {link.large_scale.at(float(t)).is_los for t in range(200)}
    assert seen == {True, False}


def test_heights_and_clutter_of_a_factory() -> None:
    (link, _) = links(
        (
            "radio: nr-n78",
            "radio: {use: wifi6, station: {height: 8 m}}, propagation: {model: 3gpp-inf, variant: dh, "
            "clutter_density: 0.5, clutter_size: 3 m, clutter_height: 5 m}",
        )
    )
    expected = IndoorFactory("dh", clutter_density=0.5, clutter_size_m=3.0, clutter_height_m=5.0)
    assert link.large_scale.environment == expected


def test_a_wall_costs_what_it_costs() -> None:
    outside, inside = (
        links(
            (
                "radio: nr-n78",
                "radio: nr-n78, propagation: {model: 3gpp-umi, los: always, shadowing: false" + indoor + "}",
            )
        )[0]
        for indoor in ("", ", indoor: {wall: simple, depth: 10 m}")
    )
    gap_db = inside.report(0.0, uplink=True).path_loss_db - outside.report(0.0, uplink=True).path_loss_db
    assert gap_db == pytest.approx(20.0 + 0.5 * 10.0)  # TR 38.901 table 7.4.3-3 and 0.5 dB per metre


def test_devices_move_as_the_scenario_says(tmp_path: Path) -> None:
    (tmp_path / "ways.csv").write_text("t,id,x,y\n0,a,0,0\n10,a,10,0\n0,b,5,5\n10,b,5,15\n")
    moves = {
        "{random-waypoint: {area: {size: [50 m, 20 m]}, speed: [1 m/s, 7.2 km/h]}}": RandomWaypoint,
        "{gauss-markov: {area: {corner: [-5 m, 0 m], size: [50 m, 20 m]}, speed: 1.5 m/s}}": GaussMarkov,
        "{track: {file: ways.csv}}": RecordedTrack,
    }
    for text, kind in moves.items():
        told = scenario(
            (USERS, f"{{id: user, kind: raspberry-pi-5, count: 2, mobility: {text}}}"), folder=tmp_path
        )
        layout = lay_out(told.topology, seed=3, folder=tmp_path)
        where = tracks(layout, seed=3, replication=0, folder=tmp_path)
        assert {type(where[id_]) for id_ in ("user-0", "user-1")} == {kind}
        assert where["user-0"].position(5.0) != where["user-1"].position(5.0)
        assert where["cell"].position(5.0) == (40.0, 25.0)


def test_recorded_rates_become_links(tmp_path: Path) -> None:
    (tmp_path / "rate.csv").write_text("t,rate_bps\n0,1e6\n10,2e6\n20,3e6\n")
    told = scenario(
        (LINK, "{between: [user, cell], recorded: {file: rate.csv, latency: 5 ms}}"), folder=tmp_path
    )
    link = lay_out(told.topology, seed=3, folder=tmp_path).links[0]
    assert link.latency_s == 5e-3
    assert link.rate_bps.rate_bps(12.0) == 2e6  # type: ignore[union-attr]


def test_a_radios_power_by_state_reaches_the_device() -> None:
    told = scenario((USERS, USERS[:-1] + ", power: {tx: 1.2 W, rx: 0.9 W, radio_idle: 0.3 W}}"))
    devices = world_of(told).devices
    idle_w = device_kind("raspberry-pi-5").power.idle_w.value
    active_w = device_kind("raspberry-pi-5").power.active_w.value
    assert devices["user-1"].power == Power(
        idle_w=idle_w, active_w=active_w, tx_w=1.2, rx_w=0.9, radio_idle_w=0.3
    )
    assert devices["cell"].power.radio_idle_w == 0.0


def test_a_world_has_a_cell_for_each_station_and_the_way_of_each_terminal_through_them() -> None:
    area = "{random-waypoint: {area: {size: [200 m, 50 m]}, speed: [5 m/s, 9 m/s]}}"
    told = scenario(
        (USERS, f"{{id: user, kind: raspberry-pi-5, mobility: {area}}}"),
        ("{id: cell, kind: rtx-3090, place: {at: [40 m, 25 m]}}", "{id: cell, kind: rtx-3090, count: 2, "
        "place: {grid: 120 m}}"),
        (LINK, "{between: [user, cell], radio: nr-n78, interference: true, handover: {in_flight: lose}}\n"
        "    - {between: [cell-0, cell-1], wired: {rate: 1 Gbit/s, latency: 1 ms}}"),
    )  # fmt: skip
    world = world_of(told)
    assert set(world.media) == {"cell-0/nr-n78", "cell-1/nr-n78"}
    assert {link.radio.medium for link in world.links if link.radio is not None} == set(world.media)
    assert len({medium.band for medium in world.media.values()}) == 1
    assert set(world.media["cell-0/nr-n78"].across) == {"user"}
    assert world.roaming["user"].in_flight == "lose"
    # The serving cell at the start is the stronger one of the two channels.
    channels = {link.between[1]: link.radio.link for link in world.links if link.radio is not None}
    strongest = max(channels, key=lambda cell: channels[cell].mean_received_dbm(0.0))
    assert world.roaming["user"].serving.cell(0.0) == strongest
    assert all(link.rate_bps > 1e6 for link in world.links)  # type: ignore[operator]


def test_failures_batteries_and_retries_reach_the_world() -> None:
    told = scenario(
        ("{id: cell, kind: rtx-3090,", "{id: cell, kind: rtx-3090, battery: {capacity: 1 Wh, charge: 0.5},"),
        (
            "strategies:",
            "faults:\n"
            "  - {device: user, mtbf: 10 min, mttr: 5 s}\n"
            "  - {device: user-0, down: [[3 s, 4 s]]}\n"
            "  - {link: [user, cell], down: [[1 s, 2 s]]}\n"
            "retry: {limit: 3, backoff: 2 s, growth: 2}\nstrategies:",
        ),
    )
    layout = lay_out(told.topology, seed=3)
    made = faults(told, layout, replication=0)
    assert made is not None
    assert set(made.devices) == {"user-0", "user-1"}
    assert set(made.links) == {"cell--user-0", "cell--user-1"}
    assert made.devices["user-0"].down(3.5)
    assert made.links["cell--user-1"].next_down(0.0) == 1.0
    assert made.devices["user-0"].next_down(100.0) != made.devices["user-1"].next_down(100.0)
    assert told.retry is not None
    assert told.retry.value() == Retry(limit=3, backoff_s=2.0, growth=2.0)
    battery = told.topology.devices[1].battery
    assert battery is not None
    assert battery.value() == Battery(capacity_j=3600.0, charge=0.5)


MISTAKES = {
    "no place": (
        (USERS, "{id: user, kind: raspberry-pi-5, count: 2}"),
        ["air.yaml:10:", "'user-0' has no 'place'"],
    ),
    "unknown radio": (("nr-n78", "nr-n87"), ["air.yaml:10:", "no radio 'nr-n87'", "did you mean 'nr-n78'"]),
    "LoRa": (("nr-n78", "lora-eu868"), ["deliberately left out", "1 % duty cycle"]),
    "unknown model": (
        ("radio: nr-n78", "radio: nr-n78, propagation: 3gpp-umo"),
        ["air.yaml:10:", "no propagation model '3gpp-umo'", "3gpp-um"],
    ),
    "stray parameter": (
        ("radio: nr-n78", "radio: nr-n78, propagation: {model: 3gpp-umi, exponent: 3}"),
        ["air.yaml:10:", "'exponent' is no parameter of 3gpp-umi"],
    ),
    "no exponent": (("radio: nr-n78", "radio: nr-n78, propagation: log-distance"), ["needs an 'exponent'"]),
    "power without unit": (
        ("radio: nr-n78", "radio: {use: nr-n78, terminal: {power: 23 dB}}"),
        ["a power in dBm such as '23 dBm'", "which is a ratio in decibels"],
    ),
    "two kinds of link": (
        ("radio: nr-n78", "radio: nr-n78, wired: {rate: 1 Gbit/s}"),
        ["exactly one of wired, radio, recorded", "wired and radio"],
    ),
    "no kind of link": (
        (", radio: nr-n78", ""),
        ["exactly one of wired, radio, recorded", "got none of them"],
    ),
    "fading of a cable": (
        ("radio: nr-n78", "wired: {rate: 1 Gbit/s}, fading: rayleigh"),
        ["'fading' applies to radio links, and this link is wired"],
    ),
    "no such channel": (
        ("radio: nr-n78", "radio: {use: nr-n78, bandwidth: 37 MHz}"),
        ["air.yaml:10:", "37 MHz", "not a channel bandwidth of the standard"],
    ),
    "HARQ of Wi-Fi": (
        ("radio: nr-n78", "radio: {use: wifi5, max_attempts: 2}"),
        ["air.yaml:10:", "'max_attempts' applies to HARQ", "'arq_limit'"],
    ),
    "Wi-Fi's contention for NR": (
        ("radio: nr-n78", "radio: {use: nr-n78, contention: {category: voice}}"),
        ["air.yaml:10:", "'contention' does not apply to nr-n78"],
    ),
    "long aggregates of 802.11ac": (
        ("radio: nr-n78", "radio: {use: wifi5, contention: {aggregation: {frames: 128}}}"),
        ["air.yaml:10:", "aggregates of 128 frames", "802.11ac acknowledges 64 at once"],
    ),
    "windows the wrong way round": (
        ("radio: nr-n78", "radio: {use: wifi6, contention: {cw_min: 63, cw_max: 31}}"),
        ["air.yaml:10:", "windows of 63 to 31 slots", "expected"],
    ),
    "frames that are too long with their headers": (
        ("radio: nr-n78", "radio: {use: wifi6, adaptation: {wifi: {frame_bytes: 11454}}}"),
        ["air.yaml:10:", "frames of 11454 bytes; expected 1 to 11388"],
    ),
    "Wi-Fi's settings for NR": (
        ("radio: nr-n78", "radio: {use: nr-n78, adaptation: {wifi: {streams: 2}}}"),
        ["air.yaml:10:", "'adaptation: wifi' does not apply to nr-n78"],
    ),
    "a guard interval that there is not": (
        ("radio: nr-n78", "radio: {use: wifi5, adaptation: {wifi: {guard: 0.7 us}}}"),
        ["air.yaml:10:", "guard interval of 802.11ac is 0.7 us"],
    ),
    "unknown adaptation": (
        ("radio: nr-n78", "radio: {use: nr-n78, adaptation: shanon}"),
        ["no link-rate model 'shanon'", "did you mean 'shannon'"],
    ),
    "unknown access": (
        ("radio: nr-n78", "radio: {use: nr-n78, access: fair}"),
        ["air.yaml:10:", "'proportional-fair'", "got 'fair'"],
    ),
    "contention of NR": (
        ("radio: nr-n78", "radio: {use: nr-n78, access: dcf}"),
        ["air.yaml:10:", "'access: dcf' does not apply to nr-n78"],
    ),
    "a scheduler of Wi-Fi": (
        ("radio: nr-n78", "radio: {use: wifi6, access: equal}"),
        ["air.yaml:10:", "'access: equal' does not apply to wifi6", "'dcf'"],
    ),
    "a pattern of other letters": (
        ("radio: nr-n78", "radio: {use: nr-n78, tdd: DXU}"),
        [
            "air.yaml:10:",
            "expected a pattern of the slots D (down), U (up) and S (special), such as DDDSU, got 'DXU'",
        ],
    ),
    "outside of the wall": (
        ("radio: nr-n78", "radio: nr-n78, propagation: {model: 3gpp-umi, indoor: {depth: -3 m}}"),
        ["air.yaml:10:", "expected 0 m or more, got -3 m"],
    ),
    "a wall between rooms": (
        ("radio: nr-n78", "radio: wifi6, propagation: {model: 3gpp-inh, indoor: {depth: 3 m}}"),
        ["air.yaml:10:", "stations of 3gpp-inh are indoors"],
    ),
    "a simple wall at 26 GHz": (
        ("radio: nr-n78", "radio: nr-n258, propagation: {model: 3gpp-umi, indoor: {wall: simple}}"),
        ["air.yaml:10:", "below 6 GHz", "26 GHz", "low-loss or high-loss"],
    ),
    "two laws of fading": (
        ("radio: nr-n78", "radio: nr-n78, fading: {rician: {k: 9 dB}, nakagami: {m: 2}}"),
        ["air.yaml:10:", "expected exactly one of", "rician and nakagami"],
    ),
    "a pattern of two bands": (
        ("radio: nr-n78", "radio: {use: nr-n1, tdd: DDDSU}"),
        ["air.yaml:10:", "'tdd' does not apply to nr-n1"],
    ),
    "a pattern without uplink": (
        ("radio: nr-n78", "radio: {use: nr-n78, tdd: DDDD}"),
        ["air.yaml:10:", "never open up"],
    ),
    "a window that nobody looks at": (
        ("radio: nr-n78", "radio: {use: nr-n78, fairness_window: 50}"),
        ["air.yaml:10:", "'fairness_window' applies only with 'access: proportional-fair'"],
    ),
    "a weight that nobody looks at": (
        ("radio: nr-n78", "radio: nr-n78, weight: 2"),
        ["air.yaml:10:", "'weight' applies only with 'access: weighted'"],
    ),
    "too far": (
        (USERS, "{id: user, kind: raspberry-pi-5, count: 2, place: {grid: 1 m, corner: [6 km, 0 m]}}"),
        ["air.yaml:10:", "'user-0' is never nearer", "5.96 km", "3gpp-umi is valid up to 5 km", "and 1 more"],
    ),
    "moving too far away": (
        (
            USERS,
            "{id: user, kind: raspberry-pi-5, mobility: {gauss-markov: {speed: 1 m/s, area: "
            "{corner: [3 km, 6025 m], size: [9 m, 9 m]}}}}",
        ),
        ["air.yaml:10:", "'user' is never nearer", "6.69 km"],  # hypot(2960, 6000) m
    ),
    "too low": (
        ("radio: nr-n78", "radio: wifi6, propagation: 3gpp-umi"),
        ["air.yaml:10:", "1 m high", "3gpp-umi is valid from 1.5 to 22.5 m", "height: 1.5 m"],
    ),
    "clutter above the station": (
        ("radio: nr-n78", "radio: wifi6, propagation: {model: 3gpp-inf, variant: dh}"),
        ["air.yaml:10:", "expected it above the clutter (6 m)"],
    ),
    "a carrier that nobody has measured": (
        ("radio: nr-n78", "radio: {use: nr-n78, carrier: 140 MHz}"),
        ["air.yaml:10:", "0.14 GHz", "3gpp-umi is valid from 0.5 to 100 GHz"],
    ),
    "one cell of two minds": (
        (
            LINK,
            "{between: [user-0, cell], radio: nr-n78}\n    - {between: [user-1, cell], radio: "
            "{use: nr-n78, bandwidth: 20 MHz}}",
        ),
        ["air.yaml:11:", "'cell' is one cell of nr-n78", "links[0]"],
    ),
    "a handover to nowhere": (
        ("radio: nr-n78", "radio: nr-n78, handover: {}"),
        ["air.yaml:10:", "'user-0' has a link to only one station, 'cell'", "'connect: all'"],
    ),
    "cells that are not joined": (
        (
            f"{USERS}\n    - {{id: cell, kind: rtx-3090, place: {{at: [40 m, 25 m]}}}}",
            f"{USERS}\n    - {{id: cell, kind: rtx-3090, count: 2, place: {{grid: 40 m}}}}",
        ),
        ["air.yaml:10:", "'user-0' can change from 'cell-0' to 'cell-1', but no path", "link the two"],
    ),
    "two rules of handover": (
        (
            LINK,
            "{between: [user-0, cell], radio: nr-n78, handover: {}}\n    - {between: [user-0, user-1], "
            "radio: nr-n78, handover: {hysteresis: 1 dB}}",
        ),
        ["air.yaml:11:", "'user-0' can have only one handover rule", "links[0]"],
    ),
    "unknown fading": (
        ("radio: nr-n78", "radio: nr-n78, fading: raleigh"),
        ["air.yaml:10:", "did you mean 'rayleigh'"],
    ),
    "least speed of 0": (
        (
            USERS,
            "{id: user, kind: raspberry-pi-5, mobility: {random-waypoint: {area: {size: [9 m, 9 m]}, "
            "speed: [0 m/s, 1 m/s]}}}",
        ),
        ["air.yaml:7:", "a speed of more than zero"],
    ),
    "place and movement": (
        ("place: {grid: 30 m}}", "place: {grid: 30 m}, mobility: {track: {file: a.csv}}}"),
        ["'place' and 'mobility' exclude each other"],
    ),
    "missing track": (
        (USERS, "{id: user, kind: raspberry-pi-5, mobility: {track: {file: none.csv}}}"),
        ["air.yaml:7:", "none.csv"],
    ),
    "missing recording": (
        ("radio: nr-n78", "recorded: {file: none.csv}"),
        ["air.yaml:10:", "none.csv"],
    ),
    "unknown device fails": (
        ("strategies:", "faults: [{device: usr, mtbf: 1 h, mttr: 1 s}]\nstrategies:"),
        ["air.yaml:12:", "'usr'", "did you mean 'user'"],
    ),
    "half a failure": (
        ("strategies:", "faults: [{device: user, mtbf: 1 h}]\nstrategies:"),
        ["'mtbf' and 'mttr' belong together"],
    ),
    "no such link": (
        ("strategies:", "faults: [{link: [user, user], down: [[1 s, 2 s]]}]\nstrategies:"),
        ["no link between 'user' and 'user'"],
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_gets_one_clear_line(mistake: str, tmp_path: Path) -> None:
    change, words = MISTAKES[mistake]
    told = refusal(change, folder=tmp_path)
    assert all(word in told for word in words), told


def test_the_json_schema_knows_it_all() -> None:
    schema = json_schema({})
    Draft202012Validator.check_schema(schema)
    plain = json.loads(json.dumps(YAML(typ="safe").load(TEXT)))
    entry = plain["topology"]["links"][0]
    for more in (
        {"propagation": "3gpp-umi", "fading": {"rician": {"k": "9 dB"}}},
        {"radio": {"use": "wifi6", "adaptation": "shannon"}, "fading": {"law": "rayleigh", "speed": "3 m/s"}},
        {"radio": {"use": "nr-n1", "adaptation": {"nr": {"mcs_table": 2}}}, "csi": {"delay": "4 ms"}},
    ):
        plain["topology"]["links"][0] = entry | more
        Draft202012Validator(schema).validate(plain)
        Scenario.model_validate(plain)
    plain["topology"]["links"][0] = entry | {
        "radio": {"use": "nr-n1", "adaptation": {"nr": {"mcs_table": 4}}}
    }
    assert not Draft202012Validator(schema).is_valid(plain)


def test_the_inspector_says_which_links_there_are() -> None:
    with pytest.raises(InputError, match="there are user-0 cell, user-1 cell"):
        radio_links(scenario(), replication=0, between=("user-0", "user-1"))


# --- slots, requests and grants -------------------------------------------------------------------------


def grid_of(adaptation: str, radio: str = "nr-n78") -> Any:
    there = world_of(scenario(("radio: nr-n78", f"radio: {{use: {radio}, adaptation: {adaptation}}}")))
    return next(iter(there.media.values())).grid


def test_5g_has_a_grid_of_its_carrier_and_requests_as_told() -> None:
    grid = grid_of("{nr: {}}")
    assert (grid.slot_s, grid.n_prb) == (0.5e-3, 106)
    assert (grid.uplink.period_slots, grid.uplink.processing_slots, grid.uplink.k2_slots) == (20, 1, 1)
    grid = grid_of("{nr: {scheduling_request: 5 ms, grant_processing: 2, k2: 3}}")
    assert (grid.uplink.period_slots, grid.uplink.processing_slots, grid.uplink.k2_slots) == (10, 2, 3)
    for configured in ("none", "0 ms"):
        assert grid_of(f"{{nr: {{scheduling_request: {configured}}}}}").uplink.period_slots == 0
    wave = grid_of("{nr: {}}", "nr-n258")
    assert (wave.slot_s, wave.n_prb, wave.uplink.period_slots, wave.uplink.k2_slots) == (0.125e-3, 66, 80, 3)


def test_shannon_and_wifi_have_none() -> None:
    assert grid_of("shannon") is None
    assert grid_of("{wifi: {}}", "wifi6") is None


@pytest.mark.parametrize(
    ("period", "expected"), [("3 ms", "a period of 6 slots"), ("0.3 ms", "whole slots of 0.5 ms")]
)
def test_a_period_that_5g_has_not_is_refused(period: str, expected: str) -> None:
    told = f"radio: {{use: nr-n78, adaptation: {{nr: {{scheduling_request: {period}}}}}}}"
    assert expected in refusal(("radio: nr-n78", told))


def test_a_terminals_opportunities_are_its_links_whatever_the_strategy() -> None:
    """Functions of seed, replication and link: the same in every world of a seed, others elsewhere."""

    def keys(seed: int) -> list[int]:
        there = world_of(scenario(("seed: 3", f"seed: {seed}")))
        return [link.radio.request_key for link in there.links if link.radio is not None]

    assert keys(3) == keys(3)
    assert len({*keys(3), *keys(4)}) == 4


def test_planners_count_request_pattern_and_first_slot() -> None:
    """DDDSU: 8 ms up on average to the end of the first slot, 0.82 ms down; then decoding and stacks."""
    world = world_of(scenario())
    fleet = Fleet.of(world)

    def on_the_air_s(source: str, target: str, size_bytes: int) -> float:
        ends_s = sum(world.devices[end].endpoint.seconds(size_bytes) for end in (source, target))
        return fleet.transfer_seconds(source, target, size_bytes) - ends_s

    assert on_the_air_s("user-0", "cell", 4) == pytest.approx(8e-3 + 0.9e-3)
    assert on_the_air_s("cell", "user-0", 4) == pytest.approx(0.8214285e-3 + 0.9e-3, rel=1e-6)
    (link,) = [one for one in world.links if "user-0" in one.between]
    assert isinstance(link.rate_bps, float)
    assert link.radio is not None
    assert link.radio.first_slot is not None
    rest_s = (8 * 10**7 - link.radio.first_slot.n_bits) / link.rate_bps
    assert on_the_air_s("user-0", "cell", 10**7) == pytest.approx(8e-3 + 0.9e-3 + rest_s)
