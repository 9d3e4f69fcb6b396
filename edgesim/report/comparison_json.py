"""The comparison as JSON, in full precision."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TypeAlias

from edgesim.report.notes import MUCH_CUT_OFF, About
from edgesim.report.numbers import SET_BY_ARRIVALS
from edgesim.statistics.comparison import Comparison, Row
from edgesim.statistics.intervals import Difference, Estimate
from edgesim.statistics.pairs import SameRequests

__all__ = ["Json", "as_json"]

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"


def as_json(comparison: Comparison, about: About | None = None) -> dict[str, Json]:
    """Return the comparison in full precision; undefined or unknown numbers are null, never NaN.

    A metric that is unknown because some requests have no known end has ``mean: null`` and a lower bound
    (``at_least``). ``differences`` compare the metrics of replications, ``same_requests`` single requests.
    """
    return {
        "about": None if about is None else _about_json(about),
        "confidence": comparison.confidence,
        "reference": comparison.rows[0].strategy if comparison.rows else None,
        "strategies": [_row_json(row) for row in comparison.rows],
    }


def _about_json(about: About) -> dict[str, Json]:
    objectives = about.objectives
    return {
        "scenario": about.scenario,
        "model": about.model,
        "n_devices": about.n_devices,
        "seed": about.seed,
        "warmup_s": about.warmup_s,
        "horizon_s": about.horizon_s,
        "answers": about.answers,
        "objectives": None
        if objectives is None
        else {"ttft_s": objectives.ttft_s, "tpot_s": objectives.tpot_s, "e2e_s": objectives.e2e_s},
    }


def _row_json(row: Row) -> dict[str, Json]:
    by_arrivals = [name for name in SET_BY_ARRIVALS if row.is_rate_set_by_arrivals and row.estimates[name]]
    return {
        "strategy": row.strategy,
        "replications": list(row.replications),
        "origins": list(row.origins),
        "outcomes": {
            "offered": row.outcomes.offered,
            "completed": row.outcomes.completed,
            "failed": row.outcomes.failed,
            "censored": row.outcomes.censored,
            "stuck": row.n_stuck,
            "beyond_measured": row.n_beyond,
            "cut_off_share": row.outcomes.cut_off_share,
        },
        "saturated": row.is_saturated,
        "much_cut_off": row.outcomes.cut_off_share > MUCH_CUT_OFF,
        "set_by_arrivals": list(by_arrivals),
        "metrics": {name: _metric_json(row, name, estimate) for name, estimate in row.estimates.items()},
        "attainment_bounds": None if row.attainment_bounds is None else list(row.attainment_bounds),
        "differences": {
            name: None if found is None else _difference_json(found)
            for name, found in row.differences.items()
        },
        "ratio_limits": {
            name: {"at_least" if limit.is_least else "at_most": _finite(limit.ratio)}
            for name, limit in row.ratio_limits.items()
        },
        "same_requests": None if row.same_requests is None else _same_json(row.same_requests),
        "utilisation": _estimates_json(row.utilisation),
    }


def _metric_json(row: Row, name: str, estimate: Estimate | None) -> dict[str, Json] | None:
    if estimate is not None:
        return _estimate_json(estimate)
    if name not in row.bounds:
        return None
    unknown: dict[str, Json] = {"n": len(row.replications), "mean": None, "low": None, "high": None}
    return unknown | {"at_least": _finite(row.bounds[name])}


def _estimates_json(estimates: Mapping[str, Estimate | None]) -> dict[str, Json]:
    return {
        name: None if estimate is None else _estimate_json(estimate) for name, estimate in estimates.items()
    }


def _estimate_json(estimate: Estimate) -> dict[str, Json]:
    return {
        "n": estimate.n,
        "mean": _finite(estimate.mean),
        "low": _finite(estimate.low),
        "high": _finite(estimate.high),
    }


def _difference_json(difference: Difference) -> dict[str, Json]:
    ratio = difference.ratio
    return _estimate_json(difference) | {
        "ratio": None if ratio is None else _finite(ratio.ratio),
        "ratio_low": None if ratio is None else _finite(ratio.low),
        "ratio_high": None if ratio is None else _finite(ratio.high),
        "no_ratio": difference.no_ratio,
        "differs": difference.differs,
    }


def _same_json(same: SameRequests) -> dict[str, Json]:
    differences: dict[str, Json] = {
        name: _difference_json(difference)
        | {"differs": same.differs(name), "share_shorter": _estimate_json(same.sooner[name])}
        for name, difference in same.differences.items()
    }
    return {
        "n_requests": same.n_requests,
        "n_pairs": same.n_pairs,
        "share": same.share,
        "is_enough": same.is_enough,
        "differences": differences,
    }


def _finite(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else value
