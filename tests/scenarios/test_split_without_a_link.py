"""Splitting while the link to the edge is down: rules compute at the device, and a bandit learns to."""

from __future__ import annotations

import pytest

from edgesim import runner
from edgesim.scenario.load import load
from edgesim.trace.reader import Trace

SCENARIO = """
name: dead-link
seed: 1
horizon: 40 s
model: {architecture: tinyllama-1.1b, dtype: float16}
quality: {model: bundled}
profile: analytic
topology:
  devices:
    - {id: phone, kind: phone, count: 2, power: {tx: 1.5 W}}
    - {id: edge, kind: jetson-agx-orin}
  links:
    - {between: [phone, edge], wired: {rate: 20 Mbit/s, latency: 5 ms}}
workload: {arrivals: {deterministic: {rate: 0.5 Hz}}, prompt_tokens: 32, output_tokens: 4}
faults:
  - {link: [phone, edge], down: [[5 s, 40 s]]}
strategies:
  - &split
    {use: rl_split, label: oracle, to: edge, splits: [8, 22], see: all, policy: oracle, utility: {quality: 1}}
  - {<<: *split, label: by-token, decide: token}
  - {<<: *split, label: greedy, policy: greedy}
  - {<<: *split, label: bandit, policy: bandit}
"""


@pytest.fixture(scope="module")
def trace(tmp_path_factory: pytest.TempPathFactory) -> Trace:
    folder = tmp_path_factory.mktemp("dead")
    (folder / "dead.yaml").write_text(SCENARIO, encoding="utf-8")
    return runner.run(runner.prepare(load(folder / "dead.yaml")), folder / "trace")


def n_failed(trace: Trace, label: str) -> int:
    return int((trace.requests(label, 0)["outcome"] == "failed").sum())


@pytest.mark.parametrize("label", ["oracle", "by-token", "greedy"])
def test_a_link_that_is_down_is_no_way_whatever_counts(trace: Trace, label: str) -> None:
    # Time that is not weighed is infinite all the same; only a request under way when the link fell may fail.
    assert n_failed(trace, label) <= 1


def test_a_bandit_learns_from_what_fails(trace: Trace) -> None:
    assert len(trace.requests("bandit", 0)) > 15
    assert n_failed(trace, "bandit") <= 6
