"""Mean request rate of each source, as far as it is known in advance."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from itertools import islice

from edgesim.rng import Streams
from edgesim.workload.requests import Demand, Workload

__all__ = ["mean_rates_hz"]

_MOST_COUNTED = 100_000  # requests to count if there is no arrival process: means to a third of a percent


def mean_rates_hz(workload: Demand, streams: Streams) -> Mapping[str, float]:
    """Return the long-run requests per second at each source; empty if they depend on the answers.

    They follow from the arrival process if there is one; otherwise the requests of one replication are
    counted.

    Parameters
    ----------
    streams
        Random streams of that replication.
    """
    if isinstance(workload, Workload):
        weights = workload.weights or (1.0,) * len(workload.sources)
        rates = dict.fromkeys(workload.sources, 0.0)
        # A source that is listed twice is drawn twice as often.
        for source, weight in zip(workload.sources, weights, strict=True):
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
