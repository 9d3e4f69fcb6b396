"""Figure of the latency breakdown of requests."""

from __future__ import annotations

from typing import Any

from edgesim.explain.breakdown import breakdown
from edgesim.report.page.figure import Figure, numbers
from edgesim.trace.reader import Trace

__all__ = ["breakdown_figure"]

_LEAST_SHARE = 1e-4  # share of a strategy's latency below which a part is too small to be visible


def breakdown_figure(trace: Trace, replications: dict[str, int]) -> Figure | None:
    """Create the figure of the mean seconds per part of completed requests, in one replication each.

    None if no strategy has completed requests.
    """
    means = {
        strategy: breakdown(trace, strategy, replication).drop(columns="request_id").mean()
        for strategy, replication in replications.items()
    }
    means = {strategy: mean for strategy, mean in means.items() if mean.notna().all()}
    if not means:
        return None
    names = list(next(iter(means.values())).index)
    parts = [name for name in names if any(mean[name] > _LEAST_SHARE * mean.sum() for mean in means.values())]
    rows: list[Any] = [
        {"name": strategy, "values": numbers([float(mean[part]) for part in parts])}
        for strategy, mean in means.items()
    ]
    shares: list[Any] = [
        {"name": strategy, "values": numbers([100 * float(mean[part] / mean.sum()) for part in parts])}
        for strategy, mean in means.items()
        if mean.sum()
    ]
    return Figure(
        name="time",
        kind="stacks",
        title="Where the time went",
        note="Completed requests of the first replication, along the critical path to the delivery of the "
        "last token; the parts sum to the mean latency.",
        content={
            "views": [
                {"label": "Seconds per request", "unit": "seconds", "parts": parts, "rows": rows},
                {"label": "Share of the latency", "unit": "percent", "parts": parts, "rows": shares},
            ]
        },
    )
