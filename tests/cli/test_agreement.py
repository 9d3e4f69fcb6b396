"""What a run would refuse at time zero is found by a check, with its place."""

from __future__ import annotations

from pathlib import Path

import pytest

SCENARIO = """\
name: walk
horizon: 20 s
model: {architecture: edgesim-tiny, dtype: float32}
profile: analytic
topology:
  devices:
    - id: phone
      kind: phone
      mobility: {random-waypoint: {area: {size: [90 m, 9 m]}, speed: [1 m/s, 2 m/s]}}
    - {id: mast, kind: jetson-orin-nano, count: 2, place: {grid: 70 m}}
  links:
    - {between: [phone, mast], radio: nr-n78, handover: {}}
WIRE
workload: {sources: phone, arrivals: {poisson: 1 Hz}, prompt_tokens: 8, output_tokens: 2}
strategies: [{use: offload, to: mast-0}]
"""


@pytest.mark.parametrize("is_joined", [False, True])
def test_check_and_run_agree_on_stations_that_nothing_joins(edgesim, tmp_path: Path, is_joined: bool) -> None:
    wire = "    - {between: [mast-0, mast-1], wired: {rate: 1 Gbit/s, latency: 1 ms}}" if is_joined else ""
    file = tmp_path / "walk.yaml"
    file.write_text(SCENARIO.replace("WIRE", wire), encoding="utf-8")
    commands = (("check", file), ("run", file, "--replications", 1, "--out", tmp_path / "trace"))
    told = [edgesim(*words) for words in commands]
    if is_joined:
        assert [each.status for each in told] == [0, 0]
        return
    assert [each.status for each in told] == [2, 2]
    for each in told:
        assert f"{file}:12:7: $.topology.links[0]: 'phone' can change from 'mast-0' to 'mast-1'" in each.err
    assert told[0].err == told[1].err
