"""From traces to numbers, and from numbers to comparisons that can be trusted.

Definitions, printed beside the numbers wherever they are shown:

- **TTFT**: first token at the user minus arrival; the return path is included.
- **TPOT**: (E2E - TTFT) / (tokens - 1), per request; undefined for one token, which is left out.
- **ITL**: every gap between two tokens of a request at the user, pooled over requests. Where lengths differ
  its mean is not the mean TPOT.
- **E2E**: last token at the user minus arrival.

**Which requests count.** Those that arrived from the end of the warm-up to the horizon. They are followed to
their end, beyond the horizon as far as the cool-down goes. All of them count in every latency: TTFT is known
of each that had a first token, a failed request is never answered, and one still in flight at the end of
observation took longer than its age. Percentiles are Kaplan and Meier's, interpolated linearly (numpy's
``linear`` where all is known); a percentile beyond the last known time, and a mean of which a part is
unknown, are given as bounds from below.

**Rates** are taken over the steady window: from the warm-up to the horizon, or to the last arrival, or to
when the first of a fixed number of users leaves; of requests that come (nearly) all at once over their
makespan (:mod:`edgesim.statistics.window`). Goodput is the good part of the completions in it. Energy and
utilisation are those of the whole run, since devices keep running totals.

**Replications.** Each is one observation: intervals are over replications, never over requests, which are
dependent. They stay inside what is possible (:mod:`edgesim.statistics.intervals`). Strategies meet the same
arrivals and channels in the same replication, so they are compared within replications: by the ratio of a
metric's two values (paired t of the logarithm), and request by request (:mod:`edgesim.statistics.pairs`).
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
from edgesim.statistics.pairs import Lives, Pairs, SameRequests, pair, same_requests
from edgesim.statistics.summary import Outcomes, ServiceObjectives, Summary, summarise
from edgesim.statistics.survival import Distribution, met_share, percentiles
from edgesim.statistics.window import Window, steady_window

__all__ = [
    "Comparison",
    "Difference",
    "Distribution",
    "Estimate",
    "Lives",
    "Outcomes",
    "Pairs",
    "Ratio",
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
