"""Reading a trace folder, anyone's: as pandas tables, a strategy and a replication at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self, cast

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from edgesim.errors import TraceError
from edgesim.trace.laws.check import violations
from edgesim.trace.record import read_record
from edgesim.trace.schema import SCHEMA_VERSION, TABLES, arrow_schema
from edgesim.trace.writer import RUN_FILE

__all__ = ["Trace"]


@dataclass(frozen=True)
class Trace:
    """A trace folder, opened for reading.

    Parameters
    ----------
    path
        The folder that holds ``run.json``.

    Raises
    ------
    TraceError
        If the folder holds no trace, or one of another schema version.
    """

    path: Path

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", Path(self.path))
        version = self.run.get("schema_version")
        if version != SCHEMA_VERSION:
            raise TraceError(
                f"{self.path}: schema version {version}, this edgesim reads {SCHEMA_VERSION}; "
                "use the edgesim that wrote it, or run the scenario again"
            )

    @cached_property
    def run(self) -> Mapping[str, object]:
        """What ``run.json`` says: scenario, seed, profile, machine, versions, status."""
        return read_record(self.path / RUN_FILE)

    @property
    def is_complete(self) -> bool:
        """Whether the run that wrote it came to its end."""
        return self.run.get("status") == "complete"

    @property
    def incomplete(self) -> str | None:
        """What is missing of a run that did not come to its end, in words; None if nothing is."""
        if self.is_complete:
            return None
        run = cast("dict[str, Any]", self.run)
        n_whole = sum(len(self.replications(strategy)) for strategy in self.strategies)
        n_asked = len(run["strategies"]) * run["replications"]
        return f"incomplete ({run.get('status', 'no status')}): {n_whole} of {n_asked} runs are whole"

    def complete(self) -> Self:
        """The same trace.

        Raises
        ------
        TraceError
            If the run that wrote it did not come to its end.
        """
        if self.incomplete is not None:
            raise TraceError(f"{self.path}: {self.incomplete}; go on with that run ('resume') first")
        return self

    @cached_property
    def strategies(self) -> tuple[str, ...]:
        """Labels of the strategies, in the scenario's order, that have anything on disk."""
        found = {p.name.removeprefix("strategy=") for p in self.path.glob("*/strategy=*")}
        order = cast("list[str]", self.run.get("strategies", []))
        return tuple([s for s in order if s in found] + sorted(found.difference(order)))

    def replications(self, strategy: str) -> tuple[int, ...]:
        """Replications of one strategy that are whole: their devices table, written last, is there."""
        return self.replications_with("devices", strategy)

    def replications_with(self, table: str, strategy: str) -> tuple[int, ...]:
        """Replications of one strategy of which a table is there."""
        home = self.path / table / f"strategy={strategy}"
        found = (
            p.parent.name.removeprefix("replication=") for p in home.glob("replication=*/part-*.parquet")
        )
        return tuple(sorted({int(number) for number in found if number.isdecimal()}))

    def requests(self, strategy: str, replication: int) -> pd.DataFrame:
        """All requests of one run."""
        return _frame(self._table("requests", strategy, replication))

    def devices(self, strategy: str, replication: int) -> pd.DataFrame:
        """All devices of one run."""
        return _frame(self._table("devices", strategy, replication))

    def spans(self, strategy: str, replication: int) -> pd.DataFrame:
        """All spans of one run; :meth:`span_parts` takes less memory on large ones."""
        return _frame(self._table("spans", strategy, replication))

    def span_parts(
        self, strategy: str, replication: int, columns: list[str] | None = None
    ) -> Iterator[pd.DataFrame]:
        """Spans of one run, a part at a time, in the order in which they were booked."""
        for part in self._parts("spans", strategy, replication):
            yield _frame(self._sound(part, columns))

    def emits(
        self, strategy: str, replication: int
    ) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]]:
        """Deliveries of tokens, a part at a time: request ids and instants, those after the end left out."""
        for spans in self.span_parts(strategy, replication, ["request_id", "kind", "ended_at_s"]):
            told = spans[(spans["kind"] == "emit") & spans["ended_at_s"].notna()]
            yield told["request_id"].to_numpy(np.int64), told["ended_at_s"].to_numpy(np.float64)

    def has_spans(self, strategy: str, replication: int) -> bool:
        """Whether spans of this run are there: a run may have been told to keep none."""
        return bool(self._parts("spans", strategy, replication))

    def check(self) -> list[str]:
        """Check every law that a trace must obey; the violations as sentences, none if it is sound."""
        return violations(self)

    def parts(self, table: str, strategy: str, replication: int) -> Iterator[pa.Table]:
        """A table of one run as it is on disk, a part at a time."""
        for part in self._parts(table, strategy, replication):
            yield self._read(part)

    def _parts(self, table: str, strategy: str, replication: int) -> list[Path]:
        home = self.path / table / f"strategy={strategy}" / f"replication={replication}"
        return sorted(home.glob("part-*.parquet"))

    def _table(self, table: str, strategy: str, replication: int) -> pa.Table:
        parts = [self._sound(part) for part in self._parts(table, strategy, replication)]
        if not parts:
            return arrow_schema(table).empty_table()
        return pa.concat_tables(parts).unify_dictionaries()

    def _sound(self, part: Path, columns: list[str] | None = None) -> pa.Table:
        """A part whose columns hold what their names promise: numbers, names, or yes and no."""
        table = self._read(part, columns)
        expected = {c.name: c.type for c in TABLES[part.parts[-4]]}
        for field in table.schema:
            kind = expected.get(field.name, field.type)
            if _sort(field.type) != _sort(kind):
                raise TraceError(
                    f"{part}: column {field.name} holds {field.type}, expected {kind}; the trace was not "
                    "written by edgesim, or is damaged"
                )
        return table

    def _read(self, part: Path, columns: list[str] | None = None) -> pa.Table:
        try:
            table = pq.ParquetFile(part).read(columns)
        except (pa.ArrowInvalid, OSError) as error:
            raise TraceError(f"{part}: cannot be read ({error})") from None
        wanted = [c.name for c in TABLES[part.parts[-4]]] if columns is None else columns
        lacking = set(wanted).difference(table.column_names)
        if lacking:
            raise TraceError(f"{part}: lacks the column(s) {', '.join(sorted(lacking))}")
        return table


def _sort(kind: pa.DataType) -> str:
    """What a column holds, whatever its width and encoding."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return "numbers"
    return "names" if pa.types.is_string(kind) or pa.types.is_large_string(kind) else str(kind)


def _frame(table: pa.Table) -> pd.DataFrame:
    return cast("pd.DataFrame", table.to_pandas())
