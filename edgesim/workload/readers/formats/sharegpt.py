"""The ShareGPT data sets: ``id``, ``conversations`` of ``from`` and ``value``."""

from __future__ import annotations

from edgesim.workload.readers.dialogues import dialogue_records
from edgesim.workload.readers.record import Format, has_item_keys

__all__ = ["SHAREGPT"]

SHAREGPT = Format(
    "ShareGPT",
    None,
    "conversations",
    "lengths of text; arrivals by the scenario's law",
    dialogue_records,
    recognises=has_item_keys("conversations"),
)
