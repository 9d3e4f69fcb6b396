"""How often requests arise at each source, as far as a workload tells it beforehand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from itertools import islice

from edgesim.rng import Streams
from edgesim.workload.requests import Demand, Workload

__all__ = ["mean_rates_hz"]

_MOST_COUNTED = 100_000  # requests of a workload without a law of its own: means to a third of a percent


def mean_rates_hz(workload: Demand, streams: Streams) -> Mapping[str, float]:
    """Long-run requests per second at each source; empty where they depend on the answers.

    By the law of arrivals where there is one; else counted, over the requests of one replication.

    Parameters
    ----------
    streams
        Of that replication.
    """
    if isinstance(workload, Workload):
        weights = workload.weights or (1.0,) * len(workload.sources)
        rates = dict.fromkeys(workload.sources, 0.0)
        for source, weight in zip(
            workload.sources, weights, strict=True
        ):  # named twice, drawn twice as often
            rates[source] += workload.arrivals.rate_hz * weight / sum(weights)
        return rates
    if workload.is_closed:
        return {}
    counts: Counter[str] = Counter()
    last_at_s = 0.0
    for request in islice(workload.requests(streams), _MOST_COUNTED):
        counts[request.source] += 1
        last_at_s = request.arrived_at_s
    if last_at_s == 0.0:
        return {}
    return {source: counts[source] / last_at_s for source in workload.sources}
