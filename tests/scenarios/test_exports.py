"""Timelines of every shipped scenario's strategies, for a short while: strict checkers accept them."""

from __future__ import annotations

from pathlib import Path

import pytest
from perfetto_checks import normal, shown_by_events, shown_by_packets
from shipped import only

from edgesim.report.exporting import write_perfetto
from edgesim.runner import prepare, run
from edgesim.scenario.load import load
from edgesim.scenario.text.packaged import packaged_scenarios
from edgesim.trace.reader import Trace

SHORT = {
    "dto_ee": ["horizon=0.2 s"],
    "dto_ee_dynamic": ["horizon=0.2 s"],
    "first_steps": ["horizon=10 s"],
    "home_cluster_pi": ["horizon=60 s"],
    "rl_split": ["horizon=10 s"],
    "rl_split_mobile": ["horizon=10 s"],
    "smart_city": ["horizon=8 s"],
}
ONE_REQUEST = ["workload.requests=1", "workload.output_tokens=4"]  # of those without a horizon


@pytest.mark.slow
@pytest.mark.parametrize("name", packaged_scenarios())
def test_every_strategy_s_timeline_is_accepted(name: str, tmp_path: Path) -> None:
    changes = ["profile=analytic", "replications=1", "warmup=0 s", *SHORT.get(name, ONE_REQUEST)]
    trace = run(prepare(load(name, changes), only=only(name)), tmp_path / "trace", counters_s=0.5)
    assert trace.check() == []
    assert sum(accepted(trace, strategy, tmp_path) for strategy in trace.strategies) > 0


def accepted(trace: Trace, strategy: str, folder: Path) -> int:
    """Check both formats of a strategy's timeline; how many slices it has."""
    packets, events = folder / f"{strategy}.pftrace", folder / f"{strategy}.json"
    for file in (packets, events):
        write_perfetto(trace, strategy, 0, file)
    shown, as_events = shown_by_packets(packets.read_bytes()), shown_by_events(events.read_text("utf-8"))
    assert normal(shown) == normal(as_events)
    assert shown.order == as_events.order
    spans = trace.spans(strategy, 0)
    n_begun = ((spans["kind"] != "emit") & spans["started_at_s"].notna()).sum()
    drawn = [
        one
        for (group, _), found in shown.slices.items()
        for one in found
        if group != "requests" and one.name != "arrival"
    ]
    assert len(drawn) == n_begun
    return len(drawn)
