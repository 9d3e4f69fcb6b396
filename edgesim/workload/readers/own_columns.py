"""Tables of requests whose columns are named in the scenario."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from types import MappingProxyType
from typing import Literal, TextIO

from edgesim.csv_rows import named, read_rows
from edgesim.nearest import suggest
from edgesim.workload.readers.record import Format, Record, TextLength, opened, refuse, whole
from edgesim.workload.readers.tables import Clock, calendar

__all__ = ["Columns", "own_format"]

_UNITS_S: Mapping[str, float] = MappingProxyType({"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9})
_DATES = "date and time; zero is the first row's"


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """Columns of a table by their meaning; names are compared without regard to case and surrounding blanks.

    Attributes
    ----------
    at
        Instants: numbers, or dates and times; None if an arrival process gives the arrivals.
    prompt, output
        Tokens of the prompt and of the answer.
    source
        Ids of the devices that requests come from; None if these are drawn.
    unit
        Unit of instants that are numbers.
    """

    prompt: str
    output: str
    at: str | None = None
    source: str | None = None
    unit: Literal["s", "ms", "us", "ns"] = "s"

    @property
    def names(self) -> tuple[str, ...]:
        """All columns that are named."""
        return tuple(name for name in (self.at, self.prompt, self.output, self.source) if name is not None)


def own_format(path: Path, columns: Columns) -> Format:
    """Create the format of a table with these columns.

    Raises
    ------
    WorkloadError
        If the file cannot be read, or lacks one of the columns.
    """
    time_unit: str | None = None
    with opened(path) as text:
        found = read_rows(text)
        for name in columns.names:
            _column(path, name, found.header, found.names)
        if columns.at is not None:
            _, cells = next(found.rows, (0, [""] * len(found.header)))
            at = cells[_column(path, columns.at, found.header, found.names)]
            time_unit = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}[
                columns.unit
            ]
            time_unit = _DATES if _is_date(at) else time_unit
    return Format(
        "own columns",
        time_unit,
        ", ".join(columns.names),
        "columns as the scenario names them",
        partial(_records, columns),
    )


def _records(columns: Columns, path: Path, text: TextIO, length: TextLength) -> Iterator[Record]:
    del length  # these files contain no text
    found = read_rows(text)
    prompt, output, at, source = (
        None if name is None else _column(path, name, found.header, found.names)
        for name in (columns.prompt, columns.output, columns.at, columns.source)
    )
    assert prompt is not None, "prompt and output are always named"
    assert output is not None
    first = next(found.rows, None)
    if first is None:
        return
    read_time = _number(columns.unit) if at is None or not _is_date(first[1][at]) else calendar()
    for line, cells in chain([first], found.rows):
        at_s = None if at is None else _instant(path, line, columns, cells[at], read_time)
        counts = [
            _count(path, line, name, cells[place])
            for name, place in ((columns.prompt, prompt), (columns.output, output))
        ]
        yield Record(
            line, at_s, counts[0], counts[1], source=None if source is None else cells[source].strip()
        )


def _instant(path: Path, line: int, columns: Columns, cell: str, read: Clock) -> float:
    try:
        return read(cell.strip())
    except (ValueError, OverflowError):
        refuse(
            path,
            line,
            f"column '{columns.at}': found {cell[:40]!r}, expected an instant like the first row's; correct "
            "the row",
        )


def _count(path: Path, line: int, name: str, cell: str) -> int:
    try:
        return whole(cell)
    except (ValueError, OverflowError):
        refuse(
            path,
            line,
            f"column '{name}': found {cell[:40]!r}, expected a whole number of tokens; correct the row",
        )


def _number(unit: str) -> Clock:
    def read(text: str) -> float:
        value = float(text) * _UNITS_S[unit]
        if not math.isfinite(value):
            raise ValueError(text)
        return value

    return read


def _is_date(cell: str) -> bool:
    try:
        calendar()(cell.strip())
    except (ValueError, OverflowError):
        return False
    return True


def _column(path: Path, name: str, header: Sequence[str], names: Sequence[str]) -> int:
    found = named(name, names)
    if found is None:
        refuse(path, 1, f"no column '{name}' in the header; {suggest(name, header)}")
    return found
