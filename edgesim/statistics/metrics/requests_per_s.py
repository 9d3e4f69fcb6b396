"""Requests completed per second."""

from __future__ import annotations

from edgesim.statistics.metric import Metric

__all__ = ["REQUESTS_PER_S"]

REQUESTS_PER_S = Metric(
    name="requests_per_s",
    title="requests/s",
    meaning="requests completed in the steady window",
    unit="1/s",
    is_better_low=False,
    place=11,
)
