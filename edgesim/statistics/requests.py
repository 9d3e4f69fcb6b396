"""Requests of one run as arrays of instants, outcomes and latencies, and deliveries of their tokens."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd

from edgesim.errors import TraceError

__all__ = ["Deliveries", "Emits", "Outcomes", "Requests", "deliveries", "floats"]

FloatArray: TypeAlias = npt.NDArray[np.float64]
IntArray: TypeAlias = npt.NDArray[np.int64]
BoolArray: TypeAlias = npt.NDArray[np.bool_]
Emits: TypeAlias = Iterable[tuple[IntArray, FloatArray]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcomes:
    """Numbers of requests by outcome."""

    completed: int
    failed: int
    censored: int

    @property
    def offered(self) -> int:
        """Number of all requests."""
        return self.completed + self.failed + self.censored

    @property
    def cut_off_share(self) -> float:
        """Share of requests that were still in flight at the end of observation."""
        return self.censored / self.offered if self.offered else 0.0

    def __add__(self, other: Outcomes) -> Outcomes:
        return Outcomes(
            completed=self.completed + other.completed,
            failed=self.failed + other.failed,
            censored=self.censored + other.censored,
        )


_OUTCOMES = tuple(outcome.name for outcome in fields(Outcomes))


@dataclass(frozen=True, slots=True)
class Requests:
    """Columns of the requests table, sorted by request_id; instants that were not reached are NaN.

    `age_s` is the time for which each request was observed: from its arrival to its end, or to the end of the
    run.
    """

    request_id: IntArray
    arrived_at_s: FloatArray
    first_token_at_s: FloatArray
    ended_at_s: FloatArray
    n_tokens: FloatArray
    n_asked: FloatArray
    completed: BoolArray
    failed: BoolArray
    censored: BoolArray
    stuck: BoolArray
    beyond: BoolArray
    nll: FloatArray
    correct: FloatArray
    age_s: FloatArray

    @classmethod
    def of(cls, requests: pd.DataFrame, observed_until_s: float | None) -> Requests:
        """Convert the trace's requests table.

        Raises
        ------
        TraceError
            If it contains an unknown outcome, or a completed request without an end.
        """
        ordered = requests.sort_values("request_id")
        arrived_at_s, ended_at_s = floats(ordered, "arrived_at_s"), floats(ordered, "ended_at_s")
        last_s = np.nan if observed_until_s is None else observed_until_s
        outcome = ordered["outcome"].astype("category")  # compared once per name, not per request
        unknown = set(outcome.cat.remove_unused_categories().cat.categories) - set(_OUTCOMES)
        if unknown or outcome.isna().any():
            raise TraceError(
                f"requests: found outcome {', '.join(sorted(map(str, unknown))) or 'null'}; expected "
                "completed, failed or censored: the trace was not written by edgesim, or is damaged"
            )
        completed, failed, censored = ((outcome == name).to_numpy(np.bool_) for name in _OUTCOMES)
        table = cls(
            request_id=ordered["request_id"].to_numpy(dtype=np.int64),
            arrived_at_s=arrived_at_s,
            first_token_at_s=floats(ordered, "first_token_at_s"),
            ended_at_s=ended_at_s,
            n_tokens=floats(ordered, "n_emitted_tokens"),
            n_asked=floats(ordered, "n_output_tokens"),
            completed=completed,
            failed=failed,
            censored=censored,
            stuck=censored & ordered["reason"].notna().to_numpy(dtype=np.bool_),
            beyond=ordered["beyond_measured"].eq(True).to_numpy(dtype=np.bool_, na_value=False),
            nll=floats(ordered, "nll"),
            correct=floats(ordered, "correct"),
            age_s=np.where(
                np.isnan(ended_at_s), np.fmax(last_s - arrived_at_s, 0.0), ended_at_s - arrived_at_s
            ),
        )
        table._check()
        return table

    def _check(self) -> None:
        reached = np.isfinite(self.first_token_at_s) & np.isfinite(self.ended_at_s)
        if not reached[self.completed].all():
            raise TraceError(
                "requests: a completed request has no first_token_at_s or no ended_at_s; expected both: "
                "the trace was not written by edgesim, or is damaged"
            )

    @property
    def ttft_s(self) -> FloatArray:
        """Time to the first token [s]."""
        return self.first_token_at_s - self.arrived_at_s

    @property
    def e2e_s(self) -> FloatArray:
        """Time to the last token of completed requests, or to the failure [s]."""
        return self.ended_at_s - self.arrived_at_s

    @property
    def tpot_s(self) -> FloatArray:
        """Time per token after the first [s]; undefined for an answer of one token."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return (self.ended_at_s - self.first_token_at_s) / (self.n_tokens - 1)

    def outcomes(self, chosen: BoolArray) -> Outcomes:
        """Count the outcomes of the chosen requests."""
        ways = (self.completed, self.failed, self.censored)
        counts = dict(zip(_OUTCOMES, (int((chosen & way).sum()) for way in ways), strict=True))
        return Outcomes(**counts)

    def per_token(self, values: FloatArray, chosen: BoolArray) -> float | None:
        """Return the token-weighted mean of a value over chosen requests; None if any value is missing."""
        values, n_tokens = values[chosen], self.n_tokens[chosen]
        is_known = len(values) > 0 and bool(np.isfinite(values).all())
        return float((values * n_tokens).sum()) / float(n_tokens.sum()) if is_known else None


