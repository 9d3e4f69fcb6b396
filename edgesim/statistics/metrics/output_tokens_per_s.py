"""Tokens delivered per second."""

from __future__ import annotations

from edgesim.statistics.metric import Metric

__all__ = ["OUTPUT_TOKENS_PER_S"]

OUTPUT_TOKENS_PER_S = Metric(
    name="output_tokens_per_s",
    title="output tokens/s",
    meaning="tokens delivered in the steady window",
    unit="1/s",
    is_better_low=False,
    place=10,
)
