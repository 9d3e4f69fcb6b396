"""Service objectives: which requests met them, and the share that did."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from edgesim.statistics.requests import BoolArray, Requests
from edgesim.statistics.survival import met_share

__all__ = ["Attainment", "ServiceObjectives", "attainment", "completed_in_time"]


class ServiceObjectives(Protocol):
    """Limits on the latencies of a request; None where there is no limit."""

    @property
    def ttft_s(self) -> float | None:
        """Limit of the time to the first token [s]."""

    @property
    def tpot_s(self) -> float | None:
        """Limit of the time per token after the first [s]; always met by an answer of one token."""

    @property
    def e2e_s(self) -> float | None:
        """Limit of the time to the last token [s]."""


@dataclass(frozen=True, slots=True)
class Attainment:
    """Estimated share of requests that met every objective, with certain bounds."""

    share: float | None
    at_least: float
    at_most: float


def completed_in_time(requests: Requests, objectives: ServiceObjectives | None) -> BoolArray | None:
    """Return which requests completed and met every objective; None without objectives."""
    limits = _limits_s(objectives)
    return None if limits is None else requests.completed & ~_is_late(requests, limits)


def attainment(
    requests: Requests, counted: BoolArray, objectives: ServiceObjectives | None
) -> Attainment | None:
    """Estimate the share of counted requests that meet every objective; None without objectives.

    A completed request has met them or missed them; a failed one has missed them. A censored request has
    missed them if it had already exceeded a limit: its age exceeds the limit of E2E, or the limit of TTFT
    before its first token, or the time since its first token exceeds the TPOT limit for all its tokens.
    Otherwise it is undecided (:func:`~edgesim.statistics.survival.met_share`).
    """
    limits = _limits_s(objectives)
    if limits is None or not counted.any():
        return None
    ttft_limit_s, tpot_limit_s, e2e_limit_s = limits
    age_s, ttft_s = requests.age_s[counted], requests.ttft_s[counted]
    completed, failed = requests.completed[counted], requests.failed[counted]
    many = requests.n_asked[counted] > 1
    is_late = _is_late(requests, limits)[counted]
    # Age at which a limit was exceeded; infinite if none was.
    first_s = np.where(np.isnan(ttft_s), np.inf, ttft_s)
    n_gaps = np.where(many, requests.n_asked[counted] - 1, np.inf)
    allowed_s = np.minimum(
        np.where(first_s > ttft_limit_s, ttft_limit_s, np.inf),
        np.minimum(first_s + tpot_limit_s * n_gaps, e2e_limit_s),
    )
    has_met = completed & ~is_late
    has_missed = (completed & is_late) | failed | (~completed & (age_s > allowed_s))
    undecided = ~has_met & ~has_missed
    share, (at_least, at_most) = met_share(
        age_s[has_met], np.minimum(age_s, allowed_s)[has_missed], age_s[undecided]
    )
    return Attainment(share, at_least, at_most)


def _limits_s(objectives: ServiceObjectives | None) -> tuple[float, float, float] | None:
    """Return the limits of TTFT, TPOT and E2E, infinite if not set; None if none is set."""
    if objectives is None:
        return None
    limits = (objectives.ttft_s, objectives.tpot_s, objectives.e2e_s)
    if all(limit is None for limit in limits):
        return None
    ttft_s, tpot_s, e2e_s = (math.inf if limit is None else limit for limit in limits)
    return ttft_s, tpot_s, e2e_s


def _is_late(requests: Requests, limits_s: tuple[float, float, float]) -> BoolArray:
    """Return which requests exceeded a limit according to their known latencies."""
    ttft_limit_s, tpot_limit_s, e2e_limit_s = limits_s
    late: BoolArray = (
        (requests.ttft_s > ttft_limit_s)
        | ((requests.n_asked > 1) & (requests.tpot_s > tpot_limit_s))
        | (requests.e2e_s > e2e_limit_s)
    )
    return late
