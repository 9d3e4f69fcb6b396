"""One strategy in one replication: from its trace to numbers. Definitions: see the package."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Protocol, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd

from edgesim.errors import TraceError

__all__ = ["ORIGINS", "Distribution", "Objectives", "Outcomes", "Summary", "summarise"]

FloatArray: TypeAlias = npt.NDArray[np.float64]
IntArray: TypeAlias = npt.NDArray[np.int64]
BoolArray: TypeAlias = npt.NDArray[np.bool_]
Emits: TypeAlias = Iterable[tuple[IntArray, FloatArray]]

ORIGINS = ("measured", "scaled", "analytic")  # from the most to the least trustworthy


class Objectives(Protocol):
    """What a user calls good service; None where nothing is asked."""

    @property
    def ttft_s(self) -> float | None:
        """Longest time to the first token."""

    @property
    def tpot_s(self) -> float | None:
        """Longest time per token after the first; met by an answer of one token."""

    @property
    def e2e_s(self) -> float | None:
        """Longest time to the last token."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Distribution:
    """A sample in five numbers."""

    n: int
    mean: float
    p50: float
    p95: float
    p99: float

    @classmethod
    def of(cls, values: FloatArray) -> Distribution | None:
        """Summarise a sample; None if it is empty, for an empty sample has no mean."""
        if values.size == 0:
            return None
        p50, p95, p99 = (float(value) for value in np.percentile(values, [50, 95, 99], method="linear"))
        return cls(n=values.size, mean=float(values.mean()), p50=p50, p95=p95, p99=p99)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcomes:
    """How requests ended: three counts that are never mixed."""

    completed: int
    failed: int
    censored: int

    @property
    def offered(self) -> int:
        """All requests."""
        return self.completed + self.failed + self.censored

    def __add__(self, other: Outcomes) -> Outcomes:
        return Outcomes(
            completed=self.completed + other.completed,
            failed=self.failed + other.failed,
            censored=self.censored + other.censored,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """One strategy in one replication. None wherever a quantity is undefined or was not recorded.

    Attributes
    ----------
    warmup_s, ended_at_s
        The window of the throughputs: from the end of the warm-up to the end of the run, which is the horizon
        or, where the scenario has none, the end of the last request.
    ttft_s, tpot_s, itl_s, e2e_s
        Latencies of completed requests.
    output_tokens_per_s, requests_per_s
        Tokens delivered and requests completed within the window, over its length.
    goodput_per_s
        Completed requests that met every objective, over the length of the window.
    attainment
        The same count over all requests offered: a failed or censored request is a miss.
    active_j_per_token
        Energy of computing, sending and receiving over all tokens delivered in the run.
    total_j_per_token
        The same with the energy of idling.
    utilisation
        By group of devices: busy time of compute over the length of the run, averaged over the group.
    origins
        Where the compute times of the devices that computed come from.
    perplexity
        Exp of the mean negative log likelihood over all tokens of completed requests; None where that was not
        measured for each.
    accuracy
        Share of those tokens that were right.
    n_stuck
        How many of the censored would have been in flight for ever: nothing was left to happen.
    n_beyond
        Completed requests that met more than the highest measured level of an impairment.
    """

    strategy: str
    replication: int
    warmup_s: float
    ended_at_s: float | None
    outcomes: Outcomes
    ttft_s: Distribution | None
    tpot_s: Distribution | None
    itl_s: Distribution | None
    e2e_s: Distribution | None
    output_tokens_per_s: float | None
    requests_per_s: float | None
    goodput_per_s: float | None
    attainment: float | None
    active_j_per_token: float | None
    total_j_per_token: float | None
    utilisation: Mapping[str, float]
    origins: tuple[str, ...]
    n_stuck: int = 0
    n_beyond: int = 0
    perplexity: float | None = None
    accuracy: float | None = None

    def metrics(self) -> dict[str, float | None]:
        """Return every number by name: ``ttft_mean_s``, ``ttft_p50_s``, ..., ``attainment``, ..."""
        numbers: dict[str, float | None] = {}
        for latency in ("ttft", "tpot", "itl", "e2e"):
            sample: Distribution | None = getattr(self, f"{latency}_s")
            for moment in ("mean", "p50", "p95", "p99"):
                numbers[f"{latency}_{moment}_s"] = None if sample is None else getattr(sample, moment)
        for name in (
            "output_tokens_per_s",
            "requests_per_s",
            "goodput_per_s",
            "attainment",
            "active_j_per_token",
            "total_j_per_token",
            "perplexity",
            "accuracy",
        ):
            numbers[name] = getattr(self, name)
        return numbers


def summarise(
    requests: pd.DataFrame,
    devices: pd.DataFrame,
    emits: Emits | None,
    *,
    strategy: str,
    replication: int,
    warmup_s: float = 0.0,
    objectives: Objectives | None = None,
) -> Summary:
    """Summarise one strategy in one replication from its trace.

    Parameters
    ----------
    requests, devices
        The trace's tables of these names.
    emits
        Every token delivered, ``(request_id, ended_at_s)`` in blocks, each request's in order of time. Read
        once; memory grows by 8 bytes per token only. None where the trace has no spans: ITL and tokens/s
        are then unknown.
    warmup_s
        Start of the window.
    objectives
        What counts as good service; None leaves goodput and attainment undefined.
    """
    table = _Requests.of(requests)
    counted = table.arrived_at_s >= warmup_s
    completed = counted & table.completed
    ended_at_s = _end_of_run_at_s(devices)
    window_s = None if ended_at_s is None else max(ended_at_s - warmup_s, 0.0)
    n_delivered, gaps_s = _read_emits(emits, table, completed, warmup_s)
    n_ended = int((table.completed & (table.ended_at_s >= warmup_s)).sum())
    good = _n_good(table, completed, objectives)
    active_j, idle_j = _energies_j(devices)
    n_tokens = int(table.n_tokens.sum())
    many = table.n_tokens > 1
    nll = _per_token(requests, "nll", completed)
    return Summary(
        strategy=strategy,
        replication=replication,
        warmup_s=warmup_s,
        ended_at_s=ended_at_s,
        outcomes=table.outcomes(counted),
        ttft_s=Distribution.of(table.ttft_s[completed]),
        tpot_s=Distribution.of(table.tpot_s[completed & many]),
        itl_s=None if gaps_s is None else Distribution.of(gaps_s),
        e2e_s=Distribution.of(table.e2e_s[completed]),
        output_tokens_per_s=_ratio(n_delivered, window_s),
        requests_per_s=_ratio(n_ended, window_s),
        goodput_per_s=_ratio(good, window_s),
        attainment=_ratio(good, int(counted.sum())),
        active_j_per_token=_ratio(active_j, n_tokens),
        total_j_per_token=_ratio(active_j + idle_j, n_tokens),
        utilisation=_utilisation(devices),
        origins=_origins(devices),
        n_stuck=int((counted & table.stuck).sum()),
        n_beyond=int((completed & table.beyond).sum()),
        perplexity=None if nll is None else math.exp(nll),
        accuracy=_per_token(requests, "correct", completed),
    )


@dataclass(frozen=True, slots=True)
class _Requests:
    """The columns needed, sorted by request_id; what was never reached is NaN."""

    request_id: IntArray
    arrived_at_s: FloatArray
    first_token_at_s: FloatArray
    ended_at_s: FloatArray
    n_tokens: FloatArray
    outcome: npt.NDArray[np.str_]
    stuck: BoolArray
    beyond: BoolArray

    @classmethod
    def of(cls, requests: pd.DataFrame) -> _Requests:
        ordered = requests.sort_values("request_id")
        table = cls(
            ordered["request_id"].to_numpy(dtype=np.int64),
            _floats(ordered, "arrived_at_s"),
            _floats(ordered, "first_token_at_s"),
            _floats(ordered, "ended_at_s"),
            _floats(ordered, "n_emitted_tokens"),
            ordered["outcome"].astype(str).to_numpy(dtype=np.str_),
            ((ordered["outcome"] == "censored") & ordered["reason"].notna()).to_numpy(dtype=np.bool_),
            ordered["beyond_measured"].eq(True).to_numpy(dtype=np.bool_, na_value=False),
        )
        unknown = set(table.outcome.tolist()) - {outcome.name for outcome in fields(Outcomes)}
        if unknown:
            raise TraceError(
                f"requests: outcome holds {', '.join(sorted(unknown))}; expected completed, failed or "
                "censored: the trace was not written by edgesim, or is damaged"
            )
        reached = np.isfinite(table.first_token_at_s) & np.isfinite(table.ended_at_s)
        if not reached[table.completed].all():
            raise TraceError(
                "requests: a completed request has no first_token_at_s or no ended_at_s; expected both: "
                "the trace was not written by edgesim, or is damaged"
            )
        return table

    @property
    def completed(self) -> BoolArray:
        return np.equal(self.outcome, "completed")

    @property
    def ttft_s(self) -> FloatArray:
        return self.first_token_at_s - self.arrived_at_s

    @property
    def e2e_s(self) -> FloatArray:
        return self.ended_at_s - self.arrived_at_s

    @property
    def tpot_s(self) -> FloatArray:
        with np.errstate(divide="ignore", invalid="ignore"):  # one token: undefined
            return (self.ended_at_s - self.first_token_at_s) / (self.n_tokens - 1)

    def outcomes(self, counted: BoolArray) -> Outcomes:
        counts = {kind.name: int((counted & (self.outcome == kind.name)).sum()) for kind in fields(Outcomes)}
        return Outcomes(**counts)


def _floats(table: pd.DataFrame, column: str) -> FloatArray:
    return table[column].to_numpy(dtype=np.float64, na_value=np.nan)


def _per_token(requests: pd.DataFrame, column: str, counted: BoolArray) -> float | None:
    """Mean over the tokens of counted requests of what the trace tells of each; None if it lacks one."""
    ordered = requests.sort_values("request_id")
    values, n_tokens = _floats(ordered, column)[counted], _floats(ordered, "n_emitted_tokens")[counted]
    is_known = len(values) > 0 and bool(np.isfinite(values).all())
    return float((values * n_tokens).sum()) / float(n_tokens.sum()) if is_known else None


def _end_of_run_at_s(devices: pd.DataFrame) -> float | None:
    return float(_floats(devices, "duration_s").max()) if len(devices) else None


def _ratio(count: float | None, over: float | None) -> float | None:
    return None if count is None or not over else count / over


def _read_emits(
    emits: Emits | None, table: _Requests, counted: BoolArray, warmup_s: float
) -> tuple[int | None, FloatArray | None]:
    """Count the tokens delivered after the warm-up, and collect the gaps within counted requests."""
    if emits is None:
        return None, None
    n_delivered, gaps_s = 0, []
    latest_s = np.full(table.request_id.size, np.nan)
    for request_id, at_s in emits:
        n_delivered += int((at_s >= warmup_s).sum())
        slot = np.searchsorted(table.request_id, request_id)
        if slot.size == 0:
            continue
        if slot.max() >= table.request_id.size or (table.request_id[slot] != request_id).any():
            raise TraceError(
                "spans: tokens were delivered to a request that the requests table lacks; expected every "
                "request in it: the trace is incomplete"
            )
        order = np.lexsort((at_s, slot))
        slot, at_s = slot[order], at_s[order]
        opens = np.concatenate([[True], slot[1:] != slot[:-1]])  # first of its request in this block
        before_s = np.concatenate([[np.nan], at_s[:-1]])
        before_s[opens] = latest_s[slot[opens]]
        closes = np.concatenate([opens[1:], [True]])
        latest_s[slot[closes]] = at_s[closes]
        gaps = at_s - before_s
        if (gaps < 0).any():
            raise TraceError(
                "spans: a token was delivered before an earlier one of its request; expected each one's in "
                "order of time: read the parts in order"
            )
        gaps_s.append(gaps[counted[slot] & ~np.isnan(gaps)])
    return n_delivered, np.concatenate(gaps_s) if gaps_s else np.empty(0)


def _n_good(table: _Requests, completed: BoolArray, objectives: Objectives | None) -> int | None:
    """Count the completed requests that met every objective; None if there is none to meet."""
    if objectives is None:
        return None
    limits = (
        (objectives.ttft_s, table.ttft_s),
        (objectives.tpot_s, np.where(table.n_tokens > 1, table.tpot_s, 0.0)),
        (objectives.e2e_s, table.e2e_s),
    )
    asked = [taken_s <= limit_s for limit_s, taken_s in limits if limit_s is not None]
    return int((completed & np.logical_and.reduce(asked)).sum()) if asked else None


def _energies_j(devices: pd.DataFrame) -> tuple[float, float]:
    active = ("energy_compute_j", "energy_tx_j", "energy_rx_j")
    active_j = sum(float(np.nansum(_floats(devices, column))) for column in active)
    return active_j, float(np.nansum(_floats(devices, "energy_idle_j")))


def _computing(devices: pd.DataFrame) -> pd.DataFrame:
    """Leave out what cannot compute (switches), which has no origin of compute times."""
    return devices[devices["origin"].notna()]


def _utilisation(devices: pd.DataFrame) -> dict[str, float]:
    able = _computing(devices)
    groups = able["group"].astype(str).to_numpy(dtype=np.str_)
    busy_s, duration_s = _floats(able, "busy_s"), _floats(able, "duration_s")
    shares = np.divide(busy_s, duration_s, out=np.zeros_like(busy_s), where=duration_s > 0)
    return {str(group): float(shares[groups == group].mean()) for group in np.unique(groups)}


def _origins(devices: pd.DataFrame) -> tuple[str, ...]:
    able = _computing(devices)
    found = set(able["origin"].astype(str)[_floats(able, "busy_s") > 0])
    return tuple(origin for origin in ORIGINS if origin in found)
