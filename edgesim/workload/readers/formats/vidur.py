"""Vidur's processed traces (Agrawal et al. 2024)."""

from __future__ import annotations

from edgesim.workload.readers.tables import table_format

__all__ = ["VIDUR"]

VIDUR = table_format(
    "Vidur",
    prompt="num_prefill_tokens",
    output="num_decode_tokens",
    time="arrived_at",
    time_unit="seconds",
)
