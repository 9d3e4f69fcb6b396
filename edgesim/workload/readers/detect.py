"""Which format a file has: its contents tell, never its name."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from edgesim.csv_rows import header_cells
from edgesim.files import lines_of, refuse_trap
from edgesim.workload.readers.dialogues import SHAREGPT, first_item
from edgesim.workload.readers.lines import LINE_FORMATS, MAX_LINE_CHARS, line_format, read_object
from edgesim.workload.readers.record import Format, Record, TextLength, opened, refuse
from edgesim.workload.readers.tables import TABLES, table_format

__all__ = ["detect", "read"]


def detect(path: Path) -> Format:
    """Tell a file's format by its header, or by its first object.

    Raises
    ------
    WorkloadError
        If it cannot be read, or is in no format that is known.
    """
    with opened(path) as text:
        refuse_trap(path)
        lines = enumerate(lines_of(text, MAX_LINE_CHARS), 1)
        line, head = next(((line, head) for line, head in lines if head.strip()), (0, ""))
        if not head:
            refuse(path, None, "empty; expected recorded requests")
        if head.lstrip().startswith("["):
            text.seek(0)
            return _sharegpt(path, text)
        if head.lstrip().startswith("{"):
            first = read_object(path, line, head)
            return line_format(first) or _unknown(path, line, "an object with the keys", list(first))
        header, _ = header_cells(head)
        found = table_format(header)
        return found or _unknown(path, line, "a header with the columns", header)


def read(path: Path, format: Format, length: TextLength) -> Iterator[Record]:
    """Yield a file's records in its order, in constant memory.

    Raises
    ------
    WorkloadError
        At the first line that is not as it should be.
    """
    with opened(path) as text:
        yield from format.records(path, text, length)


def _sharegpt(path: Path, text: TextIO) -> Format:
    first = first_item(path, text)
    if isinstance(first, dict) and "conversations" in first:
        return SHAREGPT
    return _unknown(
        path, 1, "a list whose first item has the keys", list(first) if isinstance(first, dict) else []
    )


def _unknown(path: Path, line: int, what: str, names: list[str]) -> Format:
    known = [f"{table.name} ({', '.join(table.columns)})" for table in TABLES]
    known += [f"{format.name} ({format.looks_like})" for format in (*LINE_FORMATS.values(), SHAREGPT)]
    shown = ", ".join(map(str, names[:12]))[:200] or "none"
    refuse(path, line, f"found {what} {shown}; expected one of: {'; '.join(known)}")
