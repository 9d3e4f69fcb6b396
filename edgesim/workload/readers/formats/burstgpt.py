"""BurstGPT (Wang et al. 2024)."""

from __future__ import annotations

from edgesim.workload.readers.tables import table_format

__all__ = ["BURSTGPT"]

BURSTGPT = table_format(
    "BurstGPT",
    prompt="request tokens",
    output="response tokens",
    time="timestamp",
    time_unit="seconds",
    remark="0 response tokens mark a failed request; session ids and elapsed times are not used",
)
