"""Files that somebody else wrote, or half of one, get one clear error."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from edgesim.errors import InputError
from edgesim.model.answers.exit_records import ExitRecords
from edgesim.model.answers.impaired_answers import QualityRow, QualityTable

ROW = {
    "name": "clean", "level": 0.0, "nll": 1.0, "nll_se": 0.0, "nll_rise": 0.0, "nll_rise_se": 0.0,
    "accuracy": 0.5, "accuracy_se": 0.0,
}  # fmt: skip
TABLE = QualityTable((QualityRow(**ROW),), {"n_blocks": 4})  # type: ignore[arg-type]
RECORDS = ExitRecords((2, 4), np.full((3, 2), 0.5), np.ones((3, 2), np.bool_), provenance={"model": "a"})

Told = dict[str, Any]


def spoilt(path: Path, key: bytes, change: Callable[[Told], Any]) -> Path:
    table = pq.read_table(path)
    told = change(json.loads(table.schema.metadata[key]))
    text = told if isinstance(told, bytes) else json.dumps(told)
    pq.write_table(table.replace_schema_metadata({key: text}), path)
    return path


BOTH: list[Callable[[Told], Any]] = [
    lambda told: b"{",
    lambda told: [],
    lambda told: {},
    lambda told: {k: v for k, v in told.items() if k != "provenance"},
    lambda told: told | {"provenance": []},
]


@pytest.mark.parametrize(
    "change",
    [*BOTH, lambda told: told | {"provenance": {"n_blocks": "x"}}, lambda told: told | {"version": 9}],
)
def test_a_damaged_quality_table_is_told(tmp_path: Path, change: Callable[[Told], Any]) -> None:
    TABLE.save(tmp_path / "quality.parquet")
    assert QualityTable.load(tmp_path / "quality.parquet").rows == TABLE.rows
    with pytest.raises(InputError, match=r"quality.parquet: (damaged|a quality table of version 9)"):
        QualityTable.load(spoilt(tmp_path / "quality.parquet", b"edgesim_quality", change))


@pytest.mark.parametrize(
    "change",
    [
        *BOTH,
        lambda told: told | {"blocks": []},
        lambda told: told | {"blocks": None},
        lambda told: told | {"blocks": [2, 6]},
        lambda told: told | {"blocks": ["x"]},
    ],
)
def test_damaged_exit_records_are_told(tmp_path: Path, change: Callable[[Told], Any]) -> None:
    RECORDS.save(tmp_path / "exits.parquet")
    assert ExitRecords.load(tmp_path / "exits.parquet").blocks == (2, 4)
    (key,) = (k for k in pq.read_schema(tmp_path / "exits.parquet").metadata if k.startswith(b"edgesim"))
    with pytest.raises(InputError, match=r"exits.parquet: damaged"):
        ExitRecords.load(spoilt(tmp_path / "exits.parquet", key, change))


def test_a_table_without_its_columns_is_told(tmp_path: Path) -> None:
    told = json.dumps({"version": 1, "provenance": {}})
    table = pa.table({"name": ["clean"]}).replace_schema_metadata({b"edgesim_quality": told})
    pq.write_table(table, tmp_path / "quality.parquet")
    with pytest.raises(InputError, match="damaged"):
        QualityTable.load(tmp_path / "quality.parquet")
