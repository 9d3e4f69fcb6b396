"""Finished traces printed and drawn again; whatever a folder holds, no traceback."""

from __future__ import annotations

import json
import runpy
import shutil
import sys
from pathlib import Path

import pytest
from drawn_traces import small_trace
from effort import sized

ANALYSIS = Path(__file__).resolve().parents[2] / "analysis"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_trace(tmp_path_factory.mktemp("shown") / "street").path


def test_show_prints_what_run_printed(edgesim, tmp_path: Path) -> None:
    ran = edgesim(
        "run", "first_steps", "--set", "profile=analytic", "--out", tmp_path / "t", "--metrics", "--quiet"
    )
    shown = edgesim("show", tmp_path / "t", "--metrics")
    assert (shown.status, shown.out) == (0, ran.out)
    again = edgesim("run", "first_steps", "--set", "profile=analytic", "--out", tmp_path / "u", "--json")
    told = json.loads(edgesim("show", tmp_path / "u", "--as", "json").out)
    assert told == json.loads(again.out)


def test_show_writes_traces_side_by_side(edgesim, folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "other" / "street")
    both = (folder, tmp_path / "other" / "street")
    text = edgesim("show", *both).out
    assert text.count("far_wide") >= 2
    csv = edgesim("show", *both, "--as", "csv", "--metric", "e2e_mean_s", "--strategy", "local").out
    assert len(csv.splitlines()) == 3
    assert "other/street,local,e2e_mean_s,2," in csv
    assert "\\toprule" in edgesim("show", *both, "--as", "latex").out
    assert edgesim("show", *both, "--as", "markdown").out.startswith("| trace | strategy |")
    table = edgesim("show", folder, "--metric", "e2e_p95_s")
    assert "E2E p95" in table.out


def test_an_incomplete_trace_is_marked(edgesim, folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "t")
    facts = json.loads((tmp_path / "t" / "run.json").read_text()) | {"status": "running"}
    (tmp_path / "t" / "run.json").write_text(json.dumps(facts))
    assert "INCOMPLETE" in edgesim("show", tmp_path / "t").out
    assert "incomplete" in edgesim("show", tmp_path / "t", "--as", "csv").err
    drawn = edgesim("plot", tmp_path / "t", "-o", tmp_path / "a.png")
    assert (drawn.status, "incomplete" in drawn.err) == (0, True)


def test_plot_draws_the_usual_kind(
    edgesim, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert edgesim("plot", folder).status == 0
    assert (tmp_path / "street-distribution.pdf").read_bytes().startswith(b"%PDF")
    assert edgesim("plot", folder, "bars", "-o", "a.svg", "--metric", "ttft_p95_s").status == 0
    assert (tmp_path / "a.svg").is_file()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("show", "nowhere"), "there is no such folder"),
        (("plot", "nowhere", "map"), "there is no such folder"),
        (("plot", "map"), "no trace is given"),
        (("show", "FOLDER", "--metric", "e2e_mean"), "did you mean 'e2e_mean_s'?"),
        (("show", "FOLDER", "--strategy", "loco"), "has no 'loco'; there are local, far_wide"),
        (("show", "FOLDER", "FOLDER"), "given twice"),
        (("plot", "FOLDER", "-o", "a.gif"), "expected .pdf, .svg or .png"),
        (("plot", "FOLDER", "lines"), "need --x PATH"),
        (("plot", "FOLDER", "bars", "--request", "1"), "it belongs to timeline"),
        (("plot", "FOLDER", "timeline", "--from", "3", "--until", "2"), "is no window"),
    ],
)
def test_mistakes_are_one_sentence(edgesim, folder: Path, words: tuple[str, ...], said: str) -> None:
    found = edgesim(*(folder if word == "FOLDER" else word for word in words))
    assert found.status == 2
    assert said in found.err
    assert "Traceback" not in found.err


def test_a_folder_of_something_else_is_refused(edgesim, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("x")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "run.json").write_text("{")
    for name in ("empty", "file", "broken"):
        for command in ("show", "plot"):
            found = edgesim(command, tmp_path / name)
            assert found.status == 2, found
            assert len(found.err.strip().splitlines()) == 1


@pytest.mark.slow
def test_no_damage_to_run_json_ends_in_a_traceback(edgesim, folder: Path, tmp_path: Path) -> None:
    home = tmp_path / "t"
    shutil.copytree(folder, home)
    facts = json.loads((home / "run.json").read_text())
    variants = [{key: value for key, value in facts.items() if key != left_out} for left_out in facts]
    for key, value in facts.items():
        if isinstance(value, dict):
            variants += [{**facts, key: {}}, {**facts, key: {"strange": 1}}, {**facts, key: {"box": {}}}]
        variants.append({**facts, key: []})
    for damaged in variants[:: sized(3, 1)]:
        (home / "run.json").write_text(json.dumps(damaged))
        changed = [key for key in facts if damaged.get(key) != facts[key]]
        found = edgesim("show", home)
        assert found.status in (0, 2), (changed, found)
        assert found.status == 0 or "run.json" in found.err or str(home) in found.err, (changed, found)


def test_a_map_of_damaged_facts_is_drawn_or_refused(edgesim, folder: Path, tmp_path: Path) -> None:
    home = tmp_path / "t"
    shutil.copytree(folder, home)
    facts = json.loads((home / "run.json").read_text())
    strange = ({}, {"strange": {}}, {"box": [1.0, 2.0]}, {"box--far": {"kind": 3}})
    for key in ("links", "cells", "places_m", "tracks"):
        for value in strange:
            (home / "run.json").write_text(json.dumps(facts | {key: value}))
            found = edgesim("plot", home, "map", "-o", tmp_path / "a.png")
            assert found.status in (0, 2), (key, value, found)


@pytest.mark.parametrize("script", sorted(path.name for path in ANALYSIS.glob("*.py")))
def test_analysis_scripts_are_short_and_refuse_a_foreign_trace(
    script: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert len((ANALYSIS / script).read_text().splitlines()) < 80
    option = {"dto_ee.py": "--loads", "aircomp_error.py": "--energy"}.get(script)
    words = [script, *([option] if option else []), str(tmp_path / "nowhere"), "-o", str(tmp_path / "a.png")]
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(ANALYSIS / script), run_name="__main__")
    assert ended.value.code == 2
    told = capsys.readouterr()
    assert len(told.err.strip().splitlines()) == 1


def test_intervals_of_the_plain_table_are_as_asked(edgesim, folder: Path) -> None:
    half, none = (edgesim("show", folder, "--intervals", each) for each in ("half", "none"))
    assert " ± " in half.out
    assert "±: the larger side of the 95 % interval." in half.err
    assert "[" not in none.out.replace("[ms]", "")
    assert "±" not in none.out + none.err
