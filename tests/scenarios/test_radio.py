"""Whatever a scenario says of its radio links, the run obeys the laws of a trace."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgesim import runner
from edgesim.scenario.load import parse
from edgesim.trace.reader import Trace

TEXT = """\
name: air
seed: 3
model: {architecture: gpt2, dtype: float32}
profile: analytic
horizon: 40 s
topology:
  devices:
    - {id: user, kind: raspberry-pi-5, count: 4, WHERE}
    - {id: cell, kind: rtx-3090, count: 2, place: {grid: 120 m, corner: [20 m, 20 m]}}
  links:
    - {between: [user, cell], LINK}
    - {between: [cell, cell], wired: {rate: 1 Gbit/s}}
workload: {sources: user, arrivals: {poisson: 4 Hz}, prompt_tokens: 64, output_tokens: 16}
strategies: [{use: offload, to: cell}]
"""
STANDS = "place: {grid: 60 m}"
MOVES = "mobility: {random-waypoint: {area: {size: [200 m, 60 m]}, speed: [5 m/s, 12 m/s]}}"
LINKS = {
    **{
        access: f"connect: nearest, radio: {{use: nr-n78, access: {access}}}"
        for access in ("equal", "weighted", "tdma", "round-robin", "proportional-fair", "max-rate")
    },
    **{name: f"connect: nearest, radio: {name}" for name in ("nr-n1", "nr-n258", "wifi5", "wifi6")},
    "shannon": "connect: nearest, radio: {use: nr-n78, adaptation: shannon}",
    "rts": "connect: nearest, radio: {use: wifi6, rts_cts: true}, fading: {law: rayleigh, process: block}",
    "acknowledged": "connect: nearest, radio: {use: wifi6, contention: {category: voice, transport_acks: "
    "true}}",
    "one by one": "connect: nearest, radio: {use: wifi5, contention: {aggregation: false, rts_from: 1 kB}}",
    "one channel": "connect: nearest, radio: wifi6, interference: true",
    "loaded channel": "connect: nearest, radio: wifi6, interference: {load: 0.3}",
    "late": "connect: nearest, radio: nr-n78, fading: rayleigh, csi: {error: 0.3, delay: 4 ms}",
    "interference": "connect: nearest, radio: nr-n78, interference: true",
    "indoors": "connect: nearest, radio: nr-n78, propagation: {model: 3gpp-umi, indoor: {depth: 9 m}}",
}


def traced(where: str, link: str, folder: Path) -> Trace:
    text = TEXT.replace("WHERE", where).replace("LINK", link)
    return runner.run(runner.prepare(parse(text, name="air.yaml")), folder / "trace")


@pytest.mark.parametrize("name", LINKS)
def test_every_way_of_sending_leaves_a_lawful_trace(name: str, tmp_path: Path) -> None:
    trace = traced(STANDS, LINKS[name], tmp_path)
    assert trace.check() == []
    requests = trace.requests("offload", 0)
    assert (requests["outcome"] == "completed").sum() > 100


CROWDED = """\
name: crowded
horizon: 1 s
model: {architecture: edgesim-tiny, dtype: float32}
profile: analytic
topology:
  devices:
    - {id: user, kind: phone, place: {at: [5 m, 0 m]}}
    - {id: cell, kind: jetson-agx-orin, place: {at: [0 m, 0 m]}}
  links:
    - between: [user, cell]
      radio: {use: wifi6, latency: 0 ms, contention: {transport_acks: true}}
      propagation: free-space
workload:
  sources: user
  arrivals: {deterministic: {every: 10 ms}}
  prompt_tokens: 200
  output_tokens: 8
  prompt_bytes_per_token: 2000
strategies: [{use: offload, to: cell}]
"""


def test_acknowledgements_that_outlive_their_request_belong_to_none(tmp_path: Path) -> None:
    """On a busy channel a transport acknowledges an answer's last segment after the answer's end."""
    trace = runner.run(runner.prepare(parse(CROWDED, name="air.yaml")), tmp_path / "trace")
    assert trace.check() == []
    spans = trace.spans("offload", 0)
    assert (spans["request_id"].isna() & (spans["kind"] == "send")).sum() > 100


@pytest.mark.parametrize("radio", ["nr-n78", "wifi6"])
@pytest.mark.parametrize("in_flight", ["keep", "lose"])
def test_terminals_that_change_cells_leave_a_lawful_trace(in_flight: str, radio: str, tmp_path: Path) -> None:
    link = f"radio: {radio}, interference: true, handover: {{in_flight: {in_flight}}}"
    trace = traced(MOVES, link, tmp_path)
    assert trace.check() == []
    spans = trace.spans("offload", 0)
    cells = spans[(spans["kind"] == "send") & (spans["device"] == "user-0")]["peer"]
    assert set(cells) == {"cell-0", "cell-1"}


def test_those_out_of_reach_are_told_so(tmp_path: Path) -> None:
    weak = "connect: nearest, radio: {use: nr-n78, patience: 0.5 s, terminal: {power: -90 dBm}}"
    trace = traced(STANDS, weak, tmp_path)
    assert trace.check() == []
    requests = trace.requests("offload", 0)
    failed = requests[requests["outcome"] == "failed"]
    assert len(failed) > 100
    assert failed["reason"].str.contains("out of reach for 0.5 s").all()
