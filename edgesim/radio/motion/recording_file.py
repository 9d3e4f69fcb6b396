"""Reading of files of recorded tracks or rates row by row, with errors that state the line."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn, TextIO

from edgesim.csv_rows import CsvError, named, read_rows
from edgesim.errors import RecordingError
from edgesim.files import UnreadableFileError, lines_of, opened_text, refuse_trap
from edgesim.nearest import suggest

__all__ = ["header_of", "number_in", "opened", "refuse", "rows_of", "start_of"]


def refuse(path: Path, line: int, sentence: str) -> NoReturn:
    """Raise a RecordingError that states the line and what is wrong with it."""
    raise RecordingError(f"{path}, line {line}: {sentence}")


@contextmanager
def opened(path: Path) -> Iterator[TextIO]:
    """Open a recording as text; gzip is recognised by its contents and decompressed.

    Raises
    ------
    RecordingError
        If it cannot be read, or is not text.
    """
    try:
        with opened_text(path) as text:
            yield text
    except CsvError as error:
        refuse(path, error.line, f"{error}; correct the row")
    except UnreadableFileError as error:
        raise RecordingError(f"{path}: cannot be read: {error}; name a recording that is text") from None


def start_of(path: Path) -> str:
    """Return the first line that is not blank, up to a length that shows the format; empty for an empty file.

    Raises
    ------
    RecordingError
        As :func:`opened`.
    """
    with opened(path) as text:
        refuse_trap(path)
        return next((line.strip() for line in lines_of(text, _START_CHARS) if line.strip()), "")


_START_CHARS = 1 << 20


def header_of(path: Path) -> list[str]:
    """Return the column names of a CSV file."""
    with opened(path) as text:
        return list(read_rows(text).header)


def rows_of(path: Path, columns: Sequence[str]) -> Iterator[tuple[int, Mapping[str, str]]]:
    """Yield the rows of a CSV file that has at least these columns, each with its line number.

    Raises
    ------
    RecordingError
        If a column is missing, or a row is incomplete.
    """
    with opened(path) as text:
        found = read_rows(text)
        places = {column: named(column, found.names) for column in columns}
        for column, place in places.items():
            if place is None:
                refuse(path, 1, f"no column {column!r} in the header; {suggest(column, found.header)}")
        for line, cells in found.rows:
            yield line, {column: cells[place] for column, place in places.items() if place is not None}


def number_in(path: Path, line: int, row: Mapping[str, str], column: str) -> float:
    """Return a finite number from one column of a row."""
    try:
        number = float(row[column])
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        refuse(path, line, f"found {column} = {row[column][:40]!r}; expected a number")
    return number
