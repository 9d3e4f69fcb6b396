"""Table of all metrics of a trace, one row per run."""

from __future__ import annotations

import pandas as pd

from edgesim.report.comparison import summaries
from edgesim.trace.reader import Trace

__all__ = ["run_rows"]


def run_rows(trace: Trace) -> pd.DataFrame:
    """Return the counts and metrics of each run, indexed by strategy and replication.

    Columns: requests offered, completed, failed and censored, then the metrics by name (``e2e_mean_s``,
    ``ttft_p95_s``, ``active_j_per_token``, ...); NaN if a metric is unknown or undefined.

    Raises
    ------
    TraceError
        If no replication is complete.
    """
    rows = {
        (one.strategy, one.replication): {
            "offered": one.outcomes.offered,
            "completed": one.outcomes.completed,
            "failed": one.outcomes.failed,
            "censored": one.outcomes.censored,
            **{name: float("nan") if value is None else value for name, value in one.metrics().items()},
        }
        for one in summaries(trace)
    }
    table = pd.DataFrame.from_dict(rows, orient="index")
    table.index = pd.MultiIndex.from_tuples(rows, names=["strategy", "replication"])
    return table
