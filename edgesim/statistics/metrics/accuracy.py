"""The share of tokens that were right."""

from __future__ import annotations

from edgesim.statistics.metric import Metric

__all__ = ["ACCURACY"]

ACCURACY = Metric(
    name="accuracy",
    title="right tokens, share",
    meaning="tokens that were right, where answers are measured",
    unit="share",
    is_better_low=False,
    place=18,
)
