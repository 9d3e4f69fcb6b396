"""Azure's traces of 2023 and 2024 (Azure Public Dataset, AzureLLMInferenceTrace)."""

from __future__ import annotations

from edgesim.workload.readers.tables import DATES, calendar, table_format

__all__ = ["AZURE"]

AZURE = table_format(
    "Azure (2023, 2024)",
    prompt="contexttokens",
    output="generatedtokens",
    time="timestamp",
    time_unit=DATES,
    clock=calendar,
)
