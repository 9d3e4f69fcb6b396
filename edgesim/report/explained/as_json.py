"""Explanations of strategies and requests, and their JSON form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from edgesim.explain.advice import Advice
from edgesim.explain.journey import Journey
from edgesim.explain.stations import Bounds
from edgesim.statistics.intervals import Estimate

__all__ = ["Explained", "as_json"]


@dataclass(frozen=True, slots=True)
class Explained:
    """The explanation of one strategy's latencies.

    Attributes
    ----------
    parts_s
        Mean seconds of each part of the latency, over all answered requests of all replications.
    least_s
        Mean latency without the parts in which requests wait.
    n_requests
        Number of answered requests.
    n_tokens
        Number of tokens delivered to them.
    bounds
        Bounds of the strategy with its placement; None if not requested.
    any_per_s
        Upper bound on the requests per second of any placement; None if not requested, or unknown.
    advice
        The most helpful change; None if not requested.
    """

    strategy: str
    parts_s: Mapping[str, float]
    least_s: float
    n_requests: int
    n_tokens: int
    bounds: Bounds | None = None
    any_per_s: float | None = None
    advice: Advice | None = None

    @property
    def latency_s(self) -> float:
        """Mean time to the last token."""
        return sum(self.parts_s.values())


def as_json(explained: Sequence[Explained], journeys: Mapping[str, Journey]) -> dict[str, Any]:
    """Return all explanations and journeys in full precision."""
    return {
        "strategies": {each.strategy: _explained_json(each) for each in explained},
        "requests": {label: _journey_json(found) for label, found in journeys.items()},
    }


def _explained_json(each: Explained) -> dict[str, Any]:
    content: dict[str, Any] = {
        "n_requests": each.n_requests,
        "n_tokens": each.n_tokens,
        "mean_s": each.latency_s,
        "least_s": each.least_s,
        "parts_s": dict(each.parts_s),
    }
    if each.bounds is not None:
        content["bounds"] = {
            "answered_per_s": each.bounds.answered_per_s,
            "offered_per_s": each.bounds.offered_per_s,
            "most_per_s": each.bounds.most_per_s,
            "any_placement_per_s": each.any_per_s,
            "stations": [
                {
                    "name": station.name,
                    "work": station.work,
                    "demand_s": station.demand_s,
                    "utilisation": station.utilisation,
                    "serves_several_at_once": station.shares,
                }
                for station in each.bounds.stations
            ],
        }
    if each.advice is not None:
        content["advice"] = _advice_json(each.advice)
    return content


def _advice_json(advice: Advice) -> dict[str, Any]:
    return {
        "best": None if advice.best is None else {"what": advice.best.what, "set": list(advice.best.sets)},
        "effect_s": _estimate_json(advice.effect_s),
        "helps": advice.helps,
        "delay_s": _estimate_json(advice.delay_s),
        "unanswered": advice.unanswered,
        "n_runs": advice.n_runs,
        "n_left_out": advice.n_left_out,
        "tried": [
            {
                "what": each.change.what,
                "set": list(each.change.sets),
                "difference_s": _estimate_json(each.difference_s),
                "refused": each.refused,
            }
            for each in advice.tried
        ],
    }


def _estimate_json(estimate: Estimate | None) -> dict[str, Any] | None:
    if estimate is None:
        return None
    return {"mean": estimate.mean, "low": estimate.low, "high": estimate.high, "n": estimate.n}


def _journey_json(found: Journey) -> dict[str, Any]:
    def records(table: pd.DataFrame) -> list[dict[str, Any]]:
        plain = table.astype(object).where(table.notna(), None)
        return [{str(key): value for key, value in row.items()} for row in plain.to_dict("records")]

    return {
        "request_id": int(str(found.request["request_id"])),
        "outcome": str(found.request["outcome"]),
        "parts_s": found.parts_s(),
        "steps": records(found.steps),
        "ahead": records(found.ahead),
    }
