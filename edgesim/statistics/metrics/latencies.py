"""Means and percentiles of the four latencies: TTFT, TPOT, ITL and E2E."""

from __future__ import annotations

from edgesim.statistics.metric import Family, Metric

__all__ = ["LATENCIES"]

_LATENCIES = {
    "ttft": "time from a request's arrival to its first token",
    "tpot": "mean time per token after the first, of a request",
    "itl": "time between two consecutive tokens of a request",
    "e2e": "time from a request's arrival to its last token",
}
_MOMENTS = {"mean": "mean", "p50": "median", "p95": "95th percentile", "p99": "99th percentile"}

LATENCIES = Family(
    tuple(
        Metric(
            name=f"{latency}_{moment}_s",
            title=f"{latency.upper()} {moment}",
            meaning=f"{latency.upper()}, {about}: {word}",
            unit="s",
            is_better_low=True,
            place=row + column / 10,
        )
        for row, (latency, about) in enumerate(_LATENCIES.items())
        for column, (moment, word) in enumerate(_MOMENTS.items())
    )
)
