"""A sweep's folder as others read it, and folders that are none."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import pandas as pd
import pytest
from sweeping import swept

from edgesim.errors import TraceError
from edgesim.sweep.reader import Sweep


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Sweep:
    return swept(tmp_path_factory.mktemp("sweep") / "out", keep="requests")


def counted(frame: pd.DataFrame) -> dict[tuple[int, str], int]:
    """Requests offered by cell and strategy."""
    return {
        (int(cell), str(strategy)): int(n)
        for (cell, strategy), n in frame.groupby(["cell", "strategy"], observed=True)["offered"].sum().items()
    }


def test_pandas_polars_duckdb_and_dask_read_the_data_set_alike(sweep: Sweep) -> None:
    expected = counted(sweep.results())
    results, requests = sweep.path / "results", sweep.path / "requests"
    n_requests = int(sweep.results()["offered"].sum())
    assert counted(pd.read_parquet(results)) == expected
    assert len(pd.read_parquet(requests)) == n_requests
    n_tried = 0
    polars = _library("polars")
    if polars is not None:
        n_tried += 1
        scanned = polars.scan_parquet(results / "**/*.parquet", hive_partitioning=True)
        assert counted(pd.DataFrame(scanned.collect().to_dicts())) == expected
        scanned = polars.scan_parquet(requests / "**/*.parquet", hive_partitioning=True)
        assert scanned.select(polars.len()).collect().item() == n_requests
    duckdb = _library("duckdb")
    if duckdb is not None:
        n_tried += 1
        files = f"read_parquet('{results}/**/*.parquet', hive_partitioning=true)"
        rows = duckdb.sql(f"select cell, strategy, sum(offered) from {files} group by all").fetchall()
        assert {(int(cell), strategy): int(n) for cell, strategy, n in rows} == expected
        files = f"read_parquet('{requests}/**/*.parquet', hive_partitioning=true)"
        assert duckdb.sql(f"select count(*) from {files}").fetchall() == [(n_requests,)]
    frames = _library("dask.dataframe")
    if frames is not None:
        n_tried += 1
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Dask's own, of what newer versions of pandas deprecate
            assert counted(frames.read_parquet(results).compute(scheduler="sync")) == expected
            assert len(frames.read_parquet(requests).compute(scheduler="sync")) == n_requests
    if not n_tried:
        pytest.skip("neither polars nor duckdb nor dask is installed")


def _library(name: str):
    try:
        return pytest.importorskip(name)
    except pytest.skip.Exception:
        return None


def test_a_folder_that_is_no_sweep_is_refused_in_a_sentence(tmp_path: Path, sweep: Sweep) -> None:
    record = dict(sweep.record)
    for number, (text, told) in enumerate(
        (
            (None, "no sweep here"),
            ("{", "cannot be read"),
            ("[]", "expected a mapping of what was swept, got list"),
            ("{}", "schema version null, this edgesim reads 1"),
            (json.dumps({**record, "schema_version": 99}), "schema version 99"),
            (json.dumps({**record, "axes": None}), "'axes' is of an unexpected type"),
            (json.dumps({**record, "axes": [{"label": "x"}]}), "an axis lacks its label, path or values"),
            (json.dumps({**record, "axes": [{"label": "x", "path": "", "values": [{}]}]}), "axis 'x'"),
            (json.dumps({name: record[name] for name in record if name != "cells"}), "'cells' is missing"),
        )
    ):
        folder = tmp_path / str(number)
        folder.mkdir()
        if text is not None:
            (folder / "sweep.json").write_text(text)
        with pytest.raises(TraceError, match=told):
            Sweep(folder)
    with pytest.raises(TraceError, match="no sweep here"):
        Sweep(tmp_path / "nowhere")


def test_a_file_that_is_broken_or_foreign_is_named(tmp_path: Path, sweep: Sweep) -> None:
    home = tmp_path / "results/cell=0"
    home.mkdir(parents=True)
    (tmp_path / "sweep.json").write_text(json.dumps(dict(sweep.record)))
    assert len(Sweep(tmp_path).results()) == 0
    file = home / "replication-00000.parquet"
    file.write_bytes(b"no parquet")
    with pytest.raises(TraceError, match="cannot be read as results of this sweep"):
        Sweep(tmp_path).results()
    pd.DataFrame({"a": [1]}).to_parquet(file)
    with pytest.raises(TraceError, match="cannot be read as results of this sweep"):
        Sweep(tmp_path).results()
    (tmp_path / "failures/cell=0").mkdir(parents=True)
    (tmp_path / "failures/cell=0/replication-00001.json").write_text("{")
    assert "cannot be read" in Sweep(tmp_path).failures()["reason"][0]


@pytest.mark.parametrize(
    ("number", "cell"),
    [
        ("0", 3),
        ("0", {}),
        ("0", {"values": "1 Hz", "strategies": []}),
        ("0", {"values": [1, 2], "strategies": []}),
        ("0", {"values": ["1 Hz"], "strategies": [3]}),
        ("zero", {"values": ["1 Hz"], "strategies": ["local"]}),
    ],
)
def test_a_cell_that_is_none_is_refused(tmp_path: Path, sweep: Sweep, number: str, cell: object) -> None:
    (tmp_path / "sweep.json").write_text(json.dumps({**sweep.record, "cells": {number: cell}}))
    with pytest.raises(TraceError, match=f"cell '{number}': expected a number, with a value of each axis"):
        Sweep(tmp_path)


def test_a_sweep_under_way_says_what_is_there(tmp_path: Path, sweep: Sweep) -> None:
    (tmp_path / "sweep.json").write_text(json.dumps({**sweep.record, "status": "running"}))
    assert Sweep(tmp_path).incomplete == "incomplete (running): 0 of 6 units (cell, replication) are done"
    assert sweep.incomplete is None