def floats(table: pd.DataFrame, column: str) -> FloatArray:
    """Return a column as floats, with NaN for null."""
    return table[column].to_numpy(dtype=np.float64, na_value=np.nan)


@dataclass(frozen=True, slots=True)
class Deliveries:
    """Token deliveries of one run, from its spans.

    Attributes
    ----------
    n_within
        Number of tokens delivered within the window, for any request.
    gaps_s
        All gaps between two tokens of a counted request.
    latest_at_s
        Instant of each request's last delivery; NaN without any.
    """

    n_within: int
    gaps_s: FloatArray
    latest_at_s: FloatArray


def deliveries(
    emits: Emits | None, request_id: IntArray, counted: BoolArray, within: tuple[float, float]
) -> Deliveries | None:
    """Count the tokens delivered within an interval, and collect the gaps between tokens.

    Parameters
    ----------
    within
        The interval: after the first and up to the second instant.

    Raises
    ------
    TraceError
        If tokens are out of order, or belong to a request that the table lacks.
    """
    if emits is None:
        return None
    n_within, gaps_s = 0, []
    latest_s = np.full(request_id.size, np.nan)
    for owner, at_s in emits:
        n_within += int(((at_s > within[0]) & (at_s <= within[1])).sum())
        slot = np.searchsorted(request_id, owner)
        if slot.size == 0:
            continue
        if slot.max() >= request_id.size or (request_id[slot] != owner).any():
            raise TraceError(
                "spans: tokens were delivered to a request that the requests table lacks; expected every "
                "request in it: the trace is incomplete"
            )
        order = np.lexsort((at_s, slot))
        slot, at_s = slot[order], at_s[order]
        opens = np.concatenate([[True], slot[1:] != slot[:-1]])  # first token of its request in this block
        before_s = np.concatenate([[np.nan], at_s[:-1]])
        before_s[opens] = latest_s[slot[opens]]
        closes = np.concatenate([opens[1:], [True]])
        latest_s[slot[closes]] = at_s[closes]
        gaps = at_s - before_s
        if (gaps < 0).any():
            raise TraceError(
                "spans: the tokens of a request are out of order; expected increasing instants: read the "
                "parts in order"
            )
        gaps_s.append(gaps[counted[slot] & ~np.isnan(gaps)])
    return Deliveries(n_within, np.concatenate(gaps_s) if gaps_s else np.empty(0), latest_s)
