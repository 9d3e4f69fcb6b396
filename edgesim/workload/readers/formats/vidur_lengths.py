"""Vidur's traces of lengths alone (Agrawal et al. 2024)."""

from __future__ import annotations

from edgesim.workload.readers.tables import table_format

__all__ = ["VIDUR_LENGTHS"]

VIDUR_LENGTHS = table_format(
    "Vidur lengths",
    prompt="num_prefill_tokens",
    output="num_decode_tokens",
    remark="lengths alone; arrivals by the scenario's law",
)
