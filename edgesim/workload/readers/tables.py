"""Formats of CSV tables, recognised by their columns; a row is a request."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path
from typing import TextIO

from edgesim.csv_rows import named, read_rows
from edgesim.nearest import suggest
from edgesim.workload.readers.record import Format, Record, TextLength, has_columns, refuse, whole

__all__ = ["DATES", "Clock", "calendar", "table_format"]

Clock = Callable[[str], float]
"""Converts the text of an instant to seconds on the file's clock."""

_CALENDAR = re.compile(
    r"(\d{4}-\d\d-\d\d)[ T](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(?:Z|([+-])(\d\d):?(\d\d))?", re.ASCII
)


@dataclass(frozen=True, slots=True)
class _Table:
    """Columns of a CSV format; names are compared without regard to case and surrounding blanks."""

    prompt: str
    output: str
    time: str | None
    time_unit: str | None
    clock: Callable[[], Clock]
    must_be_one: str | None


def _finite(text: str) -> float:
    """Return a number; refuse NaN and infinity, which are no instants."""
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(text)
    return value


def calendar() -> Clock:
    """Return a clock for dates and times whose zero is the first instant that it reads.

    Fractions of a second have up to nine digits (the 2023 files have seven, more than datetime supports); the
    arithmetic is in whole nanoseconds.
    """
    day, day_ns, first_ns = "", 0, None

    def read(text: str) -> float:
        nonlocal day, day_ns, first_ns
        match = _CALENDAR.fullmatch(text)
        if match is None:
            raise ValueError(text)
        at_day, hours, minutes, seconds, fraction, sign, off_hours, off_minutes = match.groups()
        if at_day != day:
            day, day_ns = at_day, date.fromisoformat(at_day).toordinal() * 86_400_000_000_000
        second = int(hours) * 3600 + int(minutes) * 60 + int(seconds)
        if int(minutes) >= 60 or int(seconds) >= 60 or second >= 86_400:
            raise ValueError(text)
        at_ns = day_ns + second * 1_000_000_000
        if fraction:
            at_ns += int(fraction.ljust(9, "0"))
        if sign:
            if int(off_hours) >= 24 or int(off_minutes) >= 60:
                raise ValueError(text)
            off_s = int(off_hours) * 3600 + int(off_minutes) * 60
            at_ns -= (off_s if sign == "+" else -off_s) * 1_000_000_000
        if first_ns is None:
            first_ns = at_ns
        return (at_ns - first_ns) / 1_000_000_000

    return read


def table_format(
    name: str,
    *,
    prompt: str,
    output: str,
    time: str | None = None,
    time_unit: str | None = None,
    clock: Callable[[], Clock] | None = None,
    also: tuple[str, ...] = (),
    must_be_one: str | None = None,
    remark: str = "",
) -> Format:
    """Create the format of a table whose rows are requests.

    Parameters
    ----------
    prompt, output
        Columns of the tokens of prompt and answer.
    time, time_unit, clock
        Column of the instants, their unit, and a function that creates their clock; None: they are seconds.
    also
        Additional columns by which the format is recognised.
    must_be_one
        Column with the number of requests that a row represents; more than 1 is refused.
    """
    columns = (*((time,) if time else ()), *also, prompt, output)
    table = _Table(prompt, output, time, time_unit, clock or _seconds, must_be_one)
    return Format(
        name,
        time_unit,
        ", ".join(columns),
        remark,
        partial(_records, table),
        recognises=has_columns(*columns),
    )


def _seconds() -> Clock:
    return _finite


DATES = "date and time; zero is the first row's"
"""Unit of the instants that :func:`calendar` reads."""


def _records(table: _Table, path: Path, text: TextIO, length: TextLength) -> Iterator[Record]:
    del length  # these files contain no text
    found = read_rows(text)
    header = found.names
    prompt, output = (_column(path, column, header) for column in (table.prompt, table.output))
    time = named(table.time, header) if table.time else None
    alone = named(table.must_be_one, header) if table.must_be_one else None
    read_time = table.clock()
    for line, cells in found.rows:
        try:
            at_s = None if time is None else read_time(cells[time])
            record = Record(line, at_s, whole(cells[prompt]), whole(cells[output]))
            n_alike = 1 if alone is None else whole(cells[alone])
        except (ValueError, OverflowError):
            _explain(table, path, line, dict(zip(header, cells, strict=True)))
            raise
        if n_alike != 1:
            refuse(
                path, line, f"column '{table.must_be_one}': found {n_alike}, expected 1: one request per row"
            )
        yield record


def _column(path: Path, name: str, header: Sequence[str]) -> int:
    found = named(name, header)
    if found is None:
        refuse(path, 1, f"no column '{name}' in the header; {suggest(name, header)}")
    return found


def _explain(table: _Table, path: Path, line: int, row: dict[str, str]) -> None:
    """Refuse a row with a message that names the invalid cell."""
    count = (whole, "a whole number of tokens")
    readers: dict[str | None, tuple[Callable[[str], object], str]] = {
        table.time: (table.clock(), f"an instant ({table.time_unit})"),
        table.prompt: count,
        table.output: count,
        table.must_be_one: (whole, "a whole number"),
    }
    for column, (read, expected) in readers.items():
        if column not in row:
            continue
        try:
            read(row[column])
        except (ValueError, OverflowError):
            refuse(
                path,
                line,
                f"column '{column}': found {row[column][:40]!r}, expected {expected}; correct the row",
            )
