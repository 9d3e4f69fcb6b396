"""Sweeps: what their numbers are, that cells are paired, and what becomes of one that is disturbed."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sweeping import PAIR, RATE, RATES, contents, swept

import edgesim
from edgesim.errors import InputError, TraceError
from edgesim.runner import simulating
from edgesim.sweep import unit as unit_module
from edgesim.sweep.folder import SweepFolder
from edgesim.sweep.reader import Sweep

N_UNITS = 6  # three rates, two replications


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Sweep:
    return swept(tmp_path_factory.mktemp("sweep") / "out", keep="spans")


def test_results_are_those_of_a_run_of_each_cell(whole: Sweep, tmp_path: Path) -> None:
    results = whole.results()
    assert whole.is_complete
    assert whole.axes == {"poisson": ("2 Hz", "4 Hz", "8 Hz")}
    assert whole.numbers("poisson") == ((2.0, 4.0, 8.0), "Hz")
    assert len(results) == N_UNITS * 2
    for cell, rate in enumerate(whole.axes["poisson"]):
        ran = edgesim.run(PAIR, tmp_path / str(cell), overrides=[f"{RATE}={rate}"], quiet=True)
        own = results[results["cell"] == cell]
        assert (own["poisson"] == rate).all()
        own = own.set_index(["strategy", "replication"]).drop(columns=["cell", "poisson"])
        expected = ran.summary()
        pd.testing.assert_frame_equal(
            own.sort_index()[expected.columns],
            expected.sort_index(),
            check_index_type=False,
            check_dtype=False,
        )
        # The tables that are kept are the trace's, to the byte.
        for table in ("requests", "devices", "spans"):
            for part in ran.path.glob(f"{table}/*/*/*.parquet"):
                kept = whole.path / table / f"cell={cell}" / part.relative_to(ran.path / table)
                assert kept.read_bytes() == part.read_bytes()


def test_cells_meet_the_same_requests_in_the_same_replication(tmp_path: Path) -> None:
    paths = {"topology.links[0].wired.rate": ["10 Mbit/s", "100 Mbit/s"], RATE: ["2 Hz", "4 Hz"]}
    out = swept(tmp_path / "out", paths, keep="requests")
    assert list(out.axes) == ["rate", "poisson"]
    tables = {
        (int(file.parts[-4][5:]), file.parts[-3], int(file.parts[-2][12:])): pd.read_parquet(file)
        for file in (out.path / "requests").glob("*/*/*/*.parquet")
    }
    assert len(tables) == 4 * 2 * 2
    for (cell, _, replication), table in tables.items():
        first = tables[0, "strategy=local", replication]
        assert table["n_prompt_tokens"].equals(first["n_prompt_tokens"])
        assert table["sample"].equals(first["sample"])
        # Twice the rate is the same arrivals in half the time, bit for bit.
        scale = 2.0 if cell % 2 else 1.0
        np.testing.assert_array_equal(
            table["arrived_at_s"].to_numpy() * scale, first["arrived_at_s"].to_numpy()
        )
    assert not tables[0, "strategy=local", 0].equals(tables[0, "strategy=local", 1])


def test_processes_come_to_the_same_bytes(whole: Sweep, tmp_path: Path) -> None:
    shared = swept(tmp_path / "out", keep="spans", jobs=2)
    assert contents(shared.path) == contents(whole.path)


def test_what_is_whole_is_not_repeated_and_the_rest_comes_to_the_same_bytes(
    whole: Sweep, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    shutil.copytree(whole.path, out)
    (out / "results/cell=1/replication-00001.parquet").unlink()  # what was written last is lacking
    (out / "results/cell=2/replication-00000.parquet").write_bytes(b"PAR1")  # as a full disk may leave it
    (out / "requests/cell=0/.part.tmp").write_bytes(b"x")
    done: list[tuple[int, int]] = []
    again = swept(
        out,
        keep="spans",
        resume=True,
        on_progress=lambda unit, failed, n: done.append((unit.cell, unit.replication)),
    )
    assert sorted(done) == [(cell, replication) for cell in range(3) for replication in range(2)]
    assert done[-2:] == [(1, 1), (2, 0)]  # the others are told of first, for they are whole
    assert contents(again.path) == contents(whole.path)
    assert not list(out.rglob("*.tmp"))


def test_a_sweep_of_something_else_is_not_gone_on_with(whole: Sweep, tmp_path: Path) -> None:
    out = tmp_path / "out"
    shutil.copytree(whole.path, out)
    for options, told in (
        ({"values": {RATE: ["2 Hz", "4 Hz"]}}, "axes was"),
        ({"replications": 3}, "replications was 2, and is now 3"),
        ({"keep": "results"}, 'keep was "spans", and is now "results"'),
        ({"scenario": {**PAIR, "seed": 5}}, "seed was 4, and is now 5"),
    ):
        with pytest.raises(TraceError, match="cannot be resumed") as refused:
            swept(out, **{"values": RATES, "keep": "spans", **options}, resume=True)
        assert told in str(refused.value)
    assert contents(out) == contents(whole.path)
    record = json.loads((out / "sweep.json").read_text())
    record["versions"]["edgesim"] = "0.0.1"
    (out / "sweep.json").write_text(json.dumps(record))
    with pytest.raises(TraceError, match=r"versions.edgesim was"):
        swept(out, keep="spans", resume=True)
    with pytest.raises(TraceError, match="the folder is not empty"):
        swept(out, keep="spans")
    with pytest.raises(TraceError, match="no sweep to resume"):
        swept(tmp_path / "none", resume=True)


def test_what_is_wrong_with_any_cell_is_said_before_anything_runs(tmp_path: Path) -> None:
    values = {"strategies[1].to": ["box", "nowhere", "elsewhere"], RATE: ["1 Hz", "2 Hz"]}
    with pytest.raises(InputError) as refused:
        swept(tmp_path / "out", values)
    lines = str(refused.value).splitlines()
    assert lines[0].startswith("cell 2 (to = nowhere, poisson = 1 Hz) and 1 more: ")
    assert lines[1].startswith("cell 4 (to = elsewhere, poisson = 1 Hz) and 1 more: ")
    assert len(lines) == 2
    assert not (tmp_path / "out").exists()


def test_a_unit_that_fails_is_recorded_and_run_again_if_asked(
    whole: Sweep, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(prepared, label, replication, write):
        if (
            label == "offload"
            and replication == 1
            and prepared.scenario.workload.arrivals.poisson.rate_hz == 4
        ):
            raise ZeroDivisionError("no way")
        simulating.simulate_run(prepared, label, replication, write)

    monkeypatch.setattr(unit_module, "simulate_run", failing)
    told: list[str | None] = []
    out = swept(tmp_path / "out", keep="spans", on_progress=lambda unit, failed, n: told.append(failed))
    assert out.is_complete
    assert [each for each in told if each] == ["ZeroDivisionError: no way"]
    failures = out.failures()
    assert failures.to_dict("records") == [
        {"cell": 1, "replication": 1, "poisson": "4 Hz", "reason": "ZeroDivisionError: no way"}
    ]
    assert len(out.results()) == (N_UNITS - 1) * 2
    monkeypatch.undo()
    again = swept(out.path, keep="spans", resume=True)
    assert len(again.failures()) == 1  # left as it is
    again = swept(out.path, keep="spans", resume=True, retry_failed=True)
    assert len(again.failures()) == 0
    assert contents(again.path) == contents(whole.path)


def test_two_do_not_write_one_sweep(whole: Sweep) -> None:
    folder = SweepFolder(whole.path, resume=True)
    with folder.locked(resume=True), pytest.raises(TraceError, match="another process is writing this sweep"):
        swept(whole.path, keep="spans", resume=True)


def test_replications_are_added_until_a_mean_is_precise_and_extra_ones_are_removed(tmp_path: Path) -> None:
    asked = {"until": "e2e_mean_s±20%", "at_most": 40, "values": {RATE: ["0.5 Hz", "8 Hz"]}}
    out = swept(tmp_path / "out", **asked)
    results, stopping = out.results(), out.record["stopping"]
    for cell, own in results.groupby("cell"):
        n = own["replication"].nunique()
        assert n >= 10
        for strategy, values in own.groupby("strategy")["e2e_mean_s"]:
            judged = stopping[str(cell)][strategy]
            assert judged["n"] == len(values) == n
            assert judged["mean"] == pytest.approx(values.mean(), rel=1e-12)
            assert judged["reached"] or n == 40
    shared = swept(tmp_path / "shared", **asked, jobs=2)
    assert contents(shared.path) == contents(out.path)
    extra = out.path / "results/cell=0/replication-00039.parquet"
    if not extra.exists():
        shutil.copy(out.path / "results/cell=0/replication-00000.parquet", extra)
    again = swept(out.path, **asked, resume=True)
    assert contents(again.path) == contents(shared.path)


def test_the_package_is_a_function_for_users_too(tmp_path: Path) -> None:
    out = edgesim.sweep(PAIR, {RATE: ["2 Hz"]}, tmp_path / "out", replications=1, only=["local"], quiet=True)
    assert isinstance(out, edgesim.Sweep)
    assert out.results()["strategy"].tolist() == ["local"]
    with pytest.raises(InputError, match="resume=True: name the sweep to continue") as refused:
        edgesim.sweep(PAIR, {RATE: ["2 Hz"]}, resume=True)
    assert "--" not in str(refused.value)


SEARCHED = {"capacity": f"{RATE}=1..200 Hz", "attain": 0.9, "replications": 3, "resolution": 0.2}


def test_a_search_is_not_gone_on_with_where_another_axis_has_changed(tmp_path: Path) -> None:
    out = swept(tmp_path / "out", {"workload.requests": [20, 30]}, **SEARCHED)
    before = contents(out.path)
    for requests in ([20, 31], [20]):
        with pytest.raises(TraceError, match="cannot be resumed"):
            swept(out.path, {"workload.requests": requests}, **SEARCHED, resume=True)
    assert contents(out.path) == before
    # A cell that is another than its files say is not read as one's own, wherever in the search it is.
    record = json.loads((out.path / "sweep.json").read_text())
    last = max(record["cells"], key=int)
    record["cells"][last]["scenario"]["digest"] = "0"
    (out.path / "sweep.json").write_text(json.dumps(record))
    for _ in range(2):
        with pytest.raises(TraceError, match=rf"cells.{last}.scenario.digest was"):
            swept(out.path, {"workload.requests": [20, 30]}, **SEARCHED, resume=True)


def test_a_search_keeps_its_cells_where_what_has_failed_is_run_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first combination's searches fail at once; run again, they need cells before the other's."""
    values = {"workload.requests": [20, 30]}
    whole = swept(tmp_path / "whole", values, **SEARCHED)

    def failing(prepared, label, replication, write):
        if (
            prepared.scenario.workload.requests == 20
            and prepared.scenario.workload.arrivals.poisson.rate_hz == 200
        ):
            raise ZeroDivisionError("no way")
        simulating.simulate_run(prepared, label, replication, write)

    monkeypatch.setattr(unit_module, "simulate_run", failing)
    out = swept(tmp_path / "out", values, **SEARCHED)
    assert {each["values"][0] for each in out.record["capacities"] if "failed" in each} == {20}
    monkeypatch.undo()
    again = swept(out.path, values, **SEARCHED, resume=True, retry_failed=True)
    assert again.record["capacities"] == whole.record["capacities"]
    columns = ["requests", "poisson", "strategy", "replication"]
    found, expected = (
        each.results().drop(columns="cell").sort_values(columns, ignore_index=True) for each in (again, whole)
    )
    pd.testing.assert_frame_equal(found, expected)
    after = contents(again.path)
    assert contents(swept(out.path, values, **SEARCHED, resume=True).path) == after


