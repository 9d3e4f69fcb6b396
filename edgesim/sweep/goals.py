"""Goals that a load must meet, and their evaluation over replications."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from edgesim.errors import InputError
from edgesim.nearest import suggest
from edgesim.statistics.intervals import Estimate, Scale, estimate_mean
from edgesim.statistics.saturation import Growth, keeps_growing
from edgesim.sweep.bracket import Verdict
from edgesim.sweep.schema import METRICS

__all__ = ["NUMBER", "Evaluation", "Goal", "judge"]

NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
"""Regular expression of a number, for use in patterns."""

_GOAL = re.compile(rf"\s*(?P<metric>\w+)\s*(?P<sign><=|>=|≤|≥)\s*(?P<limit>{NUMBER})\s*")

_RISING = frozenset({"requests_per_s", "output_tokens_per_s", "goodput_per_s"})  # until saturation


@dataclass(frozen=True)
class Goal:
    """A limit on the mean of a metric over replications.

    Raises
    ------
    InputError
        If there is no such metric, or it rises with the load and would have to be large.
    """

    metric: str
    limit: float
    is_least: bool  # whether the limit is a lower bound, as for attainment; else an upper bound

    def __post_init__(self) -> None:
        if self.metric not in METRICS:
            raise InputError(f"--meets: no metric '{self.metric}'; {suggest(self.metric, METRICS)}")

        if self.is_least and self.metric in _RISING:
            raise InputError(
                f"--meets: {self.metric} rises with the load, so there is no highest load at which it is "
                "large enough; give a share of requests (--attain 0.99), or a latency (e2e_p95_s<=0.5)"
            )

    @classmethod
    def attain(cls, share: float) -> Goal:
        """Make the goal that a share of requests meets the scenario's objectives."""
        if not 0 < share < 1:
            raise InputError(f"--attain: expected a share between 0 and 1, such as 0.99, got {share:g}")
        return cls("attainment", share, is_least=True)

    @classmethod
    def parse(cls, text: str) -> Goal:
        """Parse ``e2e_p95_s<=0.5``.

        Raises
        ------
        InputError
            If the text has another form.
        """
        found = _GOAL.fullmatch(text)
        if found is None:
            raise InputError(
                f"--meets: expected a metric and a limit, such as 'e2e_p95_s<=0.5', got {text!r}"
            )
        return cls(found["metric"], float(found["limit"]), is_least=found["sign"] in (">=", "≥"))

    def __str__(self) -> str:
        return f"{self.metric} {'>=' if self.is_least else '<='} {self.limit:g}"


@dataclass(frozen=True)
class Evaluation:
    """Result of evaluating one value."""

    verdict: Verdict
    estimate: Estimate | None
    is_saturated: bool


def judge(rows: Sequence[dict[str, Any]], goal: Goal) -> Evaluation:
    """Judge a strategy at one value by the confidence interval of the metric's mean over replications.

    A load at which the number of requests in flight keeps growing misses the goal, whatever the counted
    requests achieved: a longer run would give worse results. An unknown latency, of requests that never
    ended, misses it too.
    """
    growths = [Growth(tuple(row["growth"]), row["growth_n_arrived"]) for row in rows if row["growth"]]
    is_saturated = keeps_growing(growths)
    values = [float(row[goal.metric]) for row in rows]
    if goal.metric == "attainment":
        n_trials = sum(row["offered"] for row in rows)
        least = _interval([_known(row, "attainment_at_least") for row in rows], Scale.LOGIT, n_trials)
        most = _interval([_known(row, "attainment_at_most") for row in rows], Scale.LOGIT, n_trials)
        estimate = least
        low = None if least is None else least.low
        high = None if most is None else most.high
    else:
        is_known = all(math.isfinite(value) for value in values)
        estimate = _interval(values, Scale.LOG, None) if is_known else None
        low, high = (math.inf, math.inf) if estimate is None else (estimate.low, estimate.high)
        if goal.is_least and estimate is None:
            low = high = -math.inf
    if low is None or high is None:
        low = high = math.nan if estimate is None else estimate.mean  # all values are 0, without scatter
    is_met = low >= goal.limit if goal.is_least else high <= goal.limit
    is_missed = high < goal.limit if goal.is_least else low > goal.limit
    if is_saturated or is_missed:
        return Evaluation(Verdict.MISSES, estimate, is_saturated)
    return Evaluation(Verdict.MEETS if is_met else Verdict.OPEN, estimate, is_saturated)


def _known(row: dict[str, Any], name: str) -> float:
    """Return the attainment if known, else the named bound of it."""
    value = float(row["attainment"])
    return value if math.isfinite(value) else float(row[name])


def _interval(values: Sequence[float], scale: Scale, n_trials: float | None) -> Estimate | None:
    known = [value for value in values if math.isfinite(value)]
    return estimate_mean(known, scale, n_trials=n_trials) if known else None
