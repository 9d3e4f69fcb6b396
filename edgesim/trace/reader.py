"""Reader of trace folders: tables as pandas DataFrames, for one strategy and replication at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
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
from edgesim.trace.schema import ALL_TABLES, SCHEMA_VERSION, arrow_schema
from edgesim.trace.writer import RUN_FILE

__all__ = ["Trace"]

_MOST_SPANS_CHECKED = 2_000_000  # takes 7 s


@dataclass(frozen=True)
class Trace:
    """A trace folder, opened for reading.

    Parameters
    ----------
    path
        The folder that contains ``run.json``.
    is_own
        Whether this process has written the trace, which :meth:`sound` then does not check again.

    Raises
    ------
    TraceError
        If the folder contains no trace, or one of another schema version.
    """

    path: Path
    is_own: bool = field(default=False, kw_only=True, repr=False, compare=False)

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
        """Contents of ``run.json``: scenario, seed, profile, machine, versions, status."""
        return read_record(self.path / RUN_FILE)

    @property
    def is_complete(self) -> bool:
        """Whether the run that wrote the trace finished."""
        return self.run.get("status") == "complete"

    @property
    def incomplete(self) -> str | None:
        """Description of what an unfinished run lacks; None if the trace is complete."""
        if self.is_complete:
            return None
        run = cast("dict[str, Any]", self.run)
        n_whole = sum(len(self.replications(strategy)) for strategy in self.strategies)
        n_asked = len(run["strategies"]) * run["replications"]
        return f"incomplete ({run.get('status', 'no status')}): {n_whole} of {n_asked} runs are complete"

    def complete(self) -> Self:
        """Return the trace itself if it is complete.

        Raises
        ------
        TraceError
            If the run that wrote it did not finish.
        """
        if self.incomplete is not None:
            raise TraceError(f"{self.path}: {self.incomplete}; finish that run first ('resume')")
        return self

    def sound(self) -> Self:
        """Return the trace itself if it obeys all laws; it may be incomplete.

        If the trace has over two million spans, only requests and devices are checked (:meth:`check` always
        checks all). A trace that this process has written is not checked.

        Raises
        ------
        TraceError
            If a law is broken, with the first violation.
        """
        if not self.is_own and self._violations:
            more = f", and {len(self._violations) - 1} more" if len(self._violations) > 1 else ""
            raise TraceError(
                f"{self.path}: not a valid trace: {self._violations[0]}{more} (Trace.check lists all); "
                "run the scenario again"
            )
        return self

    @cached_property
    def _violations(self) -> list[str]:
        return violations(self, may_be_incomplete=True, with_spans=self._n_spans() <= _MOST_SPANS_CHECKED)

    def _n_spans(self) -> int:
        """Return the number of spans, from the metadata of the files."""
        return sum(
            self._opened(part).metadata.num_rows for part in self.path.glob("spans/*/*/part-*.parquet")
        )

    @cached_property
    def strategies(self) -> tuple[str, ...]:
        """Labels of the strategies that have files in the folder, in the scenario's order."""
        found = {p.name.removeprefix("strategy=") for p in self.path.glob("*/strategy=*")}
        order = cast("list[str]", self.run.get("strategies", []))
        return tuple([s for s in order if s in found] + sorted(found.difference(order)))

    def replications(self, strategy: str) -> tuple[int, ...]:
        """Return the complete replications of a strategy: those with a devices table (written last)."""
        return self.replications_with("devices", strategy)

    def replications_with(self, table: str, strategy: str) -> tuple[int, ...]:
        """Return the replications of a strategy for which a table exists."""
        home = self.path / table / f"strategy={strategy}"
        found = (
            p.parent.name.removeprefix("replication=") for p in home.glob("replication=*/part-*.parquet")
        )
        return tuple(sorted({int(number) for number in found if number.isdecimal()}))

    def requests(self, strategy: str, replication: int) -> pd.DataFrame:
        """Return all requests of one run."""
        return _frame(self._table("requests", strategy, replication))

    def devices(self, strategy: str, replication: int) -> pd.DataFrame:
        """Return all devices of one run."""
        return _frame(self._table("devices", strategy, replication))

    def spans(self, strategy: str, replication: int) -> pd.DataFrame:
        """Return all spans of one run; for large runs, :meth:`span_parts` needs less memory."""
        return _frame(self._table("spans", strategy, replication))

    def counters(self, strategy: str, replication: int) -> pd.DataFrame:
        """Return the counters of one run over time; without rows if the run did not record counters."""
        return _frame(self._table("counters", strategy, replication))

    def span_parts(
        self, strategy: str, replication: int, columns: list[str] | None = None
    ) -> Iterator[pd.DataFrame]:
        """Yield the spans of one run, one part at a time, in the order in which they were booked."""
        for part in self._parts("spans", strategy, replication):
            yield _frame(self._as_promised(part, columns))

    def emits(
        self, strategy: str, replication: int
    ) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]]:
        """Yield request ids and instants of token deliveries up to the end of the run, one part at a time."""
        for spans in self.span_parts(strategy, replication, ["request_id", "kind", "ended_at_s"]):
            emits = spans[(spans["kind"] == "emit") & spans["ended_at_s"].notna()]
            yield emits["request_id"].to_numpy(np.int64), emits["ended_at_s"].to_numpy(np.float64)

    def has_spans(self, strategy: str, replication: int) -> bool:
        """Whether the trace contains spans of this run; a run can be made without keeping spans."""
        return bool(self._parts("spans", strategy, replication))

    def check(self) -> list[str]:
        """Check the trace against every law, and return the violations as sentences (empty if valid)."""
        return violations(self)

    def parts(
        self, table: str, strategy: str, replication: int, columns: list[str] | None = None
    ) -> Iterator[pa.Table]:
        """Yield a table of one run as stored, one Arrow table per part, with all columns or those given."""
        for part in self._parts(table, strategy, replication):
            yield self._read(part, columns)

    def _parts(self, table: str, strategy: str, replication: int) -> list[Path]:
        home = self.path / table / f"strategy={strategy}" / f"replication={replication}"
        return sorted(home.glob("part-*.parquet"))

    def _table(self, table: str, strategy: str, replication: int) -> pa.Table:
        parts = [self._as_promised(part) for part in self._parts(table, strategy, replication)]
        if not parts:
            return arrow_schema(table).empty_table()
        return pa.concat_tables(parts).unify_dictionaries()

    def _as_promised(self, part: Path, columns: list[str] | None = None) -> pa.Table:
        """Read a part; refuse columns whose values are of another kind than the schema's."""
        table = self._read(part, columns)
        expected = {c.name: c.type for c in ALL_TABLES[part.parts[-4]]}
        for one in table.schema:
            kind = expected.get(one.name, one.type)
            if _sort(one.type) != _sort(kind):
                raise TraceError(
                    f"{part}: column {one.name} contains {one.type}, expected {kind}; the trace was not "
                    "written by edgesim, or is damaged"
                )
        return table

    def _opened(self, part: Path) -> pq.ParquetFile:
        try:
            return pq.ParquetFile(part)
        except (pa.ArrowException, OSError) as error:
            raise TraceError(f"{part}: cannot be read ({error})") from None

    def _read(self, part: Path, columns: list[str] | None = None) -> pa.Table:
        file = self._opened(part)
        try:
            table = file.read(columns)
        except (pa.ArrowException, OSError) as error:
            raise TraceError(f"{part}: cannot be read ({error})") from None
        wanted = [c.name for c in ALL_TABLES[part.parts[-4]]] if columns is None else columns
        lacking = set(wanted).difference(table.column_names)
        if lacking:
            raise TraceError(
                f"{part}: missing column(s) {', '.join(sorted(lacking))}; run the scenario again"
            )
        return table


def _sort(kind: pa.DataType) -> str:
    """Return the kind of a column's values, regardless of their width and encoding."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return "numbers"
    return "names" if pa.types.is_string(kind) or pa.types.is_large_string(kind) else str(kind)


def _frame(table: pa.Table) -> pd.DataFrame:
    return cast("pd.DataFrame", table.to_pandas())
