"""Every law of what is counted over time can be broken, and says so when it is."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from edgesim.runner import prepare, run
from edgesim.scenario.load import parse
from edgesim.trace.laws.of_counters import COUNTER_LAWS
from edgesim.trace.reader import Trace
from edgesim.trace.schema import OPTIONAL_TABLES, arrow_schema

TEXT = """\
name: counted
seed: 3
model: {architecture: gpt2, dtype: float32}
profile: analytic
horizon: 2 s
replications: 1
topology:
  devices:
    - {id: user, kind: raspberry-pi-5, count: 2, place: {grid: 60 m}, battery: {capacity: 60 J}}
    - {id: cell, kind: rtx-3090, place: {at: [20 m, 20 m]}}
  links:
    - {between: [user, cell], radio: nr-n78}
workload:
  sources: user
  arrivals: {poisson: 8 Hz}
  prompt_tokens: 200
  output_tokens: 8
strategies: [{use: offload, to: cell}]
"""


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    prepared = prepare(parse(TEXT, name="counted.yaml"))
    return run(prepared, tmp_path_factory.mktemp("sound") / "trace", counters_s=0.1).path


def tampered(sound: Path, tmp_path: Path, change: Callable[[pd.DataFrame], None]) -> list[str]:
    folder = tmp_path / "tampered"
    shutil.copytree(sound, folder)
    frame = Trace(sound).counters("offload", 0).astype({"device": object, "peer": object, "name": object})
    change(frame)
    fields = [pa.field(f.name, f.type, nullable=True) for f in arrow_schema("counters")]
    table = pa.Table.from_pandas(frame, schema=pa.schema(fields), preserve_index=False)
    pq.write_table(table, next((folder / "counters").rglob("part-00000.parquet")))
    return Trace(folder).check()


def put(name: str, column: str, value: object, place: int = 2) -> Callable[[pd.DataFrame], None]:
    def change(frame: pd.DataFrame) -> None:
        frame.loc[frame.index[frame["name"] == name][place], column] = value

    return change


def swap(frame: pd.DataFrame) -> None:
    frame.iloc[[50, -5]] = frame.iloc[[-5, 50]].to_numpy()


WRONG: dict[tuple[str, str], Callable[[pd.DataFrame], None]] = {
    ("counters.device", "a device of the devices table"): put("kv_bytes", "device", "ghost"),
    ("counters.peer", "another device of the devices table for snr_db, else null"): put(
        "kv_bytes", "peer", "user-0"
    ),
    ("counters.at_s", "no later than the end of the run"): put("snr_db", "at_s", 2.5, -1),
    ("counters.at_s", "no earlier than the row before"): swap,
    ("counters.value", "a value, except for snr_db"): put("battery_j", "value", np.nan),
    ("counters.value", "0 or more, except for snr_db"): put("kv_bytes", "value", -1.0),
    ("devices.peak_memory_bytes", "resident_bytes and the largest kv_bytes together"): put(
        "resident_bytes", "value", 5.0
    ),
    (
        "counters.value",
        "at the end, the first battery_j less the energy that the device has drawn",
    ): put("battery_j", "value", 59.0, -1),
}


def test_what_a_run_counts_is_lawful(sound: Path, tmp_path: Path) -> None:
    assert Trace(sound).check() == []
    assert tampered(sound, tmp_path, lambda frame: None) == []
    counted = Trace(sound).counters("offload", 0)
    assert set(counted["name"]) == {"kv_bytes", "resident_bytes", "battery_j", "snr_db"}


def test_laws_are_about_every_column_and_all_are_broken_below() -> None:
    every = {f"counters.{column.name}" for column in OPTIONAL_TABLES["counters"]}
    assert {column for law in COUNTER_LAWS for column in law.columns} >= every
    no_table = {("counters.device", "a table, as run.json says that counters were recorded")}
    assert {(law.column, law.says) for law in COUNTER_LAWS} == {*WRONG, *no_table}


@pytest.mark.parametrize("law", WRONG, ids=lambda law: f"{law[0]}: {law[1]}")
def test_a_broken_law_is_told(law: tuple[str, str], sound: Path, tmp_path: Path) -> None:
    sentences = tampered(sound, tmp_path, WRONG[law])
    told = [s for s in sentences if f" {law[0]}, " in s and f"expected {law[1]}" in s]
    assert told, "\n".join(sentences)
    assert ": found " in told[0]


@pytest.mark.parametrize(
    ("column", "value", "says"),
    [("name", "nonsense", "one of"), ("at_s", -1.0, "0 or more"), ("value", np.inf, "a finite number")],
)
def test_columns_are_held_to_the_schema(
    column: str, value: object, says: str, sound: Path, tmp_path: Path
) -> None:
    sentences = tampered(sound, tmp_path, put("kv_bytes", column, value))
    assert any(f" counters.{column}, row" in s and f"expected {says}" in s for s in sentences), sentences


def test_a_table_that_is_gone_is_missed(sound: Path, tmp_path: Path) -> None:
    shutil.copytree(sound, tmp_path / "t")
    shutil.rmtree(tmp_path / "t" / "counters")
    (sentence,) = Trace(tmp_path / "t").check()
    assert "expected a table, as run.json says" in sentence
    facts = json.loads((tmp_path / "t" / "run.json").read_text())
    del facts["counters"]
    (tmp_path / "t" / "run.json").write_text(json.dumps(facts))
    assert Trace(tmp_path / "t").check() == []
