"""Perplexity of measured answers."""

from __future__ import annotations

from edgesim.statistics.metric import Metric

__all__ = ["PERPLEXITY"]

PERPLEXITY = Metric(
    name="perplexity",
    title="perplexity",
    meaning="exp of the mean negative log likelihood per token, if answers are measured",
    unit="1",
    is_better_low=True,
    least=1.0,
    place=17,
)
