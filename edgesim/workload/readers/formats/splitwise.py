"""Traces of splitwise-sim (Patel et al. 2024)."""

from __future__ import annotations

from edgesim.workload.readers.tables import table_format

__all__ = ["SPLITWISE"]

SPLITWISE = table_format(
    "Splitwise",
    prompt="prompt_size",
    output="token_size",
    time="arrival_timestamp",
    time_unit="seconds",
    must_be_one="batch_size",
    remark="request types and application ids are not used",
)
