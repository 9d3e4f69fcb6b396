"""Figure of the latency distributions, with censored and failed requests taken into account."""

from __future__ import annotations

from typing import Any, cast

import numpy as np

from edgesim.report.comparison import about
from edgesim.report.comparison_json import Json
from edgesim.report.page.figure import Figure, numbers, thinned
from edgesim.statistics.devices import end_of_run_at_s
from edgesim.statistics.requests import Requests
from edgesim.statistics.samples import SAMPLES, Sample
from edgesim.statistics.survival import answered_share
from edgesim.statistics.window import counted
from edgesim.trace.reader import Trace

__all__ = ["distributions"]

_MOST_POINTS = 400  # points per line: more than a screen can resolve
_TITLES = {"e2e": "End to end", "ttft": "Time to first token", "tpot": "Time per output token"}
_LOG_FROM = 30.0  # ratio of the ends of the axis above which it is logarithmic


def distributions(trace: Trace) -> Figure:
    """Create the figure of Kaplan-Meier curves of each latency, pooled over all replications."""
    horizon_s = cast("float | None", trace.run["horizon_s"])
    warmup_s = about(trace).warmup_s
    samples: dict[str, dict[str, list[Sample]]] = {name: {} for name in SAMPLES}
    for strategy in trace.strategies:
        for replication in trace.replications(strategy):
            ended_at_s = end_of_run_at_s(trace.devices(strategy, replication))
            table = Requests.of(trace.requests(strategy, replication), ended_at_s)
            chosen = counted(table.arrived_at_s, warmup_s, horizon_s)
            for name, sampler in SAMPLES.items():
                samples[name].setdefault(strategy, []).append(sampler(table, chosen))
    order = {strategy: at for at, strategy in enumerate(trace.strategies)}
    views = [_view(name, found, order) for name, found in samples.items()]
    return Figure(
        name="latencies",
        kind="lines",
        title="Distribution of latencies",
        note="Share of requests answered within a time, over all replications. Requests in flight at the end "
        "are censored at their age (Kaplan-Meier); failed ones count as never answered, so that the curve "
        "stays below 1.",
        content={"views": [view for view in views if view["series"]]},
    )


def _view(name: str, samples: dict[str, list[Sample]], order: dict[str, int]) -> dict[str, Any]:
    series: list[Json] = []
    ends: list[float] = []
    for strategy, parts in samples.items():
        values_s = np.concatenate([part.values_s for part in parts])
        censored_s = np.concatenate([part.censored_s for part in parts])
        if not values_s.size:
            continue
        times_s, shares = answered_share(values_s, censored_s, sum(part.n_never for part in parts))
        last_s = max(float(part.max()) for part in (values_s, censored_s) if part.size)
        kept = thinned(len(times_s), _MOST_POINTS)
        x = np.concatenate([[times_s[0]], times_s[kept], [last_s]])
        y = np.concatenate([[0.0], shares[kept], [shares[-1]]])
        ends += [float(max(times_s[0], 1e-12)), last_s]
        series.append({"name": strategy, "at": order[strategy], "x": numbers(x), "y": numbers(y)})
    is_log = bool(ends) and max(ends) / min(ends) > _LOG_FROM
    return {
        "label": _TITLES[name],
        "x": {"label": "seconds", "log": is_log},
        "y": {"label": "share of requests answered", "low": 0, "high": 1},
        "step": True,
        "series": series,
    }
