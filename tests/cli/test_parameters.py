"""What fitted parameters leave open, as users see it: of a run, by command and in Python, and of a fit."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest

import edgesim as library
from edgesim.errors import InputError
from edgesim.model.efficiency import posterior
from edgesim.model.efficiency.stored import load_posterior

SCENARIO = """
name: an-orin
replications: 2
model: {architecture: llama-2-7b, dtype: float16, weights: q40}
topology: {devices: [{id: one, kind: jetson-agx-orin, runtime: llama.cpp}]}
workload: {requests: 2, arrivals: {poisson: 0.1 Hz}, prompt_tokens: 4, output_tokens: 3}
strategies: [{use: local}]
"""
ROWS = """
rates:
  - {device: l4, runtime: llama.cpp, model: llama-2-7b, label: Llama-2-7B Q4_0, bytes_per_weight: 0.5625,
     value: 57, unit: tokens/s, lengths: assumed, source: measured here}
"""


@pytest.fixture
def scenario(tmp_path: Path) -> Path:
    file = tmp_path / "orin.yaml"
    file.write_text(SCENARIO, encoding="utf-8")
    return file


def test_a_run_shows_and_prints_intervals_by_sampling_and_by_parameters(
    edgesim, scenario: Path, tmp_path: Path
) -> None:
    said = edgesim("run", scenario, "--out", tmp_path / "out", "--parameters", 3)

    assert said.status == 0, said.err
    assert "95 % by sampling" in said.out
    assert "90 % by parameters" in said.out

    said = edgesim("run", scenario, "--out", tmp_path / "more", "--parameters", 3, "--json")

    rows = {row["metric"]: row for row in json.loads(said.out)["parameters"]}
    low, high = rows["tpot_p50_s"]["parameters_90"]
    assert low < rows["tpot_p50_s"]["mean"] < high
    assert len(rows["e2e_mean_s"]["sampling_95"]) == 2

    result = library.run(scenario, tmp_path / "python", parameters=3, quiet=True)

    table = result.uncertainty()
    assert table.loc[("local", "tpot_p50_s"), "parameters_low"] == low
    assert table.loc[("local", "tpot_p50_s"), "mean"] == rows["tpot_p50_s"]["mean"]
    sampled = table.loc[("local", "e2e_mean_s"), ["sampling_low", "sampling_high"]]
    assert sampled.tolist() == rows["e2e_mean_s"]["sampling_95"]


def test_without_further_runs_nothing_is_known_and_with_one_replication_no_sampling_error(
    scenario: Path, tmp_path: Path
) -> None:
    assert library.run(scenario, tmp_path / "one", replications=1, quiet=True).uncertainty().empty

    table = library.run(scenario, tmp_path / "two", replications=1, parameters=2, quiet=True).uncertainty()

    assert np.isnan(table["sampling_low"]).all()
    low, high = table.loc[("local", "tpot_p50_s"), ["parameters_low", "parameters_high"]]
    assert low < high


def test_a_run_without_fitted_parameters_is_refused_before_anything_is_written(
    edgesim, scenario: Path, tmp_path: Path
) -> None:
    plain = [
        "--set",
        "topology.devices=[{id: one, kind: jetson-agx-orin}]",
        "--set",
        "profile=analytic",
    ]
    said = edgesim("run", scenario, "--out", tmp_path / "out", "--parameters", 3, *plain)

    assert said.status == 2
    assert "leave out --parameters" in said.err
    assert not (tmp_path / "out").exists()
    with pytest.raises(InputError, match="leave out parameters"):
        library.run(scenario, tmp_path / "out", overrides=plain[1::2], parameters=3, quiet=True)
    assert not (tmp_path / "out").exists()


def test_own_rates_are_fitted_with_the_published_ones_into_a_set(
    edgesim, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(posterior, "fit", partial(posterior.fit, n_chains=3, n_kept=2))  # the chain is short
    rows, output = tmp_path / "mine.yaml", tmp_path / "mine.npz"
    rows.write_text(ROWS, encoding="utf-8")

    said = edgesim("calibrate", rows, "--parameters", output)

    assert said.status == 0, said.err
    (row,) = [line for line in said.out.splitlines() if "Llama-2-7B" in line]
    assert "l4" in row
    assert "57 tokens/s" in row
    assert load_posterior(output).draws.size

    said = edgesim("calibrate", rows, "--parameters", output, "--error", 0.1)

    assert said.status == 2
    assert "leave out --output, --overhead, --compute and --error" in said.err
