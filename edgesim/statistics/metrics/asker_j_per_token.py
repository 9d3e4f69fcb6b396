"""Energy of work per token, of the devices that ask."""

from __future__ import annotations

from edgesim.statistics.metric import Metric

__all__ = ["ASKER_J_PER_TOKEN"]

ASKER_J_PER_TOKEN = Metric(
    name="asker_j_per_token",
    title="active J/token of devices that ask",
    meaning="of that, the part of the devices at which requests arise",
    unit="J",
    is_better_low=True,
    place=15,
)
