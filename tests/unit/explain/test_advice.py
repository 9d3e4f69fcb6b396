"""Advice, against all single changes run by brute force, and against fresh seeds."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.console import Console
from street import simulated, street

from edgesim.errors import InputError, TraceError
from edgesim.explain.advice import advise
from edgesim.explain.changes import changes
from edgesim.explain.trace_scenario import Original
from edgesim.explain.trial_runs import Delays, Trials, paired_delays_s
from edgesim.report.explained.tables import AdviceTable
from edgesim.statistics.intervals import paired_difference, student_t

SCENARIOS = {
    "a slow device": street("{use: local}", arrivals="3 Hz"),
    "a far link": street("{use: offload, to: box}", latency="80 ms"),
    "a thin link": street("{use: pipeline, partition: even}", rate="300 kbit/s", latency="1 ms"),
}


@dataclass(frozen=True)
class Reseeded(Original):
    """The same scenario under another seed."""

    def prepared(self, label: str, changes: tuple[str, ...] = ()):  # type: ignore[no-untyped-def, override]
        return super().prepared(label, ("seed=987", *changes))


def means_s(original: Original, label: str, sets: tuple[str, ...], n: int) -> list[float] | None:
    trials = Trials(original, label, sets, n)
    found = [trials.run(replication) for replication in range(n)]
    return None if trials.refused else [each.mean_s(each.ends_at_s) for each in found if each is not None]


@pytest.mark.slow
@pytest.mark.parametrize("name", SCENARIOS)
def test_it_is_the_best_of_all_and_does_what_it_says(name: str, tmp_path: Path) -> None:
    trace = simulated(SCENARIOS[name], tmp_path / "trace")
    original, (label,) = Original(trace, tmp_path), trace.strategies
    advice = advise(original, label, budget=60)
    assert advice.n_left_out == 0
    assert advice.n_runs <= 60
    assert advice.best is not None
    assert advice.effect_s is not None
    assert advice.helps
    # Brute force: every single change, four replications each, against the same four without it.
    base = means_s(original, label, (), 4)
    assert base is not None
    gains_s = {}
    for change in changes(original.scenario(), label):
        with_it = means_s(original, label, change.sets, 4)
        if with_it is not None:
            gained = student_t([a - b for a, b in zip(with_it, base, strict=True)])
            assert gained is not None
            gains_s[change.sets] = gained.mean
    # Two options may come to the same placement; then either is the best.
    assert gains_s[advice.best.sets] == pytest.approx(min(gains_s.values()), abs=1e-12)
    # Fresh seeds: what it changes there is what was said, within the two intervals.
    fresh = Reseeded(trace, tmp_path)
    pair = [means_s(fresh, label, sets, 5) for sets in (advice.best.sets, ())]
    found = paired_difference(pair[0] or [], pair[1] or [])
    assert found is not None
    assert advice.effect_s.low is not None
    assert advice.effect_s.high is not None
    assert found.low is not None
    assert found.high is not None
    assert max(found.low, advice.effect_s.low) <= min(found.high, advice.effect_s.high)


def test_what_chose_a_change_has_no_part_in_what_is_said_of_it(tmp_path: Path) -> None:
    trace = simulated(SCENARIOS["a slow device"], tmp_path / "trace")
    advice = advise(Original(trace, tmp_path), trace.strategies[0], budget=30)
    (best,) = [each for each in advice.tried if each.change == advice.best]
    assert best.difference_s is not None
    assert advice.effect_s is not None
    assert best.difference_s.mean != advice.effect_s.mean
    assert best.difference_s.n + advice.effect_s.n <= 30


def requests_of(ends_s: Sequence[float | None]) -> pd.DataFrame:
    """Requests that arrive one a second, and end when they do."""
    outcomes = ["completed" if end_s is not None else "failed" for end_s in ends_s]
    return pd.DataFrame(
        {
            "arrived_at_s": np.arange(len(ends_s), dtype=float),
            "ended_at_s": pd.array(ends_s, "Float64"),
            "outcome": outcomes,
        }
    )


def test_what_is_unanswered_counts_alike_in_runs_that_end_at_different_instants(tmp_path: Path) -> None:
    """A change that only ends the run sooner, or later, changes nothing; answering one request does."""
    original = Original(simulated(SCENARIOS["a slow device"], tmp_path / "trace"), tmp_path)
    base, sooner, better = (Trials(original, "local", (), 1) for _ in range(3))
    base.runs[0] = Delays.of(requests_of([2.0, None, 3.0]), 0.0, None, 100.0)
    sooner.runs[0] = Delays.of(requests_of([2.0, None, 3.0]), 0.0, None, 10.0)
    better.runs[0] = Delays.of(requests_of([2.0, 51.0, 3.0]), 0.0, None, 60.0)
    assert paired_delays_s(sooner, base, [0]) == ([34.0], [34.0])  # (2 + 99 + 1) / 3
    assert paired_delays_s(better, base, [0]) == (pytest.approx([53 / 3]), [34.0])


def test_a_run_that_cuts_off_many_requests_warns(tmp_path: Path) -> None:
    """Two thousand a second are far more than the phone can answer."""
    text = street("{use: local}", arrivals="2000 Hz").replace("horizon: 10 s", "horizon: 1 s\ncooldown: 1 s")
    trace = simulated(text, tmp_path / "trace")
    advice = advise(Original(trace, tmp_path), trace.strategies[0], budget=8)
    assert advice.unanswered > 0.1
    console = Console(file=io.StringIO(), width=100)
    console.print(AdviceTable(advice))
    assert "lengthen the horizon before relying on this" in " ".join(console.file.getvalue().split())  # type: ignore[attr-defined]
    # All are charged to horizon and cooldown, whenever the run ended.
    run = Trials(Original(trace, tmp_path), trace.strategies[0], (), 1).run(0)
    assert run is not None
    assert run.ends_at_s == 2.0


def test_a_budget_that_says_nothing_is_refused(tmp_path: Path) -> None:
    trace = simulated(SCENARIOS["a slow device"], tmp_path / "trace")
    with pytest.raises(InputError, match="--budget: expected 8 runs or more, got 3"):
        advise(Original(trace, tmp_path), trace.strategies[0], budget=3)


def test_a_file_that_is_gone_or_another_is_said(tmp_path: Path) -> None:
    graph = {"nodes": [{"id": "phone", "kind": "raspberry-pi-4b"}, {"id": "box", "kind": "jetson-orin-nano"}]}
    graph["edges"] = [{"source": "phone", "target": "box"}]  # type: ignore[dict-item]
    (tmp_path / "graph.json").write_text(json.dumps(graph | {"directed": False, "multigraph": False}))
    text = street("{use: local}")
    begin, end = text.index("topology:"), text.index("workload:")
    file = "topology:\n  file: {path: graph.json, wired: {rate: 1 Gbit/s}}\n"
    text = text[:begin] + file + text[end:]
    from edgesim import runner
    from edgesim.scenario.load import parse

    prepared = runner.prepare(parse(text, name="street.yaml", folder=tmp_path))
    original = Original(runner.run(prepared, tmp_path / "trace"), tmp_path)
    assert original.scenario().name == "street"
    (tmp_path / "graph.json").write_text((tmp_path / "graph.json").read_text() + "\n")
    with pytest.raises(TraceError, match=r"graph.json, which its scenario names, has changed"):
        original.scenario()
    with pytest.raises(InputError, match=r"graph.json"):
        replace(original, folder=tmp_path / "elsewhere").scenario()
