"""Single requests of LLMServingSim 2.0's data sets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from edgesim.workload.readers.lines import KeyedValueError, count, line_format, number
from edgesim.workload.readers.record import Head, Record, has_keys

__all__ = ["LLMSERVINGSIM", "lone_request"]


def lone_request(line: int, found: Mapping[str, Any]) -> Record:
    """Return the record of a line that is not a session."""
    if "sub_requests" in found:
        raise KeyedValueError("a session, in a file that begins with a single request; put a session first")
    at_s = number(found, "arrival_time_ns") / 1e9
    return Record(line, at_s, count(found, "input_toks"), count(found, "output_toks"))


_KEYS = ("input_toks", "output_toks", "arrival_time_ns")


def _recognise(head: Head) -> int:
    return 0 if "sub_requests" in head.names else has_keys(*_KEYS)(head)


LLMSERVINGSIM = replace(
    line_format(
        "LLMServingSim",
        _KEYS,
        lone_request,
        time_unit="nanoseconds",
        remark="token ids are not used",
    ),
    recognises=_recognise,
)
