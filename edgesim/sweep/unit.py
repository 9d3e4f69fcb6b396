"""Unit of work of a sweep: one replication of all strategies of a cell, returned as the bytes of files."""

from __future__ import annotations

import io
import pickle
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

import edgesim.trace.schema as trace_schema
from edgesim.runner.prepared import Prepared
from edgesim.runner.simulating import simulate_run
from edgesim.statistics.summary import Summary, summarise
from edgesim.sweep.axes import Value
from edgesim.sweep.schema import results_table
from edgesim.trace.writer import PART_FILE, write_parquet

__all__ = [
    "KEPT",
    "Failed",
    "Keep",
    "Outcome",
    "Studied",
    "Unit",
    "Worked",
    "results_file",
    "work",
    "work_packed",
]

Keep: TypeAlias = Literal["results", "requests", "spans"]

KEPT: dict[Keep, tuple[str, ...]] = {
    "results": (),
    "requests": ("requests", "devices"),
    "spans": ("requests", "devices", "spans"),
}
"""The tables of a trace that are kept in addition to the results."""


@dataclass(frozen=True, order=True)
class Unit:
    """One replication of one cell."""

    cell: int
    replication: int


@dataclass(frozen=True)
class Studied:
    """A cell's study with the axes' labels and values for its results; pickled and sent to workers."""

    cell: int
    labels: tuple[str, ...]
    values: tuple[Value, ...]
    prepared: Prepared
    keep: Keep
    n_users: int | None = None  # of a closed loop


@dataclass(frozen=True)
class Worked:
    """Files of a completed unit by their paths in the sweep's folder; the results come last."""

    unit: Unit
    files: dict[str, bytes]


@dataclass(frozen=True)
class Failed:
    """A failed unit and the reason."""

    unit: Unit
    reason: str


Outcome: TypeAlias = "Worked | Failed"


def results_file(unit: Unit) -> str:
    """Return the path of a unit's results file, whose presence marks the unit as complete."""
    return f"results/cell={unit.cell}/replication-{unit.replication:05d}.parquet"


def work_packed(packed: bytes, unit: Unit) -> Outcome:
    """Unpickle a study and run :func:`work`; each call has its own copy, so that threads may call it."""
    return work(pickle.loads(packed), unit)


def work(studied: Studied, unit: Unit) -> Outcome:
    """Simulate a unit; an exception becomes the unit's outcome and does not end the sweep."""
    prepared = studied.prepared
    files: dict[str, bytes] = {}
    summaries: list[Summary] = []
    try:
        for label in prepared.strategies:
            kept = _Tables(KEPT[studied.keep])
            simulate_run(prepared, label, unit.replication, kept.write)
            summaries.append(_summary(studied, label, unit.replication, kept))
            partition = f"cell={unit.cell}/strategy={label}/replication={unit.replication}"
            for table, parts in kept.parts.items():
                for number, part in enumerate(parts):
                    files[f"{table}/{partition}/{PART_FILE.format(number)}"] = part
        files[results_file(unit)] = _bytes(results_table(studied.labels, studied.values, summaries))
    except Exception as error:  # recorded as the reason, and the sweep continues
        notes = "".join(f" ({note})" for note in getattr(error, "__notes__", ()))
        return Failed(unit, f"{type(error).__name__}: {error}{notes}")
    return Worked(unit, files)


@dataclass
class _Tables:
    """Tables kept of a run: requests and devices, delivery times of tokens, and files to write."""

    kept: tuple[str, ...]
    parts: dict[str, list[bytes]] = field(default_factory=dict)
    tables: dict[str, list[pa.Table]] = field(default_factory=dict)
    emits: list[tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]] = field(default_factory=list)

    def write(self, name: str, table: pa.Table) -> None:
        if name in self.kept:
            self.parts.setdefault(name, []).append(_bytes(table))
        if name == "spans":
            emitted = table.select(["request_id", "kind", "ended_at_s"]).to_pandas()
            stated = emitted[(emitted["kind"] == "emit") & emitted["ended_at_s"].notna()]
            self.emits.append(
                (stated["request_id"].to_numpy(np.int64), stated["ended_at_s"].to_numpy(np.float64))
            )
        else:
            self.tables.setdefault(name, []).append(table)

    def frame(self, name: str) -> pa.Table:
        parts = self.tables.get(name)
        if not parts:
            return trace_schema.arrow_schema(name).empty_table()
        return pa.concat_tables(parts).unify_dictionaries()

    def deliveries(self) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]]:
        return iter(self.emits)


def _summary(studied: Studied, label: str, replication: int, kept: _Tables) -> Summary:
    scenario = studied.prepared.scenario
    return summarise(
        kept.frame("requests").to_pandas(),
        kept.frame("devices").to_pandas(),
        kept.deliveries() if kept.emits else None,
        strategy=label,
        replication=replication,
        warmup_s=scenario.warmup_s,
        horizon_s=scenario.horizon_s,
        objectives=scenario.objectives.values(),
        n_users=studied.n_users,
    )


def _bytes(table: pa.Table) -> bytes:
    stream = io.BytesIO()
    write_parquet(table, stream)
    return stream.getvalue()
