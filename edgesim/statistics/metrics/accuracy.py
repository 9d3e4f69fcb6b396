"""Share of correct tokens."""

from __future__ import annotations

from edgesim.statistics.metric import Metric

__all__ = ["ACCURACY"]

ACCURACY = Metric(
    name="accuracy",
    title="correct tokens, share",
    meaning="share of tokens that were correct, if answers are measured",
    unit="share",
    is_better_low=False,
    place=18,
)
