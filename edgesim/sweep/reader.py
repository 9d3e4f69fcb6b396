"""Read a sweep's folder: its axes, its results as one table, and its failures."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from edgesim.errors import TraceError
from edgesim.files import UnreadableFileError, json_value, read_bounded
from edgesim.sweep.axes import Value, split_number
from edgesim.sweep.folder import SWEEP_FILE, failure_file, units_of, unreadable
from edgesim.sweep.schema import SCHEMA_VERSION, further_in, results_schema
from edgesim.sweep.unit import results_file

__all__ = ["Sweep"]

_MOST_BYTES = 256 * 2**20
_KINDS: Mapping[str, type | tuple[type, ...]] = {
    "name": str,
    "status": str,
    "axes": list,
    "cells": dict,
    "strategies": list,
    "n_units": int,
}


@dataclass(frozen=True)
class Sweep:
    """A folder written by ``edgesim sweep``, opened for reading, possibly while the sweep is still running.

    Parameters
    ----------
    path
        The folder that contains ``sweep.json``.

    Raises
    ------
    TraceError
        If the folder contains no sweep, a broken one, or one of another schema version.
    """

    path: Path

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", Path(self.path))
        _ = self.record

    @cached_property
    def record(self) -> Mapping[str, Any]:
        """Contents of ``sweep.json``: axes, cells, options, and the facts in a trace's ``run.json``."""
        return _record(self.path / SWEEP_FILE)

    @property
    def name(self) -> str:
        """The scenario's name."""
        return str(self.record["name"])

    @cached_property
    def axes(self) -> dict[str, tuple[Value, ...]]:
        """Values of each axis, by its label, in the given order."""
        return {str(axis["label"]): tuple(axis["values"]) for axis in self.record["axes"]}

    @cached_property
    def paths(self) -> dict[str, str]:
        """Path in the scenario that each axis changes, by its label; empty for named lists of changes."""
        return {str(axis["label"]): str(axis["path"]) for axis in self.record["axes"]}

    @property
    def strategies(self) -> tuple[str, ...]:
        """Labels of the strategies of all cells."""
        return tuple(str(label) for label in self.record["strategies"])

    @property
    def is_complete(self) -> bool:
        """Whether the sweep ran to its end; units may still have failed (see :meth:`failures`)."""
        return bool(self.record["status"] == "complete")

    @property
    def incomplete(self) -> str | None:
        """Description of the missing units of an unfinished sweep; None for a complete one."""
        if self.is_complete:
            return None
        n_whole, n_failed = len(units_of(self.path, "results")), len(units_of(self.path, "failures"))
        n_asked = self.record["n_units"]
        of = f" of {n_asked}" if n_asked else ""
        failed = f", {n_failed} failed" if n_failed else ""
        return (
            f"incomplete ({self.record['status']}): {n_whole}{of} units (cell, replication) are done{failed}"
        )

    def numbers(self, label: str) -> tuple[tuple[float, ...], str] | None:
        """Return the numbers of an axis and their unit, if all values (``1 Hz``) share one; else None."""
        found = [split_number(value) for value in self.axes[label]]
        if any(each is None for each in found):
            return None
        pairs = [each for each in found if each is not None]
        units = {unit for _, unit in pairs}
        return (tuple(number for number, _ in pairs), units.pop()) if len(units) == 1 else None

    def results(self) -> pd.DataFrame:
        """Return one row per cell, strategy and replication that is complete, in this order.

        Columns: `cell`, one for each axis, `strategy`, `replication`, requests `offered`, `completed`,
        `failed` and `censored`, and every metric by its name; NaN where a metric is unknown or undefined.

        Raises
        ------
        TraceError
            If a file cannot be read, or lacks a column.
        """
        table = self.table()
        hidden = [name for name in table.column_names if name.startswith("growth")]
        return cast("pd.DataFrame", table.drop_columns(hidden).to_pandas())

    def table(self) -> pa.Table:
        """Return all results as stored on disk, with the cell as the first column."""
        kinds = [type(values[0]) if values else str for values in self.axes.values()]
        cell = pa.field("cell", pa.int64())
        parts = []
        for unit in units_of(self.path, "results"):
            file = self.path / results_file(unit)
            try:
                part = pq.ParquetFile(file).read()
                schema = results_schema(list(self.axes), kinds, further_in(part.schema))
                part = part.select(schema.names).cast(schema)
            except (pa.ArrowException, KeyError, OSError, ValueError) as error:
                raise unreadable(file, error) from None
            parts.append(part.add_column(0, cell, pa.array([unit.cell] * len(part), pa.int64())))
        if not parts:
            return results_schema(list(self.axes), kinds).insert(0, cell).empty_table()
        return pa.concat_tables(parts, promote_options="default")

    def capacities(self) -> pd.DataFrame | None:
        """Return the results of the capacity search; None if the sweep had none.

        One row per combination of the other axes (a column each) and `strategy`: `low`, the highest load
        known to meet the objectives; `high`, the lowest load known to miss them (NaN where the range ended
        first); the `unit` of both; and what the load is `limited_by`: ``objectives``, or ``saturation`` where
        the number of requests in flight keeps growing at `high`.
        """
        found = self.record.get("capacities")
        if not isinstance(found, list):
            return None
        labels = list(self.axes)[:-1]
        columns = ["strategy", "low", "high", "unit", "limited_by"]
        try:
            rows = [[*each["values"], *(each[name] for name in columns)] for each in found]
            table = pd.DataFrame(rows, columns=[*labels, *columns])
        except (KeyError, TypeError, ValueError) as error:
            raise TraceError(
                f"{self.path / SWEEP_FILE}: the capacities cannot be read ({error}); run the sweep again"
            ) from None
        return table.astype({"low": float, "high": float})

    def failures(self) -> pd.DataFrame:
        """Return the failed units: `cell`, `replication`, one column for each axis, and the `reason`."""
        cells, labels = self.record["cells"], list(self.axes)
        rows = []
        for unit in units_of(self.path, "failures"):
            file = self.path / failure_file(unit)
            try:
                stated = json_value(read_bounded(file, _MOST_BYTES))
                reason = str(stated["reason"])
            except (UnreadableFileError, KeyError, TypeError) as error:
                reason = f"unknown, because {file.name} cannot be read ({error})"
            values = cells.get(str(unit.cell), {}).get("values", [None] * len(labels))
            rows.append((unit.cell, unit.replication, *values, reason))
        return pd.DataFrame(rows, columns=["cell", "replication", *labels, "reason"])


