"""Estimate of a metric of one strategy over the replications of a cell, for tables, figures and pages."""

from __future__ import annotations

import numpy as np
import pandas as pd

from edgesim.statistics.comparison import metric_estimate
from edgesim.statistics.intervals import Estimate, Scale, estimate_mean

__all__ = ["cell_estimate"]

_TRIALS = {"attainment": "offered", "accuracy": "completed"}
"""Metrics that are shares, and the column with the number of requests in their denominator."""


def cell_estimate(own: pd.DataFrame, metric: str) -> Estimate | None:
    """Estimate a metric's mean over replications.

    Parameters
    ----------
    own
        One row per replication of one strategy in one cell, with the metric and, for shares, the counts of
        requests. If a share is the same in all replications, its interval follows from the number of
        requests; without counts there is none, since the replications do not show its width.

    Returns
    -------
    Estimate or None
        None if the metric is unknown or undefined in any replication: leaving those out would bias the mean,
        since they are the worst ones.
    """
    values = own[metric].to_numpy(np.float64, na_value=np.nan).tolist()
    if not values or not np.isfinite(values).all():
        return None
    if metric not in _TRIALS:
        if min(values) < 0:
            return estimate_mean(values, Scale.LINEAR)
        return metric_estimate(metric, values)
    counts = _TRIALS[metric]
    n_trials = float(own[counts].sum()) if counts in own else 0.0
    estimate = metric_estimate(metric, values, n_trials=n_trials or None)
    if estimate is not None and not n_trials and estimate.low == estimate.high:
        return Estimate(estimate.n, estimate.mean, None, None)
    return estimate
