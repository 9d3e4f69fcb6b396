"""Mooncake's traces (Qin et al., FAST '25)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edgesim.workload.readers.lines import count, line_format, number
from edgesim.workload.readers.record import Record

__all__ = ["MOONCAKE"]


def _mooncake(line: int, found: Mapping[str, Any]) -> Record:
    at_s = number(found, "timestamp") / 1e3
    return Record(line, at_s, count(found, "input_length"), count(found, "output_length"))


MOONCAKE = line_format(
    "Mooncake",
    ("timestamp", "input_length", "output_length"),
    _mooncake,
    time_unit="milliseconds",
    remark="hash_ids are not used: sharing of prefixes is not modelled",
)
