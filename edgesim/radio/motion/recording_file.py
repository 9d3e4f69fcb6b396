"""How a file of recorded tracks or rates is opened, read row by row, and refused with its line."""

from __future__ import annotations

import csv
import gzip
import math
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn, TextIO

from edgesim.errors import RecordingError
from edgesim.nearest import suggest

__all__ = ["header_of", "number_in", "opened", "refuse", "rows_of", "start_of"]

_GZIP = b"\x1f\x8b"  # RFC 1952, section 2.3.1
_START_CHARS = 1000
_CHUNK_BYTES = 1 << 20
_MOST_TIMES = 100  # text of numbers packs to a tenth or a thirtieth; deflate can do a thousandth
_ALWAYS_BYTES = 1 << 24


def refuse(path: Path, line: int, sentence: str) -> NoReturn:
    """Say what is wrong with which line."""
    raise RecordingError(f"{path}, line {line}: {sentence}")


@contextmanager
def opened(path: Path) -> Iterator[TextIO]:
    """Open a recording as text, unpacked where its contents are gzip's, whatever it is called.

    Raises
    ------
    RecordingError
        If it cannot be read, or is no text.
    """
    try:
        with path.open("rb") as file:
            is_packed = file.read(len(_GZIP)) == _GZIP
        open_text = gzip.open if is_packed else open
        with open_text(path, "rt", encoding="utf-8-sig") as text:
            yield text
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise RecordingError(f"{path}: cannot be read: {reason}; name a file that is there") from error
    except UnicodeDecodeError as error:
        raise RecordingError(f"{path}: is no text in UTF-8, at byte {error.start}; expected text") from error


def start_of(path: Path) -> str:
    """The first line that has anything on it, as far as it shows the format; empty of an empty file.

    Raises
    ------
    RecordingError
        As of :func:`opened`; and if the file is packed so small that its text would never end.
    """
    _refuse_bomb(path)
    with opened(path) as text:
        for line in iter(lambda: text.readline(_START_CHARS), ""):
            if line.strip():
                return line.strip()
    return ""


def _refuse_bomb(path: Path) -> None:
    try:
        with path.open("rb") as file:
            if file.read(len(_GZIP)) != _GZIP:
                return
        most_bytes, n_bytes = max(_ALWAYS_BYTES, _MOST_TIMES * path.stat().st_size), 0
        with gzip.open(path) as packed:
            while n_bytes <= most_bytes and (chunk := packed.read(_CHUNK_BYTES)):
                n_bytes += len(chunk)
    except (OSError, EOFError, zlib.error):
        return  # which is said where it is read
    if n_bytes > most_bytes:
        raise RecordingError(
            f"{path}: unpacks to more than {_MOST_TIMES} times its size, as no recording does; unpack it"
        )


def header_of(path: Path) -> list[str]:
    """Names of the columns of a CSV file."""
    with opened(path) as text:
        try:
            return list(csv.DictReader(text, skipinitialspace=True).fieldnames or ())
        except csv.Error as error:
            refuse(path, 1, f"no CSV: {error}")


def rows_of(path: Path, columns: Sequence[str]) -> Iterator[tuple[int, Mapping[str, str]]]:
    """Yield the rows of a CSV file that has at least these columns, each with its line.

    Raises
    ------
    RecordingError
        If a column is missing, or a row is cut short.
    """
    with opened(path) as text:
        rows = csv.DictReader(text, skipinitialspace=True)
        try:
            found = list(rows.fieldnames or ())
            for column in columns:
                if column not in found:
                    refuse(path, 1, f"no column {column!r} in the header; {suggest(column, found)}")
            for row in rows:
                missing = [column for column in columns if row[column] is None]
                if missing:
                    refuse(path, rows.line_num, f"no value for {', '.join(missing)}; the row is cut short")
                yield rows.line_num, row
        except csv.Error as error:
            refuse(path, rows.line_num, f"no CSV: {error}")


def number_in(path: Path, line: int, row: Mapping[str, str], column: str) -> float:
    """A finite number from one column of a row."""
    try:
        number = float(row[column])
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        refuse(path, line, f"found {column} = {row[column][:40]!r}; expected a number")
    return number
