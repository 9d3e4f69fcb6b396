"""Energy per delivered token, idle energy included."""

from __future__ import annotations

from edgesim.statistics.metric import Metric

__all__ = ["TOTAL_J_PER_TOKEN"]

TOTAL_J_PER_TOKEN = Metric(
    name="total_j_per_token",
    title="J/token with idling",
    meaning="energy per token delivered, idle energy included",
    unit="J",
    is_better_low=True,
    place=16,
)
