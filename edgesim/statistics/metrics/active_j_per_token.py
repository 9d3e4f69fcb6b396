"""Active energy per delivered token."""

from __future__ import annotations

from edgesim.statistics.metric import Metric

__all__ = ["ACTIVE_J_PER_TOKEN"]

ACTIVE_J_PER_TOKEN = Metric(
    name="active_j_per_token",
    title="active J/token",
    meaning="energy of computing, sending and receiving per token delivered",
    unit="J",
    is_better_low=True,
    place=14,
)
