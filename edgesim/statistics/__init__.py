"""Metrics of traces, their confidence intervals over replications, and comparisons of strategies.

Definitions, printed beside the numbers wherever these are shown:

- **TTFT**: arrival of the first token at the user minus arrival of the request; includes the return path.
- **TPOT**: (E2E - TTFT) / (tokens - 1), per request; undefined, and left out, for a single token.
- **ITL**: every gap between two tokens of a request at the user, pooled over requests. If lengths differ, its
  mean is not the mean TPOT.
- **E2E**: arrival of the last token at the user minus arrival of the request.

**Counted requests** are those that arrive from the end of the warm-up to the horizon. They are followed to
their end, beyond the horizon until the end of the cool-down. Every latency takes all of them into account:
TTFT is known if there was a first token, the latency of a failed request is infinite, and that of a request
still in flight at the end of observation is longer than its age (censored). Percentiles are Kaplan-Meier
estimates, interpolated linearly (numpy's ``linear`` if all latencies are known). A percentile beyond the last
known time, or a mean of partly unknown latencies, is given as a lower bound.

**Rates** are taken over the steady window: from the warm-up to the horizon, or to the last arrival, or until
the first of a fixed number of users leaves. For requests that arrive (nearly) all at once, the window is
their makespan (:mod:`edgesim.statistics.window`). Goodput counts the completions in the window that met all
objectives. Energy and utilisation are those of the whole run, since devices keep running totals.

**Replications.** Each replication is one observation: intervals are over replications, never over requests,
which are dependent. Intervals stay within the range of the metric (:mod:`edgesim.statistics.intervals`). In a
replication all strategies have the same arrivals and channels, so they are compared within replications: by
the ratio of a metric's two values (paired t of the logarithm), and request by request
(:mod:`edgesim.statistics.pairs`).
"""

from __future__ import annotations

from edgesim.statistics.comparison import Comparison, Row, compare
from edgesim.statistics.intervals import (
    Difference,
    Estimate,
    Ratio,
    Scale,
    estimate_mean,
    paired_difference,
    paired_ratio,
    student_t,
)
from edgesim.statistics.pairs import Pairs, RequestLatencies, SameRequests, pair, same_requests
from edgesim.statistics.summary import Outcomes, ServiceObjectives, Summary, summarise
from edgesim.statistics.survival import Distribution, met_share, percentiles
from edgesim.statistics.window import Window, steady_window

__all__ = [
    "Comparison",
    "Difference",
    "Distribution",
    "Estimate",
    "Outcomes",
    "Pairs",
    "Ratio",
    "RequestLatencies",
    "Row",
    "SameRequests",
    "Scale",
    "ServiceObjectives",
    "Summary",
    "Window",
    "compare",
    "estimate_mean",
    "met_share",
    "pair",
    "paired_difference",
    "paired_ratio",
    "percentiles",
    "same_requests",
    "steady_window",
    "student_t",
    "summarise",
]
