"""Rows of CSV, by comma or semicolon, with names of columns in any case, and nothing without bound.

Programs of countries that write ``0,5`` for a half separate by semicolons: there a comma in a number is a
decimal point, unless it may as well separate thousands, in which case the cell stays as it is.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TextIO

from edgesim.files import lines_of

if TYPE_CHECKING:
    import _csv

__all__ = ["CsvError", "CsvRows", "header_cells", "named", "read_rows"]

_DECIMAL_COMMA = re.compile(r"\s*[+-]?\d+,\d+(?:[eE][+-]?\d+)?\s*", re.ASCII)
_THOUSANDS = re.compile(r"\s*[+-]?[1-9]\d{0,2}(?:,\d{3})+\s*", re.ASCII)
_SHOWN = 40


class CsvError(ValueError):
    """A row is none; the message says what was found and expected.

    Attributes
    ----------
    line
        Which, from 1.
    """

    def __init__(self, line: int, sentence: str) -> None:
        super().__init__(sentence)
        self.line = line


@dataclass(frozen=True)
class CsvRows:
    """A table that is read row by row.

    Attributes
    ----------
    header
        Names of the columns as they are written, less outer blanks.
    names
        The same, for comparison: without regard to case.
    rows
        Line and cells of each row, blank lines left out; it raises CsvError where one has more or fewer cells
        than the header, and UnreadableFileError as :func:`edgesim.files.lines_of`.
    """

    header: tuple[str, ...]
    names: tuple[str, ...]
    rows: Iterator[tuple[int, list[str]]]


def read_rows(text: TextIO) -> CsvRows:
    """Read the header of a table, and then its rows as they are asked for.

    Parameters
    ----------
    text
        Opened with ``newline=""``, for inside a quoted cell an end of line belongs to it.

    Raises
    ------
    CsvError
        If there is no header.
    """
    lines = lines_of(text)
    n_before, first = next(((n, line) for n, line in enumerate(lines) if line.strip()), (0, ""))
    cells, delimiter = header_cells(first)
    header = tuple(name.strip() for name in cells)
    if not any(header):
        raise CsvError(1, "no header; expected the names of the columns")
    names = tuple(name.casefold() for name in header)
    return CsvRows(header, names, _rows(lines, len(header), delimiter, n_before + 1))


def header_cells(line: str) -> tuple[list[str], str]:
    """Split the first line of a table, and say by what: whichever of comma and semicolon gives more cells.

    Raises
    ------
    CsvError
        If it is no CSV.
    """
    found: list[tuple[list[str], str]] = []
    reason = ""
    for delimiter in ",;":
        try:
            found.append((next(_reader([line], delimiter), []), delimiter))
        except csv.Error as error:  # quotes that end before the other delimiter
            reason = reason or str(error)
    if not found:
        raise CsvError(1, f"no CSV header: {reason}")
    return max(found, key=lambda each: len(each[0]))


def named(wanted: str, names: Sequence[str]) -> int | None:
    """Where a column stands, without regard to case and outer blanks; None where there is none.

    Raises
    ------
    CsvError
        If several are called so.
    """
    name = wanted.strip().casefold()
    if names.count(name) > 1:
        raise CsvError(1, f"two columns are called {wanted[:_SHOWN]!r}; leave one out")
    return names.index(name) if name in names else None


def _reader(lines: Iterable[str], delimiter: str) -> _csv.Reader:
    return csv.reader(lines, delimiter=delimiter, skipinitialspace=True, strict=True)


def _rows(
    lines: Iterator[str], n_columns: int, delimiter: str, n_before: int
) -> Iterator[tuple[int, list[str]]]:
    reader = _reader(lines, delimiter)
    try:
        for cells in reader:
            line = reader.line_num + n_before
            if not cells or (len(cells) == 1 < n_columns and not cells[0].strip()):
                continue
            if len(cells) != n_columns:
                raise CsvError(line, f"found {len(cells)} cells, expected {n_columns} as in the header")
            yield line, cells if delimiter == "," else [_with_point(cell) for cell in cells]
    except csv.Error as error:
        raise CsvError(reader.line_num + n_before, f"no CSV row: {error}") from None


def _with_point(cell: str) -> str:
    if _DECIMAL_COMMA.fullmatch(cell) and not _THOUSANDS.fullmatch(cell):
        return cell.replace(",", ".")
    return cell
