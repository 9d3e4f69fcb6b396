"""Commands with which one begins, and finds what there is."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from edgesim.cli.commands.list import LISTINGS
from edgesim.report.listings.metric_names import COUNTS, METRICS
from edgesim.scenario.load import load
from edgesim.statistics.summary import Outcomes, Summary

Edgesim = Callable[..., Any]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_it_says_its_version(edgesim: Edgesim) -> None:
    said = edgesim("--version")
    assert (said.status, said.out) == (0, f"edgesim {version('edgesim')}\n")


def test_a_new_scenario_is_sound_and_runs(edgesim: Edgesim, folder: Path) -> None:
    said = edgesim("init", "street")
    assert said.status == 0, said.err
    text = (folder / "street.yaml").read_text(encoding="utf-8")
    assert text.count("#") > 10
    assert load(folder / "street.yaml").name == "street"
    assert edgesim("check", "street.yaml").status == 0
    ran = edgesim("run", "street.yaml", "--replications", "1", "--set", "horizon='20 s'", "--quiet")
    assert ran.status == 0, ran.err
    assert all(label in ran.out for label in ("local", "offload", "pipeline"))


def test_a_new_scenario_overwrites_nothing(edgesim: Edgesim, folder: Path) -> None:
    file = folder / "mine.yaml"
    file.write_text("precious", encoding="utf-8")
    said = edgesim("init", "x", "-o", file)
    assert said.status == 2
    assert "exists already" in said.err
    assert file.read_text(encoding="utf-8") == "precious"
    assert edgesim("init", "x", "-o", file, "--replace").status == 0
    assert "name: x\n" in file.read_text(encoding="utf-8")


def test_a_new_scenario_can_be_like_a_shipped_one(edgesim: Edgesim, folder: Path) -> None:
    assert edgesim("init", "mine", "--like", "dto_ee").status == 0
    mine, shipped = load(folder / "mine.yaml"), load("dto_ee")
    assert mine.name == "mine"
    assert mine.model_copy(update={"name": shipped.name}).digest == shipped.digest


def test_a_new_scenario_brings_its_schema_for_an_editor(edgesim: Edgesim, folder: Path) -> None:
    assert edgesim("init", "mine", "--editor").status == 0
    first = (folder / "mine.yaml").read_text(encoding="utf-8").splitlines()[0]
    assert first == "# yaml-language-server: $schema=edgesim.schema.json"
    assert "poisson" in (folder / "edgesim.schema.json").read_text(encoding="utf-8")
    assert edgesim("init", "bare", "--like", "first_steps").status == 0
    assert "$schema" not in (folder / "bare.yaml").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["init", "../x"], "'../x' is not a valid name"),
        (["init", "x", "--like", "smartcity"], "did you mean 'smart_city'"),
        (["init", "x", "-o", "none/x.yaml"], "cannot be written"),
        (["show-config", "none.yaml"], "no such file"),
        (["check", "first_steps", "--strategy", "ofload"], "offload"),
        (["list", "metric"], "did you mean 'metrics'?"),
    ],
)
def test_mistakes_are_said_in_a_sentence(
    edgesim: Edgesim, folder: Path, words: list[str], expected: str
) -> None:
    said = edgesim(*words)
    assert said.status == 2
    assert expected in said.err
    assert "Traceback" not in said.err


def test_one_strategy_can_be_checked(edgesim: Edgesim) -> None:
    said = edgesim("check", "first_steps", "--set", "profile=analytic", "--strategy", "offload")
    assert said.status == 0
    assert "offload" in said.out
    assert "pipeline" not in said.out


def test_the_printed_scenario_is_one(edgesim: Edgesim, folder: Path) -> None:
    said = edgesim("show-config", "first_steps", "--set", "seed=77")
    assert said.status == 0
    file = folder / "first.yaml"
    assert edgesim("show-config", "first_steps", "--set", "seed=77", "-o", file).status == 0
    assert file.read_text(encoding="utf-8") == said.out
    assert load(file).seed == 77


@pytest.mark.parametrize("what", LISTINGS)
def test_everything_is_listed(edgesim: Edgesim, what: str) -> None:
    said = edgesim("list", what)
    assert said.status == 0, said.err
    assert len(said.out.splitlines()) > 1


def test_names_of_all_listings_are_listed(edgesim: Edgesim) -> None:
    rows = edgesim("list", "names").out.splitlines()[1:]
    assert [row.split()[0] for row in rows] == list(LISTINGS)
    assert all(len(row.split()) > 2 for row in rows)


def test_words_of_scenarios_are_listed_with_what_they_mean(edgesim: Edgesim) -> None:
    assert "A Poisson process with a constant rate." in edgesim("list", "arrivals").out
    assert "3gpp-umi" in edgesim("list", "path-loss").out
    assert "The chain of least latency" in edgesim("list", "partitions").out
    assert "round-robin" in edgesim("list", "keywords").out


def test_every_metric_is_named() -> None:
    empty = Summary(
        strategy="", replication=0, warmup_s=0.0, ended_at_s=None,
        outcomes=Outcomes(completed=0, failed=0, censored=0),
        ttft_s=None, tpot_s=None, itl_s=None, e2e_s=None, output_tokens_per_s=None, requests_per_s=None,
        goodput_per_s=None, attainment=None, active_j_per_token=None, total_j_per_token=None,
        utilisation={}, origins=(),
    )  # fmt: skip
    assert list(empty.metrics()) == [name for name in METRICS if name not in COUNTS]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("edgesim run smart", {"smart_city"}),
        ("edgesim list part", {"partitions"}),
        ("edgesim sho", {"show-config"}),
    ],
)
def test_a_shell_completes_commands_and_names(words: str, expected: set[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "edgesim"],
        env={
            **os.environ,
            "_EDGESIM_COMPLETE": "complete_bash",
            "COMP_WORDS": words,
            "COMP_CWORD": str(len(words.split()) - 1),
        },
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.stderr == ""
    assert expected <= set(done.stdout.split())
    assert all(each.startswith(words.split()[-1]) for each in done.stdout.split())


def test_a_script_for_the_shell_is_shown() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "edgesim", "--help"], capture_output=True, text=True, timeout=120, check=True
    )
    assert "--install-completion" in done.stdout
    assert "--version" in done.stdout
