"""Azure's multimodal trace of 2025 (Azure Public Dataset, AzureLMMInferenceTrace)."""

from __future__ import annotations

from edgesim.workload.readers.tables import DATES, calendar, table_format

__all__ = ["AZURE_MULTIMODAL"]

AZURE_MULTIMODAL = table_format(
    "Azure multimodal (2025)",
    prompt="contexttokens",
    output="generatedtokens",
    time="timestamp",
    time_unit=DATES,
    clock=calendar,
    also=("numimages",),
    remark="images count by their context tokens only; encoding them is not modelled",
)
