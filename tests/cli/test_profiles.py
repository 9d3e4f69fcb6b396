"""Profiles from the command line: shipped ones, a device's own, and what a trace says of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from small_models import handmade_profile

from edgesim.model.profile import Profile
from edgesim.model.shipped import shipped_profiles
from edgesim.scenario.catalogue import model
from edgesim.trace.reader import Trace

MEASURED = handmade_profile(model("edgesim-tiny").architecture("float32"))
PI = "raspberry-pi-4b"


def origins(trace: Trace) -> Mapping[str, str]:
    return dict(trace.devices("offload", 0).set_index("device")["origin"].to_dict())


def test_a_profile_that_is_dropped_into_the_folder_wins_and_the_trace_says_so(
    edgesim, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "profiles").mkdir()
    MEASURED.stamped(PI).save(tmp_path / "profiles" / "mine.parquet")
    said = edgesim("run", "first_steps", "--set", "profile=analytic", "--replications", 2, "--out", "once")
    assert said.status == 0, said.err
    assert f"{PI} as measured: edgesim-tiny (float32) on {PI} (a processor, 2 threads)" in said.err
    trace = Trace(tmp_path / "once")
    assert origins(trace) == {"phone": "measured", "box": "analytic"}
    told = trace.run["own_profiles"][PI]
    assert (told["kind"], told["digest"]) == (PI, MEASURED.stamped(PI).digest)
    assert Profile.load(tmp_path / "once" / told["file"]) == MEASURED.stamped(PI)
    assert trace.run["profile"] is None

    (tmp_path / "profiles" / "mine.parquet").unlink()  # workers take the trace's own copy
    MEASURED.stamped(PI).save(tmp_path / "elsewhere.parquet")
    words = ("--set", "profile=analytic", "--set", "profiles=elsewhere.parquet", "--jobs", 2)
    assert edgesim("run", "first_steps", *words, "--replications", 2, "--out", "again").status == 0
    for part in sorted((tmp_path / "once").rglob("part-*.parquet")):
        assert part.read_bytes() == (tmp_path / "again" / part.relative_to(tmp_path / "once")).read_bytes()

    plain = ("run", "first_steps", "--set", "profile=analytic", "--replications", 1)
    assert edgesim(*plain, "--out", "again", "--replace").status == 0
    assert not list((tmp_path / "again").glob("profile*.parquet")), "an earlier run's profile was left"


def test_check_tells_what_is_charged_as_measured(
    edgesim, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for kind in (PI, "jetson-orin-nano"):
        MEASURED.stamped(kind).save(tmp_path / f"{kind}.parquet")
    said = edgesim("check", "first_steps", "--set", "profiles=.")
    assert said.status == 0, said.err
    assert f"{PI} as measured" in said.out
    assert "there is no measured profile" not in said.out


def test_a_shipped_profile_is_named_or_found_for_the_model(edgesim, tmp_path: Path) -> None:
    name = next(row.name for row in shipped_profiles().values() if row.model == "edgesim-tiny")
    digests = []
    for use in ("reference", name):
        out = tmp_path / use
        words = ("--set", f"profile={use}", "--replications", 1, "--out", out)
        said = edgesim("run", "first_steps", *words)
        assert said.status == 0, said.err
        assert origins(Trace(out)) == {"phone": "scaled", "box": "scaled"}
        digests.append(Trace(out).run["profile"]["digest"])
    assert digests[0] == digests[1]


def test_a_model_without_a_shipped_profile_is_told_what_there_is(edgesim, tmp_path: Path) -> None:
    words = ("--set", "profile=reference", "--set", "model.architecture=opt-1.3b")
    said = edgesim("run", "first_steps", *words, "--out", tmp_path / "trace")
    assert said.status == 2
    assert "no shipped profile of opt-1.3b in float32" in said.err
    assert "edgesim-tiny in float32" in said.err


def test_shipped_profiles_are_listed_with_their_machine(edgesim) -> None:
    said = edgesim("list", "profiles")
    assert said.status == 0
    for row in shipped_profiles().values():
        assert row.name in said.out


def test_a_kind_is_written_into_a_file_or_nowhere(edgesim) -> None:
    said = edgesim("profile", "edgesim-tiny", "--kind", PI)
    assert said.status == 2
    assert "--output" in said.err


def test_quantised_weights_are_named_above_the_table(edgesim, tmp_path: Path) -> None:
    words = ("--set", "profile=analytic", "--set", "model.weights=q40", "--replications", 1)
    said = edgesim("run", "first_steps", *words, "--out", tmp_path / "trace")
    assert said.status == 0, said.err
    assert "edgesim-tiny (float32, 0.5625 bytes per weight)" in said.out
    assert Trace(tmp_path / "trace").run["model"]["bytes_per_weight"] == 0.5625


def test_a_format_and_a_size_are_not_given_together(edgesim) -> None:
    words = ("--set", "model.weights=q40", "--set", "model.bytes_per_weight=0.5")
    said = edgesim("check", "first_steps", *words)
    assert said.status == 2
    assert "give one of them" in said.err


def test_what_scaling_had_to_change_is_said_by_check_and_kept_with_the_run(edgesim, tmp_path: Path) -> None:
    box, words = "jetson-orin-nano", ("first_steps", "--set", "profile=reference")
    said = edgesim("check", *words)
    assert said.status == 0, said.err
    line = next(line for line in said.out.splitlines() if line.startswith(f"{box} as scaled:"))
    assert "times adjusted so that none decreases with more tokens or a larger batch" in line

    out = tmp_path / "out"
    assert edgesim("run", *words, "--set", "horizon=5 s", "--replications", 1, "--out", out).status == 0
    block = Trace(out).run["scaled_monotone"][box]["block"]
    assert 0 < block["n_changed"] < block["n_points"]
    assert (
        f"{block['n_changed']} of {block['n_points']} of the block by {block['largest']:.1%} at most" in line
    )
