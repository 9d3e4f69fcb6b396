"""From traces to numbers, and from numbers to comparisons that can be trusted.

Definitions, printed beside the numbers wherever they are shown:

- **TTFT**: first token at the user minus arrival; the return path is included.
- **TPOT**: (E2E - TTFT) / (tokens - 1), per request; undefined for one token, which is left out.
- **ITL**: every gap between two tokens of a request at the user, pooled over requests. Where lengths differ
  its mean is not the mean TPOT.
- **E2E**: last token at the user minus arrival.

Latencies are those of completed requests: a failed one has none, and one that the horizon cut off
(censored) would count with what it had reached by chance. Percentiles interpolate linearly between order
statistics (numpy's ``linear``, Hyndman and Fan's type 7).

**Warm-up.** Requests that arrived before its end are left out of latencies, outcomes, goodput and
attainment. Throughputs count what happens from its end to the end of the run, whoever asked. Energy and
utilisation are those of the whole run, since devices keep running totals.

**Replications.** Each is one observation: intervals are Student's t over replications, never over requests,
which are dependent. Strategies meet the same arrivals and channels in the same replication, so their
differences are taken within replications (paired t), which removes what they share.
"""

from __future__ import annotations

from edgesim.statistics.comparison import (
    Comparison,
    Difference,
    Estimate,
    Row,
    compare,
    paired_difference,
    student_t,
)
from edgesim.statistics.summary import Distribution, Objectives, Outcomes, Summary, summarise

__all__ = [
    "Comparison",
    "Difference",
    "Distribution",
    "Estimate",
    "Objectives",
    "Outcomes",
    "Row",
    "Summary",
    "compare",
    "paired_difference",
    "student_t",
    "summarise",
]
