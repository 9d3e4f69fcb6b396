"""A run in one call: what it takes, what it gives, and how it speaks."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import edgesim
from edgesim.model.profile import HeldOutDeviation, Profile
from edgesim.report.comparison import comparison
from edgesim.runner import RunFinished
from edgesim.trace.reader import Trace

QUICK = ["profile=analytic", "horizon=10 s", "replications=2"]
PAIR = {
    "name": "pair",
    "model": {"architecture": "edgesim-tiny", "dtype": "float32"},
    "profile": "analytic",
    "topology": {
        "devices": [{"id": "phone", "kind": "raspberry-pi-4b"}, {"id": "box", "kind": "jetson-orin-nano"}],
        "links": [{"between": ["phone", "box"], "wired": {"rate": "50 Mbit/s", "latency": "5 ms"}}],
    },
    "workload": {"arrivals": {"poisson": "1 Hz"}, "prompt_tokens": 24, "output_tokens": 4, "requests": 5},
    "strategies": [{"use": "local"}, {"use": "offload", "to": "box"}],
}


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> edgesim.Result:
    return edgesim.run("first_steps", tmp_path_factory.mktemp("api") / "out", overrides=QUICK, quiet=True)


def test_tables_are_those_of_all_runs(result: edgesim.Result) -> None:
    trace = Trace(result.path)
    for name in ("requests", "spans", "devices"):
        whole = getattr(result, name)
        for strategy in trace.strategies:
            for replication in (0, 1):
                own = whole[(whole["strategy"] == strategy) & (whole["replication"] == replication)]
                read = getattr(trace, name)(strategy, replication)
                assert len(own) == len(read) > 0
                column = "device" if name == "devices" else "request_id"
                assert own[column].tolist() == read[column].tolist()
    assert result.check() == []


def test_numbers_are_those_of_the_statistics(result: edgesim.Result) -> None:
    rows = {row.strategy: row for row in comparison(result.trace).rows}
    table = result.compare()
    for strategy, row in rows.items():
        for metric, estimate in row.estimates.items():
            told = table.loc[(strategy, metric)]
            if estimate is None:
                assert np.isnan(told["mean"])
                continue
            assert (told["mean"], told["n"]) == (estimate.mean, estimate.n)
            difference = row.differences.get(metric)
            if difference is not None and difference.ratio is not None:
                assert told["ratio"] == difference.ratio.ratio
    summary = result.summary()
    asked = result.requests
    took_s = (asked["ended_at_s"] - asked["arrived_at_s"]).groupby(
        [asked["strategy"], asked["replication"]], observed=True
    )
    assert np.allclose(summary["e2e_mean_s"], took_s.mean())
    assert summary["offered"].sum() == len(asked)


def test_it_shows_the_comparison_as_text_and_as_html(result: edgesim.Result) -> None:
    assert "offload" in repr(result)
    assert repr(result).endswith(f"trace: {result.path}")
    assert result._repr_html_().startswith("<pre")
    assert "offload" in result._repr_html_()


def test_it_takes_a_dictionary_a_scenario_a_study_and_what_is_prepared(tmp_path: Path) -> None:
    told: list[RunFinished] = []
    one = edgesim.run(PAIR, tmp_path / "dict", replications=2, seed=3, quiet=True, on_progress=told.append)
    assert [(ran.strategy, ran.replication) for ran in told] == [
        (label, replication) for replication in (0, 1) for label in ("local", "offload")
    ]
    (tmp_path / "pair.yaml").write_text(str(one.trace.run["scenario"]["text"]))  # type: ignore[index]
    scenario = edgesim.load(tmp_path / "pair.yaml")
    asked = (
        scenario,
        edgesim.resolve(scenario),
        edgesim.prepare(scenario),
        tmp_path / "pair.yaml",
        str(tmp_path / "pair.yaml"),
    )
    for number, each in enumerate(asked):
        again = edgesim.run(each, tmp_path / str(number), quiet=True)
        assert again.requests.equals(one.requests)
    with pytest.raises(edgesim.InputError, match="a prepared study runs as it is"):
        edgesim.run(asked[2], tmp_path / "x", seed=3, quiet=True)
    with pytest.raises(edgesim.InputError, match="a study cannot be overridden"):
        edgesim.run(asked[1], tmp_path / "x", seed=3, quiet=True)


def test_without_a_folder_it_takes_the_next_free_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folders = [edgesim.run(PAIR, quiet=True).path for _ in range(2)]
    assert folders == [Path("traces/pair"), Path("traces/pair-2")]


def test_errors_name_arguments_and_no_options_of_a_command(result: edgesim.Result, tmp_path: Path) -> None:
    for asked, named, message in (
        ("first_steps", {"overrides": ["horizn=3 s"]}, "did you mean 'horizon'"),
        ("first_steps", {"only": ["nope"]}, "no strategy has the label 'nope'; there are local"),
        ("first_steps", {"jobs": 0}, "jobs: expected at least 1"),
        ("first_stepz", {}, "no shipped scenario of that name; did you mean 'first_steps'"),
        ({"name": "x"}, {}, r"\$: 'topology' is missing"),
        ({**PAIR, "model": {"architecture": "nope"}}, {}, r"\$.model.architecture: no model 'nope'"),
        ({**PAIR, "strategies": [{"use": "offload", "to": "nope"}]}, {}, r"\$.strategies\[0\]: .*'nope'"),
        ({**PAIR, "seed": {1}}, {}, r"\$.seed: expected a mapping, a list, text or a number, got \{1\}"),
        ({**PAIR, "quality": {"table": "none.csv"}}, {}, r"^\$.quality: .*none.csv"),
    ):
        more = {"overrides": QUICK} if "overrides" not in named and isinstance(asked, str) else {}
        with pytest.raises(edgesim.InputError, match=message) as found:
            edgesim.run(asked, tmp_path / "out", quiet=True, **named, **more)  # type: ignore[arg-type]
        assert " --" not in str(found.value)
        assert "edgesim list" not in str(found.value)
        assert not (tmp_path / "out").exists()
    with pytest.raises(edgesim.InputError, match="choose another with out, or say replace=True"):
        edgesim.run("first_steps", result.path, overrides=QUICK, quiet=True)


def noisy(p95: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Profile, "held_out_error", HeldOutDeviation(median=p95 / 2, p95=p95))


def test_a_noisy_profile_is_warned_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    overrides = ["profile=reference", *QUICK[1:]]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        edgesim.run("first_steps", tmp_path / "quiet", overrides=overrides, quiet=True)
    noisy(0.4, monkeypatch)
    with pytest.warns(
        UserWarning, match=r"errors of up to 40% at held-out points.*measure again with refresh=True"
    ) as told:
        edgesim.run("first_steps", tmp_path / "out", overrides=overrides, quiet=True)
    assert told[0].filename == __file__


def test_one_that_says_nothing_is_refused_unless_it_is_forced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    overrides = ["profile=reference", *QUICK[1:]]
    noisy(50.89, monkeypatch)
    with pytest.raises(edgesim.InputError, match=r"by up to 5089%.*refresh=True.*force=True"):
        edgesim.run("first_steps", tmp_path / "out", overrides=overrides, quiet=True)
    assert not (tmp_path / "out").exists()
    with pytest.warns(UserWarning, match="5089%"):
        edgesim.run("first_steps", tmp_path / "out", overrides=overrides, quiet=True, force=True)


def test_progress_shows_unless_it_is_quiet(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # which makes rich take the stream for a terminal
    edgesim.run(PAIR, tmp_path / "shown")
    assert "simulating" in capsys.readouterr().err
    edgesim.run(PAIR, tmp_path / "not", quiet=True)
    assert capsys.readouterr().err == ""


def test_parts_that_were_replaced_run(result: edgesim.Result, tmp_path: Path) -> None:
    study = edgesim.resolve(edgesim.load("first_steps", QUICK))
    link = study.layout.links[0]
    layout = replace(study.layout, links=(replace(link, latency_s=1.0),))
    slow = edgesim.run(replace(study, layout=layout), tmp_path / "out", quiet=True)
    ways = [each.summary().loc["offload", "e2e_mean_s"] for each in (result, slow)]
    # Both ways, the question's and every answered token's in turn, take a second longer at the end.
    assert np.all(ways[1] - ways[0] > 1.9)
