"""Share of requests that met every objective."""

from __future__ import annotations

from edgesim.statistics.metric import Metric

__all__ = ["ATTAINMENT"]

ATTAINMENT = Metric(
    name="attainment",
    title="objectives met, share",
    meaning="share of requests that met every objective",
    unit="share",
    is_better_low=False,
    place=13,
)
