"""Formats with one JSON object per line, a request or a session; recognised by the first object's keys."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, TextIO

from edgesim.files import lines_of
from edgesim.workload.readers.record import Format, Record, TextLength, has_keys, refuse, whole

__all__ = ["MAX_LINE_CHARS", "KeyedValueError", "count", "line_format", "number", "read_object"]

MAX_LINE_CHARS = 1 << 24  # a request with its token ids has some hundred kilobytes


class KeyedValueError(ValueError):
    """A value is missing or invalid; the message states which."""


def line_format(
    name: str,
    keys: tuple[str, ...],
    read: Callable[[int, Mapping[str, Any]], Record],
    *,
    time_unit: str | None,
    remark: str = "",
    has_sessions: bool = False,
) -> Format:
    """Create the format of a file of objects.

    Parameters
    ----------
    keys
        Keys of the first object by which the format is recognised.
    read
        Returns the record for a line number and its object; raises KeyedValueError for an invalid value.
    time_unit
        Unit of the instants, as shown in messages; None if there are no instants.
    """
    records = partial(_records, read)
    return Format(name, time_unit, ", ".join(keys), remark, records, has_sessions, has_keys(*keys))


def read_object(path: Path, line: int, text: str) -> Mapping[str, Any]:
    """Parse the object on a line; anything else is refused."""
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        refuse(path, line, f"not JSON: {error.msg}; expected one object per line")
    except (ValueError, RecursionError) as error:
        # Python refuses integers of more than some thousand digits.
        sentence = "nested too deeply" if isinstance(error, RecursionError) else "a number too long to read"
        refuse(path, line, f"not JSON: {sentence}; expected one object per line")
    if not isinstance(value, dict):
        refuse(path, line, f"found {str(value)[:40]!r}, expected a JSON object such as {{...}}")
    return value


def _records(
    read: Callable[[int, Mapping[str, Any]], Record], path: Path, text: TextIO, length: TextLength
) -> Iterator[Record]:
    del length  # these files contain no text
    for at, line in enumerate(lines_of(text, MAX_LINE_CHARS), 1):
        if not line.strip():
            continue
        try:
            record = read(at, read_object(path, at, line))
        except KeyedValueError as error:
            refuse(path, at, f"{error}; correct the line")
        yield record


def number(found: Mapping[str, Any], key: str) -> float:
    """Return the number at a key, or raise KeyedValueError."""
    value = found.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise KeyedValueError(f"'{key}': found {_shown(found, key)}, expected a number")
    try:
        return float(value)
    except OverflowError:
        raise KeyedValueError(f"'{key}': found {_shown(found, key)}, too large a number") from None


def count(found: Mapping[str, Any], key: str) -> int:
    """Return the whole number of tokens at a key, or raise KeyedValueError."""
    try:
        value = found.get(key)
        return whole(None if isinstance(value, str) else value)
    except (ValueError, OverflowError):
        raise KeyedValueError(
            f"'{key}': found {_shown(found, key)}, expected a whole number of tokens"
        ) from None


def _shown(found: Mapping[str, Any], key: str) -> str:
    return repr(found[key])[:40] if key in found else "nothing"
