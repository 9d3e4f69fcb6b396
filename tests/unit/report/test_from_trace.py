"""A comparison from a trace on disk: an overloaded device, and users who wait for their answers."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgesim import runner
from edgesim.report.comparison import comparison
from edgesim.report.comparison_json import as_json
from edgesim.scenario.load import parse
from edgesim.statistics.comparison import Comparison

WORLD = """
name: small
seed: 1
replications: {replications}
model: {{architecture: edgesim-tiny, dtype: float32}}
profile: analytic
topology:
  devices:
    - {{id: phone, kind: raspberry-pi-4b}}
    - {{id: box, kind: jetson-orin-nano}}
  links:
    - {{between: [phone, box], wired: {{rate: 50 Mbit/s, latency: 5 ms}}}}
strategies:
  - {{use: local}}
  - {{use: offload, to: box}}
"""

OVERLOAD = """
horizon: 5 s
workload:
  sources: phone
  arrivals: {deterministic: {every: 10 ms}}
  prompt_tokens: 24
  output_tokens: 1
"""

USERS = """
warmup: 3 s
workload:
  sources: phone
  users: {count: 5, think: {exponential: 300 ms}}
  requests: 400
  prompt_tokens: 24
  output_tokens: 4
"""


def compared(folder: Path, workload: str, replications: int) -> Comparison:
    scenario = parse(WORLD.format(replications=replications) + workload, name="small", folder=folder)
    return comparison(runner.run(runner.prepare(scenario), folder / "trace"))


def test_a_device_asked_for_more_than_it_can_do_is_marked_in_one_replication(tmp_path: Path) -> None:
    """A request takes the phone 16 ms and comes every 10; the box takes a few."""
    local, offload = compared(tmp_path, OVERLOAD, 1).rows
    assert local.is_saturated
    assert not offload.is_saturated
    assert offload.is_rate_set_by_arrivals
    rate = local.estimates["requests_per_s"]
    assert rate is not None
    assert 40 < rate.mean < 90  # of 100 that are asked
    offered = offload.estimates["requests_per_s"]
    assert offered is not None
    assert offered.mean == pytest.approx(100, rel=0.01)


def test_users_who_wait_have_a_steady_window_without_a_horizon(tmp_path: Path) -> None:
    found = compared(tmp_path, USERS, 3)
    local, offload = found.rows
    assert not local.is_rate_set_by_arrivals
    assert not local.is_saturated
    same = offload.same_requests
    assert same is not None
    assert same.is_enough
    assert same.differs("e2e_s")
    data = as_json(found)["strategies"]
    assert data[1]["same_requests"]["n_pairs"] == same.n_pairs > 900
    assert data[1]["differences"]["requests_per_s"]["ratio"] > 1
    # Little's law for users: they wait or think. 5 = X (R + Z), in the window in which there are 5 of them.
    for row in found.rows:
        rate, time_s = row.estimates["requests_per_s"], row.estimates["e2e_mean_s"]
        assert rate is not None
        assert time_s is not None
        assert rate.mean * (time_s.mean + 0.3) == pytest.approx(5, rel=0.1)
