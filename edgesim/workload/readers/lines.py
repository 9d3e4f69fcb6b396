"""Traces of one JSON object a line: Mooncake, and LLMServingSim's requests and sessions.

Sources of the keys: Mooncake (Qin et al., FAST '25); LLMServingSim 2.0's data sets.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, TextIO

from edgesim.files import lines_of
from edgesim.workload.readers.record import Format, Further, Record, TextLength, refuse, whole

__all__ = ["LINE_FORMATS", "MAX_LINE_CHARS", "line_format", "read_object"]

MAX_LINE_CHARS = 1 << 24  # a request that carries its tokens' ids has some hundred kilobytes

_LONE = ("input_toks", "output_toks", "arrival_time_ns")
_SESSION = ("arrival_time_ns", "sub_requests")
_MOONCAKE = ("timestamp", "input_length", "output_length")


class _KeyedValueError(ValueError):
    """A value is missing or wrong; the message says which."""


def line_format(first: Mapping[str, Any]) -> Format | None:
    """Find the format that a file's first object belongs to."""
    return next((format for keys, format in LINE_FORMATS.items() if keys <= first.keys()), None)


def read_object(path: Path, line: int, text: str) -> Mapping[str, Any]:
    """Read one line's object; anything else is refused."""
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        refuse(path, line, f"no JSON: {error.msg}; expected one object a line")
    except (ValueError, RecursionError) as error:
        # Python reads no whole number of more than some thousand digits.
        sentence = "nested too deeply" if isinstance(error, RecursionError) else "a number too long to read"
        refuse(path, line, f"no JSON: {sentence}; expected one object a line")
    if not isinstance(value, dict):
        refuse(path, line, f"found {str(value)[:40]!r}, expected a JSON object such as {{...}}")
    return value


def _records(
    read: Callable[[int, Mapping[str, Any]], Record], path: Path, text: TextIO, length: TextLength
) -> Iterator[Record]:
    del length  # there is no text in these files
    for number, line in enumerate(lines_of(text, MAX_LINE_CHARS), 1):
        if not line.strip():
            continue
        try:
            record = read(number, read_object(path, number, line))
        except _KeyedValueError as error:
            refuse(path, number, f"{error}; correct the line")
        yield record


def _mooncake(line: int, found: Mapping[str, Any]) -> Record:
    at_s = _number(found, "timestamp") / 1e3
    return Record(line, at_s, _count(found, "input_length"), _count(found, "output_length"))


def _request(line: int, found: Mapping[str, Any]) -> Record:
    if "sub_requests" in found:
        raise _KeyedValueError("a session, in a file that begins with a lone request; put a session first")
    at_s = _number(found, "arrival_time_ns") / 1e9
    return Record(line, at_s, _count(found, "input_toks"), _count(found, "output_toks"))


def _session(line: int, found: Mapping[str, Any]) -> Record:
    if "sub_requests" not in found:
        return _request(line, found)
    asked = found["sub_requests"]
    if not (isinstance(asked, list) and asked and all(isinstance(one, dict) for one in asked)):
        raise _KeyedValueError("'sub_requests': expected a list of objects, at least one")
    first, *others = asked
    pauses_s = [_number(one, "tool_duration_ns") / 1e9 for one in asked[:-1]]
    if any(pause_s < 0 for pause_s in pauses_s):
        raise _KeyedValueError("'tool_duration_ns': found less than 0, expected a duration")
    further = tuple(
        Further(pause_s, _count(one, "input_toks"), _count(one, "output_toks"))
        for pause_s, one in zip(pauses_s, others, strict=True)
    )
    at_s = _number(found, "arrival_time_ns") / 1e9
    return Record(line, at_s, _count(first, "input_toks"), _count(first, "output_toks"), further)


LINE_FORMATS = {
    frozenset(_MOONCAKE): Format(
        "Mooncake",
        "milliseconds",
        ", ".join(_MOONCAKE),
        "hash_ids are not used: sharing of prefixes is not modelled",
        partial(_records, _mooncake),
    ),
    frozenset(_SESSION): Format(
        "LLMServingSim sessions",
        "nanoseconds",
        ", ".join(_SESSION),
        "each sub-request arrives tool_duration_ns after the end of the one before it",
        partial(_records, _session),
        has_sessions=True,
    ),
    frozenset(_LONE): Format(
        "LLMServingSim",
        "nanoseconds",
        ", ".join(_LONE),
        "token ids are not used",
        partial(_records, _request),
    ),
}
"""All formats, by the keys that the first object must have."""


def _number(found: Mapping[str, Any], key: str) -> float:
    value = found.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _KeyedValueError(f"'{key}': found {_shown(found, key)}, expected a number")
    try:
        return float(value)
    except OverflowError:
        raise _KeyedValueError(f"'{key}': found {_shown(found, key)}, too large a number") from None


def _count(found: Mapping[str, Any], key: str) -> int:
    try:
        value = found.get(key)
        return whole(None if isinstance(value, str) else value)
    except (ValueError, OverflowError):
        raise _KeyedValueError(
            f"'{key}': found {_shown(found, key)}, expected a whole number of tokens"
        ) from None


def _shown(found: Mapping[str, Any], key: str) -> str:
    return repr(found[key])[:40] if key in found else "nothing"
