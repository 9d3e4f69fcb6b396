"""Sessions of LLMServingSim 2.0's data sets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edgesim.workload.readers.formats.llmservingsim import lone_request
from edgesim.workload.readers.lines import KeyedValueError, count, line_format, number
from edgesim.workload.readers.record import LaterTurn, Record

__all__ = ["LLMSERVINGSIM_SESSIONS"]


def _session(line: int, found: Mapping[str, Any]) -> Record:
    if "sub_requests" not in found:
        return lone_request(line, found)
    asked = found["sub_requests"]
    if not (isinstance(asked, list) and asked and all(isinstance(one, dict) for one in asked)):
        raise KeyedValueError("'sub_requests': expected a list of objects, at least one")
    first, *others = asked
    pauses_s = [number(one, "tool_duration_ns") / 1e9 for one in asked[:-1]]
    if any(pause_s < 0 for pause_s in pauses_s):
        raise KeyedValueError("'tool_duration_ns': found less than 0, expected a duration")
    further = tuple(
        LaterTurn(pause_s, count(one, "input_toks"), count(one, "output_toks"))
        for pause_s, one in zip(pauses_s, others, strict=True)
    )
    at_s = number(found, "arrival_time_ns") / 1e9
    return Record(line, at_s, count(first, "input_toks"), count(first, "output_toks"), further)


LLMSERVINGSIM_SESSIONS = line_format(
    "LLMServingSim sessions",
    ("arrival_time_ns", "sub_requests"),
    _session,
    time_unit="nanoseconds",
    remark="each sub-request arrives tool_duration_ns after the end of the one before it",
    has_sessions=True,
)
