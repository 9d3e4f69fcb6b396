"""Goodput: completed requests per second that met every objective."""

from __future__ import annotations

from edgesim.statistics.metric import Metric

__all__ = ["GOODPUT_PER_S"]

GOODPUT_PER_S = Metric(
    name="goodput_per_s",
    title="goodput, requests/s",
    meaning="requests completed in the steady window that met every objective",
    unit="1/s",
    is_better_low=False,
    place=12,
)
