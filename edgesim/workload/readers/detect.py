"""Detection of a trace file's format by its contents, never by its file name; a scenario may also name it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from inspect import signature
from pathlib import Path
from typing import Any, TextIO

from edgesim import plugins
from edgesim.csv_rows import header_cells
from edgesim.errors import InputError, WorkloadError
from edgesim.files import lines_of, refuse_trap
from edgesim.plugins import EntryPointGroup
from edgesim.workload.readers.dialogues import first_item
from edgesim.workload.readers.lines import MAX_LINE_CHARS, read_object
from edgesim.workload.readers.record import Format, Head, Record, TextLength, opened, refuse

__all__ = ["READERS", "detect", "head_of", "named_format", "read"]


def _check(format: Format) -> None:
    for name, given in (("records", ("path", "text", "length")), ("recognises", ("head",))):
        function: Any = getattr(format, name)
        if name == "recognises" and function is None:
            continue
        if not callable(function):
            raise InputError(f"'{name}' is {function!r}, which cannot be called; expected a function")
        try:
            signature(function).bind(*given)
        except (TypeError, ValueError):
            raise InputError(
                f"'{name}' does not take ({', '.join(given)}); give it these parameters"
            ) from None


READERS: EntryPointGroup[Format] = EntryPointGroup(
    "edgesim.readers",
    "reader",
    "readers",
    Format,
    "edgesim.workload.readers.record.Format",
    WorkloadError,
    _check,
    is_object=True,
    home="edgesim.workload.readers.formats",
    joint="-",
)
"""Entry point group of readers, and the package of edgesim's own readers."""


def named_format(name: str) -> Format:
    """Return the format with a given name.

    Raises
    ------
    WorkloadError
        If there is none; the message names the most similar.
    """
    return plugins.load(READERS, name)


def detect(path: Path) -> Format:
    """Detect a file's format by its header or first object; of several that match, the most specific.

    Raises
    ------
    WorkloadError
        If the file cannot be read, or its format is unknown.
    """
    line, head = head_of(path)
    known = plugins.discover_all(READERS)
    broken = {name: str(entry) for name, entry in known.items() if isinstance(entry, InputError)}
    best: tuple[int, Format | None] = (0, None)
    for name, format in known.items():
        if isinstance(format, InputError) or format.recognises is None:
            continue
        try:
            fit = int(format.recognises(head))
        except (Exception, SystemExit) as error:
            # A plug-in's function may fail in any way; the other formats are still tried.
            broken[name] = f"reader {name!r} fails on the file's beginning: {type(error).__name__}: {error}"
            continue
        if fit > best[0]:
            best = (fit, format)
    return best[1] or _unknown(path, line, head, known, broken)


def head_of(path: Path) -> tuple[int, Head]:
    """Read the beginning of a file, and the number of its first line that is not blank.

    Raises
    ------
    WorkloadError
        If it cannot be read, or is empty.
    """
    with opened(path) as text:
        refuse_trap(path)
        lines = enumerate(lines_of(text, MAX_LINE_CHARS), 1)
        line, head = next(((line, head) for line, head in lines if head.strip()), (0, ""))
        if not head:
            refuse(path, None, "empty; expected recorded requests")
        if head.lstrip().startswith("["):
            text.seek(0)
            return 1, Head("list", _item_keys(path, text), head)
        if head.lstrip().startswith("{"):
            return line, Head("lines", tuple(read_object(path, line, head)), head)
        header, _ = header_cells(head)
        return line, Head("table", tuple(name.strip().casefold() for name in header), head)


def read(path: Path, format: Format, length: TextLength) -> Iterator[Record]:
    """Yield a file's records in order, in constant memory.

    Raises
    ------
    WorkloadError
        At the first invalid line.
    """
    with opened(path) as text:
        yield from format.records(path, text, length)


def _item_keys(path: Path, text: TextIO) -> tuple[str, ...]:
    first = first_item(path, text)
    return tuple(first) if isinstance(first, dict) else ()


_WHAT = {
    "table": "a header with the columns",
    "lines": "an object with the keys",
    "list": "a list whose first item has the keys",
}


def _unknown(
    path: Path, line: int, head: Head, known: Mapping[str, Format | InputError], broken: Mapping[str, str]
) -> Format:
    formats = [f"{one.name} ({one.looks_like})" for one in known.values() if isinstance(one, Format)]
    shown = ", ".join(head.names[:12])[:200] or "none"
    failed = "".join(f"; {sentence}" for sentence in broken.values())
    refuse(path, line, f"found {_WHAT[head.kind]} {shown}; expected one of: {'; '.join(formats)}{failed}")
