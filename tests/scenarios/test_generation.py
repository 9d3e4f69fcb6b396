"""Generation with exits from a scenario: measured paths reach the run and its trace, and bad rules do not."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from edgesim import runner
from edgesim.errors import PlacementError, ScenarioError
from edgesim.measure.generation.generation_cache import kept_generation
from edgesim.scenario.build import resolve
from edgesim.scenario.load import load
from edgesim.scenario.measured_quality import Quality
from edgesim.strategies.early_exit.generation import generate
from edgesim.strategies.local import Local
from edgesim.strategy import CacheFill, ExitRule, Placement, Slice, Stage
from edgesim.trace.reader import Trace
from edgesim.trace.writer import PATHS_FILE

QUICK = ["profile=analytic", "horizon=3 s", "replications=1", "quality=bundled"]


class Staged(Placement):
    """Says by which rules tokens leave, so that it is checked before time zero."""

    exit_rules = ((ExitRule((0.3, 0.3, 0.3)), CacheFill.PROPAGATE),)


class OffTheGrid(Placement):
    """A rule that was not measured."""

    exit_rules = ((ExitRule((0.3, 0.31, 0.3)), CacheFill.PROPAGATE),)


class Alone(Local):
    """All stages on one device, cut at exits after each quarter of the blocks."""

    is_measured: bool = True

    def place(self, model, fleet):
        device, whole = super().place(model, fleet).devices[0], model.n_blocks
        ends = [whole * quarter // 4 for quarter in range(5)]
        parts = [Slice(first, last, embedding=first == 0, head=True) for first, last in pairwise(ends)]
        placed = Staged if self.is_measured else OffTheGrid
        return placed(tuple(Stage(device, part) for part in parts))

    def serve(self, request, cluster, placement):
        ((rule, caches),) = placement.exit_rules
        yield from generate(request, cluster, placement.stages, rule, caches)


def prepared(strategy: Alone, *more: str) -> runner.Prepared:
    study = resolve(load("first_steps", [*QUICK, *more]))
    return runner.prepare(replace(study, strategies={"alone": strategy}))


def test_a_run_replays_the_shipped_paths_and_carries_them(tmp_path: Path) -> None:
    trace: Trace = runner.run(prepared(Alone()), tmp_path / "out")
    assert trace.check() == []
    kept = kept_generation("bundled")
    assert kept is not None
    ((rule, _),) = Staged.exit_rules
    path = kept.paths.path(rule)
    requests = trace.requests("alone", 0)
    done = requests[requests["outcome"] == "completed"]
    assert len(done) > 0
    own, measured = trace.run["model"]["n_blocks"], path.blocks[-1]
    for told in done.itertuples():
        left = path.request(told.sample, told.n_output_tokens)
        assert told.nll == pytest.approx(np.mean([each.nll for each in left]))
        assert told.correct == pytest.approx(np.mean([each.is_correct for each in left]))
        assert told.mean_exit_block == pytest.approx(np.mean([each.block * own / measured for each in left]))
    assert trace.run["quality"]["paths"]["file"] == PATHS_FILE
    again = Quality.load(tmp_path / "out").paths
    assert again is not None
    assert (again.path(rule).exits == path.exits).all()
    spans = trace.spans("alone", 0)
    assert spans["via"].astype(str).str.startswith("keys and values of ").any()


def test_a_rule_off_the_grid_is_refused_before_time_zero() -> None:
    with pytest.raises(PlacementError, match=r"not measured with confidence \(0.3, 0.31, 0.3\).*nearest of"):
        prepared(Alone(is_measured=False))


def test_paths_are_kept_where_they_are_needed_only(tmp_path: Path) -> None:
    runner.run(runner.prepare(load("first_steps", QUICK)), tmp_path / "out")
    assert not (tmp_path / "out" / PATHS_FILE).exists()


def test_paths_of_ones_own_are_of_the_same_text_as_the_exits(tmp_path: Path) -> None:
    kept = kept_generation("bundled")
    assert kept is not None
    file = tmp_path / PATHS_FILE
    kept.paths.calibration().save(file)
    with pytest.raises(ScenarioError, match="measure both on one model and text"):
        runner.prepare(load("first_steps", [*QUICK[:-1], f"quality={{model: bundled, paths: '{file}'}}"]))
    table = tmp_path / "losses.csv"
    table.write_text("nmse,perplexity\n0,10\n0.1,20\n")
    with pytest.raises(ScenarioError, match="'paths' needs 'exits'"):
        runner.prepare(load("first_steps", [*QUICK[:-1], f"quality={{table: '{table}', paths: '{file}'}}"]))
