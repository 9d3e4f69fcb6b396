"""Reader of CSV tables separated by commas or semicolons, with case-insensitive column names and size limits.

Programs in locales with a decimal comma (``0,5``) separate cells by semicolons. In such tables a comma in a
number is read as a decimal point, unless it may also separate thousands; such a cell is left unchanged.
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
    """A line is not a valid CSV row; the message states what was found and expected.

    Attributes
    ----------
    line
        Number of the line, from 1.
    """

    def __init__(self, line: int, sentence: str) -> None:
        super().__init__(sentence)
        self.line = line


@dataclass(frozen=True)
class CsvRows:
    """A CSV table whose rows are read one at a time.

    Attributes
    ----------
    header
        Column names as in the file, without surrounding blanks.
    names
        Column names, case-folded for comparison.
    rows
        Iterator over line number and cells of each row, without blank lines. It raises CsvError at a row with
        more or fewer cells than the header, and UnreadableFileError like :func:`edgesim.files.lines_of`.
    """

    header: tuple[str, ...]
    names: tuple[str, ...]
    rows: Iterator[tuple[int, list[str]]]


def read_rows(text: TextIO) -> CsvRows:
    """Read the header of a CSV table, and return it with an iterator over the rows.

    Parameters
    ----------
    text
        File opened with ``newline=""``, since line ends inside a quoted cell are part of the cell.

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
    """Split the header of a table; return its cells and the delimiter (comma or semicolon) that gives more.

    Raises
    ------
    CsvError
        If the line is not valid CSV.
    """
    found: list[tuple[list[str], str]] = []
    reason = ""
    for delimiter in ",;":
        try:
            found.append((next(_reader([line], delimiter), []), delimiter))
        except csv.Error as error:  # with the wrong delimiter, text may follow a closing quote
            reason = reason or str(error)
    if not found:
        raise CsvError(1, f"no CSV header: {reason}")
    return max(found, key=lambda each: len(each[0]))


def named(wanted: str, names: Sequence[str]) -> int | None:
    """Return the index of a column, ignoring case and surrounding blanks, or None if it is missing.

    Raises
    ------
    CsvError
        If several columns have that name.
    """
    name = wanted.strip().casefold()
    if names.count(name) > 1:
        raise CsvError(1, f"two columns are named {wanted[:_SHOWN]!r}; remove or rename one")
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
