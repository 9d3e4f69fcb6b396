"""A metric: how much the time to first token scatters from one request to the next."""

from __future__ import annotations

from edgesim.statistics.metric import Metric

__all__ = ["JITTER"]


def jitter_s(run):
    ttft_s = (run.requests["first_token_at_s"] - run.requests["arrived_at_s"])[run.counts].dropna()
    return ttft_s.std(ddof=0) if len(ttft_s) else None


JITTER = Metric(
    name="ttft_jitter_s",
    title="TTFT jitter",
    meaning="standard deviation of the time to first token over requests",
    unit="s",
    is_better_low=True,
    of=jitter_s,
)