def damaged(data: bytes) -> bytes:
    """The bytes of a Parquet file whose pages are nonsense, and whose footer is sound."""
    n_footer = int.from_bytes(data[-8:-4], "little") + 8
    return data[:4] + b"\xff" * (len(data) - n_footer - 4) + data[-n_footer:]


def foreign(data: bytes, how: str) -> bytes:
    """The bytes of another Parquet file."""
    stream = io.BytesIO()
    frame = pd.DataFrame({"a": [1]}) if how == "no column" else pd.read_parquet(io.BytesIO(data))
    (frame if how == "no column" else frame.assign(e2e_mean_s="long")).to_parquet(stream)
    return stream.getvalue()


@pytest.mark.parametrize("options", [{}, {"until": "e2e_mean_s±50%", "at_least": 10, "at_most": 12}])
def test_a_file_that_cannot_be_gone_on_with_is_named(tmp_path: Path, options: dict[str, object]) -> None:
    out = swept(tmp_path / "out", {RATE: ["2 Hz"]}, **options)
    file = out.path / "results/cell=0/replication-00001.parquet"
    data = file.read_bytes()
    for broken in (damaged(data), foreign(data, "no column"), foreign(data, "no number")):
        file.write_bytes(broken)
        with pytest.raises(TraceError, match=r"replication-00001.parquet: cannot be read as results"):
            swept(out.path, {RATE: ["2 Hz"]}, **options, resume=True)
        with pytest.raises(TraceError, match=r"replication-00001.parquet: cannot be read as results"):
            out.results()
    file.unlink()
    swept(out.path, {RATE: ["2 Hz"]}, **options, resume=True)
    assert file.read_bytes() == data


def test_a_value_that_no_column_holds_fails_its_cell_alone(tmp_path: Path) -> None:
    out = swept(tmp_path / "out", {"seed": [1, 99999999999999999999]})
    assert set(out.results()["cell"]) == {0}
    failures = out.failures()
    assert set(failures["cell"]) == {1}
    assert failures["reason"].str.contains("OverflowError").all()