def _record(file: Path) -> dict[str, Any]:
    try:
        facts = json_value(read_bounded(file, _MOST_BYTES))
    except UnreadableFileError as error:
        if not file.exists():
            raise TraceError(
                f"{file.parent}: no sweep here ({SWEEP_FILE} is missing); expected a folder that "
                "'edgesim sweep' wrote"
            ) from None
        raise TraceError(f"{file}: cannot be read ({error}); run the sweep again") from None
    if not isinstance(facts, dict):
        raise TraceError(f"{file}: expected a mapping of what was swept, got {type(facts).__name__}")
    version = facts.get("schema_version")
    if version != SCHEMA_VERSION:
        raise TraceError(
            f"{file}: schema version {json.dumps(version)[:20]}, this edgesim reads {SCHEMA_VERSION}; use "
            "the edgesim that wrote it, or run the sweep again"
        )
    for name, kind in _KINDS.items():
        if not isinstance(facts.get(name), kind):
            raise TraceError(
                f"{file}: {name!r} is {'missing' if name not in facts else 'of an unexpected type'}; "
                "expected what 'edgesim sweep' writes, run the sweep again"
            )
    for axis in facts["axes"]:
        if not isinstance(axis, dict) or not {"label", "path", "values"} <= axis.keys():
            raise TraceError(f"{file}: an axis lacks its label, path or values; run the sweep again")
        if not isinstance(axis["values"], list) or not all(
            isinstance(value, str | int | float | bool) for value in axis["values"]
        ):
            raise TraceError(f"{file}: axis {axis['label']!r}: expected a list of numbers or texts as values")
    for number, stated in facts["cells"].items():
        if not (
            number.isdecimal()
            and isinstance(stated, dict)
            and isinstance(stated.get("values"), list)
            and len(stated["values"]) == len(facts["axes"])
            and isinstance(stated.get("strategies"), list)
            and all(isinstance(label, str) for label in stated["strategies"])
        ):
            raise TraceError(
                f"{file}: cell {number!r}: expected a number, with a value of each axis and its strategies; "
                "run the sweep again"
            )
    return facts
