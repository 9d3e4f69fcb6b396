"""Splitting while the link to the edge, or an edge, is down: at the device, or at another edge."""

from __future__ import annotations

from pathlib import Path

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
    - {id: edge, kind: jetson-agx-orin, count: EDGES}
  links:
    - {between: [phone, edge], wired: {rate: 20 Mbit/s, latency: 5 ms}}
workload: {arrivals: {deterministic: {rate: 0.5 Hz}}, prompt_tokens: 32, output_tokens: 4}
faults:
  - {FAILS, down: [[5 s, 40 s]]}
strategies:
  - &split
    {use: rl_split, label: oracle, to: edge, splits: [8, 22], see: all, policy: oracle, utility: {quality: 1}}
  - {<<: *split, label: fixed-8, policy: fixed, split: 8}
  - {<<: *split, label: fixed-22, policy: fixed, split: 22}
  - {use: offload, to: edge}
  - {<<: *split, label: by-token, decide: token}
  - {<<: *split, label: greedy, policy: greedy}
  - {<<: *split, label: bandit, policy: bandit}
"""


LINK, EDGE = "link: [phone, edge]", "device: edge"
OF_TWO = ["device: edge-0", "link: [phone, edge-0]"]


def simulated(folder: Path, fails: str, n_edges: int = 1) -> Trace:
    file = folder / "dead.yaml"
    file.write_text(SCENARIO.replace("FAILS", fails).replace("EDGES", str(n_edges)), encoding="utf-8")
    return runner.run(runner.prepare(load(file)), folder / "trace")


@pytest.fixture(scope="module", params=[LINK, EDGE])
def trace(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Trace:
    return simulated(tmp_path_factory.mktemp("dead"), request.param)


def n_failed(trace: Trace, label: str) -> int:
    return int((trace.requests(label, 0)["outcome"] == "failed").sum())


@pytest.mark.parametrize("label", ["oracle", "by-token", "greedy", "fixed-22"])
def test_a_link_that_is_down_is_no_way_whatever_counts(trace: Trace, label: str) -> None:
    # Time that is not weighed is infinite all the same; only a request under way when the link fell may fail.
    assert n_failed(trace, label) <= 1


def test_a_bandit_learns_from_what_fails(trace: Trace) -> None:
    assert len(trace.requests("bandit", 0)) > 15
    assert n_failed(trace, "bandit") <= 6


def test_a_cut_that_needs_the_edge_fails_without_it(trace: Trace) -> None:
    requests = trace.requests("fixed-8", 0)
    assert set(requests[requests["arrived_at_s"] > 5.0]["outcome"]) == {"failed"}


@pytest.mark.parametrize("fails", OF_TWO)
def test_of_two_edges_that_which_is_reached_takes_all(tmp_path: Path, fails: str) -> None:
    trace = simulated(tmp_path, fails, n_edges=2)
    for label in ("oracle", "by-token", "greedy", "bandit", "fixed-8", "offload"):
        assert n_failed(trace, label) <= 1  # that which was there when the edge, or the way, fell
        spans = trace.spans(label, 0)
        there = spans[(spans["started_at_s"] > 6.0) & (spans["kind"] == "compute")]["device"]
        assert "edge-0" not in set(there)


def test_memory_is_reserved_where_the_chosen_cut_computes(trace: Trace) -> None:
    """Who computes all on the phone leaves the edge's memory to others."""
    peaks = {label: trace.devices(label, 0).set_index("device") for label in ("fixed-22", "fixed-8")}
    edge = {label: peak["peak_memory_bytes"]["edge-0"] for label, peak in peaks.items()}
    assert edge["fixed-22"] < edge["fixed-8"]
