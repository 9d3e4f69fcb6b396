"""Scenarios with recordings and tracks of the user's own, from the command line to the trace."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from edgesim import runner
from edgesim.cli import main
from edgesim.errors import ScenarioError
from edgesim.scenario.catalogue import device_kind
from edgesim.scenario.load import parse
from edgesim.scenario.radio.air import tracks
from edgesim.scenario.schema.scenario import Scenario
from edgesim.scenario.topology.topology import lay_out
from edgesim.trace.reader import Trace

TEXT = """\
name: own
seed: 5
horizon: 40 s
model: {{architecture: edgesim-tiny, dtype: float32}}
profile: analytic
topology:
{topology}
workload: {{sources: car, {workload}, prompt_tokens: 50, output_tokens: 2}}
strategies:
  - {{use: offload, to: box}}
  - {{use: local}}
"""
EVERY_SECOND = "arrivals: {deterministic: {every: 1 s}}"
TRACKED = """\
  devices:
    - {{id: car, kind: raspberry-pi-5{count}, mobility: {{track: {{file: {file}{more}}}}}}}
    - {{id: box, kind: jetson-orin-nano, place: {{at: [0 m, 0 m]}}}}
  links:
    - {{between: [car, box], {link}}}"""
AIR = "radio: nr-n78, propagation: free-space"
WIRE = "wired: {rate: 100 Mbit/s, latency: 1 ms}"


def text_of(topology: str, workload: str = EVERY_SECOND) -> str:
    return TEXT.format(topology=topology, workload=workload)


def tracked(file: str, *, more: str = "", count: int | None = None, link: str = WIRE, **facts: str) -> str:
    n = "" if count is None else f", count: {count}"
    return text_of(TRACKED.format(file=file, more=more, count=n, link=link), **facts)


def scenario(text: str, folder: Path) -> Scenario:
    return parse(text, name="own.yaml", folder=folder)


def run(text: str, folder: Path) -> Trace:
    return runner.run(runner.prepare(scenario(text, folder)), runner.free_folder(folder, "trace"))


def said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: object
) -> tuple[int, str, str]:
    monkeypatch.setattr(sys, "argv", ["edgesim", *map(str, words)])
    try:
        main()
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 1
    text = capsys.readouterr()
    return status, text.out, text.err


def sumo(**there: range) -> str:
    """Floating car data of 40 s in steps of a second, and who is there when."""
    return "<fcd-export>{}</fcd-export>".format(
        "".join(
            f'<timestep time="{t}.00">'
            + "".join(
                f'<vehicle id="{id_}" x="{2 * t}.00" y="{n}.00" speed="2.00" type="car"/>'
                for n, (id_, at) in enumerate(there.items())
                if t in at
            )
            + "</timestep>\n"
            for t in range(41)
        )
    )


def arrivals(trace: Trace, strategy: str) -> dict[str, list[float]]:
    requests = trace.requests(strategy, 0)
    return {
        str(source): sorted(of["arrived_at_s"].tolist())
        for source, of in requests.groupby("source", observed=True)
    }


@pytest.mark.parametrize("link", [AIR, WIRE], ids=["air", "wire"])
def test_a_vehicle_asks_and_serves_only_while_it_is_in_the_recording(tmp_path: Path, link: str) -> None:
    (tmp_path / "run.fcd").write_text(sumo(veh=range(10, 21)))
    trace = run(tracked("run.fcd", link=link), tmp_path)
    for strategy in ("offload", "local"):
        assert arrivals(trace, strategy) == {"car": [float(t) for t in range(10, 20)]}
        assert (trace.requests(strategy, 0)["outcome"] == "completed").all()
        car = trace.devices(strategy, 0).set_index("device").loc["car"]
        box = trace.devices(strategy, 0).set_index("device").loc["box"]
        # Idle power is drawn for the 10 s of 40 that it is there.
        idle_w = device_kind("raspberry-pi-5").power.idle_w.value
        assert car["energy_idle_j"] == pytest.approx(10.0 * idle_w)
        assert box["energy_idle_j"] == pytest.approx(
            40.0 * device_kind("jetson-orin-nano").power.idle_w.value
        )
    assert trace.check() == []


def test_parked_vehicles_stay(tmp_path: Path) -> None:
    (tmp_path / "run.xml").write_text(sumo(veh=range(10, 21)))
    trace = run(tracked("run.xml", more=", outside: parked"), tmp_path)
    assert arrivals(trace, "local") == {"car": [float(t) for t in range(40)]}


def test_a_vehicle_that_leaves_takes_its_work_with_it(tmp_path: Path) -> None:
    (tmp_path / "run.xml").write_text(sumo(veh=range(10, 21)))
    busy = tracked("run.xml", link="wired: {rate: 4 kbit/s}")  # a prompt of 200 B takes 0.4 s, ten wait
    requests = run(busy, tmp_path).requests("offload", 0)
    lost = requests[requests["outcome"] == "failed"]
    assert set(lost["reason"]) <= {"device down: car (absent)", "message lost: box--car"}
    assert (lost["ended_at_s"] <= 20.0).all()


@pytest.mark.parametrize(("last_s", "stays"), [(40, True), (39, True), (37, False)])
def test_a_recording_that_ends_with_the_horizon_says_nothing_of_the_cooldown(
    tmp_path: Path, last_s: int, stays: bool
) -> None:
    """What is in flight then is seen to its end, as where nothing moves."""
    (tmp_path / "t.csv").write_text("t,id,x,y\n" + "".join(f"{t},car,0,0\n" for t in range(last_s + 1)))
    text = tracked("t.csv").replace("output_tokens: 2", "output_tokens: 90")
    requests = run(text, tmp_path).requests("local", 0)
    counted = requests[requests["arrived_at_s"] < 40.0]
    assert len(counted) == (40 if stays else last_s)
    assert set(counted["outcome"]) == {"completed"}


def test_gaps_of_a_vehicle_are_absences(tmp_path: Path) -> None:
    there = [*range(5, 11), *range(25, 31)]
    (tmp_path / "run.xml").write_text(sumo(veh=there))  # type: ignore[arg-type]
    expected = [float(t) for t in (*range(5, 10), *range(25, 30))]
    assert arrivals(run(tracked("run.xml"), tmp_path), "local") == {"car": expected}
    joined = run(tracked("run.xml", more=", gap: 20 s"), tmp_path)
    assert arrivals(joined, "local") == {"car": [float(t) for t in range(5, 30)]}


def test_users_of_an_absent_device_wait_until_it_is_there(tmp_path: Path) -> None:
    (tmp_path / "run.xml").write_text(sumo(veh=range(10, 21)))
    users = tracked("run.xml", workload="users: {count: 1, think: 2 s}")
    requests = run(users, tmp_path).requests("local", 0)
    assert requests["arrived_at_s"].min() == 10.0
    assert requests["arrived_at_s"].max() < 20.0
    think_s = requests["arrived_at_s"].to_numpy()[1:] - requests["ended_at_s"].to_numpy()[:-1]
    assert think_s == pytest.approx(2.0)


def test_a_model_on_an_absent_device_fails_as_under_churn(tmp_path: Path) -> None:
    (tmp_path / "box.csv").write_text("t,id,x,y\n" + "".join(f"{t},box,0,0\n" for t in range(15, 31)))
    topology = """\
  devices:
    - {id: car, kind: raspberry-pi-5, place: {at: [5 m, 0 m]}}
    - {id: box, kind: jetson-orin-nano, mobility: {track: {file: box.csv}}}
  links:
    - {between: [car, box], wired: {rate: 100 Mbit/s}}"""
    requests = run(text_of(topology), tmp_path).requests("offload", 0)
    is_there = requests["arrived_at_s"].between(15.0, 30.0, inclusive="left")
    assert (requests["outcome"] == "completed").tolist() == is_there.tolist()
    assert set(requests.loc[~is_there, "reason"]) == {"device down: box (absent)"}


def test_check_and_run_tell_who_is_there_when(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "run.xml").write_text(sumo(a=range(10, 21), b=range(15, 31)))
    (tmp_path / "own.yaml").write_text(tracked("run.xml", count=2))
    expected = (
        "car: of 2 devices, present by the recorded tracks: 0 at 0 s, 1 from 10 s, 2 from 15 s, 1 from 20 s, "
        "0 from 30 s; absent ones are down and generate no requests"
    )
    status, out, _ = said(monkeypatch, capsys, "check", tmp_path / "own.yaml")
    assert status == 0
    assert expected in out
    assert "requests of replication 0 fall into an absence of their source and are left out" in out
    status, _, err = said(monkeypatch, capsys, "run", tmp_path / "own.yaml", "--out", tmp_path / "trace")
    assert status == 0
    assert expected in err


def test_a_source_that_is_never_there_asks_nothing_and_that_is_said(tmp_path: Path) -> None:
    (tmp_path / "run.xml").write_text(sumo(veh=range(10, 21)))
    prepared = runner.prepare(scenario(tracked("run.xml", more=", starts_at: 30 s"), tmp_path))
    assert any("40 requests of replication 0 fall into an absence" in remark for remark in prepared.remarks)
    trace = runner.run(prepared, tmp_path / "trace")
    assert trace.check() == []
    assert len(trace.requests("local", 0)) == 0


NAMED = {"car-1": (0.0, 0.0), "car-0": (500.0, 0.0), "truck": (9.0, 9.0)}


@pytest.mark.parametrize("form", ["csv", "sumo"])
def test_tracks_go_to_the_devices_of_their_names(tmp_path: Path, form: str) -> None:
    if form == "csv":
        rows = [f"{t},{id_},{x},{y}" for t in (0, 1) for id_, (x, y) in NAMED.items()]
        text = "\n".join(["t,id,x,y", *rows])
    else:
        text = "<fcd-export>{}</fcd-export>".format(
            "".join(
                f'<timestep time="{t}">'
                + "".join(f'<vehicle id="{id_}" x="{x}" y="{y}"/>' for id_, (x, y) in NAMED.items())
                + "</timestep>"
                for t in (0, 1)
            )
        )
    (tmp_path / "ways").write_text(text)

    def places(text: str) -> dict[str, Any]:
        made = scenario(text, tmp_path)
        where = tracks(
            lay_out(made.topology, seed=5, folder=tmp_path), seed=5, replication=0, folder=tmp_path
        )
        return {id_: track.position(0.5) for id_, track in where.items() if id_ != "box"}

    assert places(tracked("ways", count=2)) == {"car-0": (500.0, 0.0), "car-1": (0.0, 0.0)}
    with pytest.raises(
        ScenarioError, match="has a track 'car-0', named like the device, but none named 'car-2'"
    ):
        places(tracked("ways", count=3))
    assert places(tracked("ways")) == {"car": (0.0, 0.0)}  # of no name: in the file's order
    van = tracked("ways", count=2).replace(
        "    - {id: box", "    - {id: van, kind: phone, mobility: {track: {file: ways}}}\n    - {id: box"
    )
    van = van.replace("  links:\n", "  links:\n    - {between: [van, box], wired: {rate: 1 Mbit/s}}\n")
    assert places(van)["van"] == (9.0, 9.0)  # those called as other devices are theirs


RECORDED = """\
  devices:
    - {{id: car, kind: raspberry-pi-5}}
    - {{id: box, kind: jetson-orin-nano}}
  links:
    - {{between: [car, box], recorded: {{file: {file}, latency: 0 ms}}}}"""


def test_a_rate_without_unit_is_refused_and_one_with_the_wrong_unit_remarked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bare.csv").write_text("t,rate\n0,5.2\n1,6.1\n2,1\n")
    (tmp_path / "own.yaml").write_text(text_of(RECORDED.format(file="bare.csv")))
    status, out, err = said(monkeypatch, capsys, "check", tmp_path / "own.yaml")
    assert (status, out) == (2, "")
    assert "own.yaml:11:40: $.topology.links[0].recorded.file: " in err
    assert (
        "bare.csv, line 1: the column 'rate' does not state its unit, and in bit/s its mean would be 5.65"
        in err
    )
    (tmp_path / "bare.csv").write_text("t,rate_bps\n0,5.2\n1,6.1\n2,1\n")
    for command in ("check", "run"):
        options = ["--out", tmp_path / "trace"] if command == "run" else []
        status, out, err = said(monkeypatch, capsys, command, tmp_path / "own.yaml", *options)
        assert status == 0
        assert (
            "the link from 'car' to 'box' was recorded with a mean of 5.65 bit/s; links have 1 kbit/s to "
            "1 Tbit/s; check its unit"
        ) in (out if command == "check" else err)
    (tmp_path / "bare.csv").write_text("t,rate_mbps\n0,5.2\n1,6.1\n2,1\n")
    _, out, _ = said(monkeypatch, capsys, "check", tmp_path / "own.yaml")
    assert "check its unit" not in out


def test_two_ways_of_a_recording_and_of_a_cable(tmp_path: Path) -> None:
    (tmp_path / "lte.up").write_text("10\n")  # 1.2 Mbit/s
    (tmp_path / "lte.down").write_text("1\n")  # 12 Mbit/s
    for recorded in ("{up: lte.up, down: lte.down}",):
        (link,) = lay_out(
            scenario(text_of(RECORDED.format(file=recorded)), tmp_path).topology, seed=5, folder=tmp_path
        ).links
        rates = [link.way(sender).rate_bps for sender in ("car", "box")]
        assert [rate.mean_bps for rate in rates] == pytest.approx([1.2e6, 12e6])  # type: ignore[union-attr]


def test_a_slow_way_up_costs_the_prompt_and_a_slow_way_down_the_answer(tmp_path: Path) -> None:
    """200 bytes up, 4 down per token; each way's time by hand, and what is left is computing."""
    cable = RECORDED.replace("recorded: {{file: {file}, latency: 0 ms}}", "wired: {wired}")
    first_s = {}
    for wired in (
        "{{rate: 1 Gbit/s}}",
        "{{rate: {{up: 8 kbit/s, down: 1 Gbit/s}}}}",
        "{{rate: {{up: 1 Gbit/s, down: 8 kbit/s}}, latency: {{up: 0 ms, down: 30 ms}}}}",
    ):
        text = wired.replace("{{", "{").replace("}}", "}")
        trace = run(text_of(cable.format(wired=text)), tmp_path)
        assert trace.check() == []
        requests = trace.requests("offload", 0)
        first_s[wired] = (requests["first_token_at_s"] - requests["arrived_at_s"]).iloc[0]
    fast, slow_up, slow_down = first_s.values()
    assert slow_up - fast == pytest.approx(0.2, rel=1e-4)
    assert slow_down - fast == pytest.approx(0.004 + 0.030, rel=1e-4)


def test_the_same_pair_twice_is_refused_with_the_form_that_says_it(tmp_path: Path) -> None:
    twice = """\
  devices:
    - {id: car, kind: raspberry-pi-5}
    - {id: box, kind: jetson-orin-nano}
  links:
    - {between: [car, box], wired: {rate: 50 Mbit/s}}
    - {between: [box, car], wired: {rate: 5 Mbit/s}}"""
    with pytest.raises(
        ScenarioError,
        match=r"links\[1\]: 'box' and 'car' are already linked.*\{up: 5 Mbit/s, down: 50 Mbit/s\}.* to 'box'",
    ):
        scenario(text_of(twice), tmp_path)
