"""Active energy per delivered token of the devices that issue requests."""

from __future__ import annotations

from edgesim.statistics.metric import Metric

__all__ = ["ASKER_J_PER_TOKEN"]

ASKER_J_PER_TOKEN = Metric(
    name="asker_j_per_token",
    title="active J/token of requesting devices",
    meaning="the part of active_j_per_token drawn by devices that issue requests",
    unit="J",
    is_better_low=True,
    place=15,
)
