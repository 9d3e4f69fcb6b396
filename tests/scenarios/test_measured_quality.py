"""Measured answers in a run: from the shipped tables into trace and table, without torch."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from edgesim import runner
from edgesim.errors import ScenarioError
from edgesim.measure.quality_cache import kept_answers
from edgesim.scenario.load import load
from edgesim.trace.reader import Trace

QUICK = ["profile=analytic", "horizon=5 s", "replications=1"]


def test_every_strategy_answers_the_same_text(tmp_path: Path) -> None:
    trace = runner.run(runner.prepare(load("first_steps", [*QUICK, "quality=bundled"])), tmp_path / "out")
    records = kept_answers("bundled").exits
    whole = {}
    for strategy in trace.strategies:
        requests = trace.requests(strategy, 0)
        done = requests[requests["outcome"] == "completed"].set_index("request_id")
        for told in done.itertuples():
            rows = (told.sample + np.arange(told.n_output_tokens)) % records.n_tokens
            assert told.nll == pytest.approx(records.nll[rows, -1].mean())
            assert told.correct == pytest.approx(records.is_correct[rows, -1].mean())
        whole[strategy] = done["nll"]
    frame = pd.DataFrame(whole).dropna()
    assert len(frame) > 0
    assert (frame.nunique(axis=1) == 1).all()
    for told in (trace.run["quality"]["table"], trace.run["quality"]["exits"]):
        assert told["model"] == "bundled"
        assert told["model_sha256"] == records.provenance["model_sha256"]


def test_reading_answers_imports_no_torch(tmp_path: Path) -> None:
    program = (
        "import sys; from edgesim.cli import main\n"
        f"sys.argv = ['edgesim', 'run', 'first_steps', '--set', 'profile=analytic', '--set', 'horizon=5 s', "
        f"'--set', 'quality=bundled', '--replications', '1', '--out', {str(tmp_path / 'out')!r}, '--quiet', "
        "'--json']\n"
        "try: main()\n"
        "finally: assert 'torch' not in sys.modules, 'torch was imported'\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    told = json.loads(done.stdout)
    metrics = told["strategies"][0]["metrics"]
    assert 5 < metrics["perplexity"]["mean"] < 500
    assert 0 < metrics["accuracy"]["mean"] < 1
    assert told["about"]["answers"] == "the bundled model on python-held-out"


def test_answers_that_were_never_measured_are_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGESIM_CACHE_DIR", str(tmp_path / "cache"))
    text = tmp_path / "other.txt"
    text.write_text("Some other text.")
    scenario = load("first_steps", [*QUICK, f"quality={{model: bundled, text: '{text}'}}"])
    with pytest.raises(
        ScenarioError, match=r"\$\.quality.*have not been measured.*edgesim quality bundled --text"
    ):
        runner.prepare(scenario)


@pytest.mark.parametrize(
    ("quality", "complaint"),
    [
        ("nowhere", "no such folder"),
        ("{text: bundled}", "expected a 'model'"),
        ("{table: missing.csv}", "cannot read a table"),
        ("{model: bundled, exit: x}", "exit"),
    ],
)
def test_bad_answers_are_refused_before_time_zero(quality: str, complaint: str) -> None:
    with pytest.raises(ScenarioError, match=complaint):
        runner.prepare(load("first_steps", [*QUICK, f"quality={quality}"]))


def test_a_table_of_ones_own_takes_the_models_place(tmp_path: Path) -> None:
    table = tmp_path / "mine.csv"
    table.write_text("nmse,perplexity,accuracy\n0,10,0.5\n0.1,20,0.4\n")
    trace: Trace = runner.run(
        runner.prepare(load("first_steps", [*QUICK, f"quality={{table: '{table}'}}"])), tmp_path / "out"
    )
    requests = trace.requests(trace.strategies[0], 0)
    done = requests[requests["outcome"] == "completed"]
    np.testing.assert_allclose(done["nll"], np.log(10.0))
    np.testing.assert_allclose(done["correct"], 0.5)
