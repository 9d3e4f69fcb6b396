"""Summary of one strategy in one replication, from its trace; see the package for definitions."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
import pandas as pd

from edgesim.statistics.devices import active_j_of, end_of_run_at_s, energies_j, origins, utilisation
from edgesim.statistics.metric import METRICS, Observed
from edgesim.statistics.objectives import ServiceObjectives, attainment, completed_in_time
from edgesim.statistics.requests import (
    BoolArray,
    Deliveries,
    Emits,
    Outcomes,
    Requests,
    deliveries,
)
from edgesim.statistics.samples import e2e_sample, tpot_sample, ttft_sample
from edgesim.statistics.saturation import Growth
from edgesim.statistics.survival import Distribution
from edgesim.statistics.window import Window, counted, steady_window

__all__ = ["LATENCIES", "MOMENTS", "Outcomes", "ServiceObjectives", "Summary", "summarise"]

LATENCIES = ("ttft", "tpot", "itl", "e2e")
MOMENTS = ("mean", "p50", "p95", "p99")


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """Metrics of one strategy in one replication; None if undefined, unknown or not recorded.

    Attributes
    ----------
    warmup_s, ended_at_s
        Start of counting, and end of observation, including the cool-down if there is one.
    window
        Window for rates (:func:`~edgesim.statistics.window.steady_window`); None without requests.
    ttft_s, tpot_s, itl_s, e2e_s
        Latencies of counted requests; infinite for failed ones, censored for those in flight at the end.
    output_tokens_per_s, requests_per_s
        Tokens delivered and requests completed within the window, over its length.
    goodput_per_s
        Requests completed within the window that met every objective, over its length.
    attainment
        Share of all counted requests that met every objective; a failed request is a miss.
    attainment_at_least, attainment_at_most
        Attainment if all undecided requests miss their objectives, and if all meet them.
    active_j_per_token
        Energy of computing, sending and receiving over all tokens delivered in the run.
    total_j_per_token
        The same with the energy of idling.
    utilisation
        Busy time of compute stations over the length of the run, averaged by group of devices.
    origins
        Sources of the compute times of the devices that computed.
    perplexity
        Exp of the mean negative log likelihood over all tokens of completed requests; None if that was not
        measured for each.
    accuracy
        Share of these tokens that were correct.
    n_stuck
        Number of censored requests in a deadlock: no further event would have occurred.
    n_beyond
        Number of completed requests with an impairment above its highest measured level.
    growth
        Growth of the number in flight over the window; None if a fixed number of users bounds it.
    is_load_fixed
        Whether the load is independent of the strategy's speed (open arrivals).
    asker_j_per_token
        Part of `active_j_per_token` drawn by the devices that issue requests.
    further
        Metrics that are not attributes, such as those of installed packages, by name.
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
    window: Window | None = None
    attainment_at_least: float | None = None
    attainment_at_most: float | None = None
    growth: Growth | None = None
    is_load_fixed: bool = True
    asker_j_per_token: float | None = None
    further: Mapping[str, float | None] = field(default_factory=dict)

    def metrics(self) -> dict[str, float | None]:
        """Return all metrics by name, in the order of :data:`edgesim.statistics.metric.METRICS`.

        These are ``ttft_mean_s``, ``ttft_p50_s``, ..., ``attainment``, ..., and those of installed packages.
        """
        return {
            name: self._own(name) if metric.of is None else self.further[name]
            for name, metric in METRICS.items()
            if metric.of is None or name in self.further
        }

    def _own(self, name: str) -> float | None:
        """Return a metric that is an attribute, or a mean or percentile of one."""
        latency, _, moment = name.removesuffix("_s").rpartition("_")
        if latency not in LATENCIES:
            return cast("float | None", getattr(self, name))
        sample: Distribution | None = getattr(self, f"{latency}_s")
        return None if sample is None else getattr(sample, moment)

    def bounds(self) -> dict[str, float]:
        """Return lower bounds of the metrics that are unknown because of requests without a known end."""
        found: dict[str, float] = {}
        for latency in LATENCIES:
            sample: Distribution | None = getattr(self, f"{latency}_s")
            for moment in MOMENTS:
                if sample is None or getattr(sample, moment) is not None:
                    continue
                at_least = sample.mean_at_least if moment == "mean" else sample.longest_s
                found[f"{latency}_{moment}_s"] = 0.0 if at_least is None else at_least
        if self.attainment is None and self.attainment_at_least is not None:
            found["attainment"] = self.attainment_at_least
        return found


def summarise(
    requests: pd.DataFrame,
    devices: pd.DataFrame,
    emits: Emits | None,
    *,
    strategy: str,
    replication: int,
    warmup_s: float = 0.0,
    horizon_s: float | None = None,
    objectives: ServiceObjectives | None = None,
    n_users: int | None = None,
) -> Summary:
    """Summarise one strategy in one replication from its trace.

    Parameters
    ----------
    requests, devices
        The trace's tables of these names.
    emits
        Deliveries of tokens as blocks ``(request_id, ended_at_s)``, in order of time for each request. Read
        once, with 8 bytes of memory per token. None if the trace has no spans: ITL and tokens/s are then
        unknown.
    warmup_s, horizon_s
        Requests that arrive at `warmup_s` or later and before `horizon_s` (None: the end) count. They are
        observed beyond the horizon.
    objectives
        Service objectives; without them, goodput and attainment are undefined.
    n_users
        The fixed number of users of a closed loop; None for open arrivals.
    """
    ended_at_s = end_of_run_at_s(devices)
    table = Requests.of(requests, ended_at_s)
    chosen = counted(table.arrived_at_s, warmup_s, horizon_s)
    completed = chosen & table.completed
    window = steady_window(
        table.request_id,
        table.arrived_at_s,
        table.ended_at_s,
        warmup_s=warmup_s,
        horizon_s=horizon_s,
        n_users=n_users,
    )
    length_s = None if window is None else window.length_s
    within = (0.0, 0.0) if window is None else (window.from_s, window.until_s)
    delivered = deliveries(emits, table.request_id, chosen, within)
    met = attainment(table, chosen, objectives)
    outcomes = table.outcomes(chosen)
    active_j, idle_j = energies_j(devices)
    n_tokens = int(table.n_tokens.sum())
    nll = table.per_token(table.nll, completed)
    n_ended = 0 if window is None else window.n_within(table.ended_at_s[table.completed])
    good = completed_in_time(table, objectives)
    n_good = None if good is None or window is None else window.n_within(table.ended_at_s[good])
    growth = None if window is None else Growth.of(table.arrived_at_s, table.ended_at_s, window)
    return Summary(
        strategy=strategy,
        replication=replication,
        warmup_s=warmup_s,
        ended_at_s=ended_at_s,
        outcomes=outcomes,
        ttft_s=Distribution.of(*ttft_sample(table, chosen)),
        tpot_s=Distribution.of(*tpot_sample(table, chosen)),
        itl_s=None if delivered is None else _itl(table, chosen, delivered, ended_at_s),
        e2e_s=Distribution.of(*e2e_sample(table, chosen)),
        output_tokens_per_s=_ratio(None if delivered is None else delivered.n_within, length_s),
        requests_per_s=_ratio(n_ended, length_s),
        goodput_per_s=_ratio(n_good, length_s),
        attainment=None if met is None else met.share,
        attainment_at_least=None if met is None else met.at_least,
        attainment_at_most=None if met is None else met.at_most,
        active_j_per_token=_ratio(active_j, n_tokens),
        asker_j_per_token=_ratio(_asker_j(requests, devices), n_tokens),
        total_j_per_token=_ratio(active_j + idle_j, n_tokens),
        utilisation=utilisation(devices),
        origins=origins(devices),
        n_stuck=int((chosen & table.stuck).sum()),
        n_beyond=int((completed & table.beyond).sum()),
        perplexity=None if nll is None else math.exp(nll),
        accuracy=table.per_token(table.correct, completed),
        window=window,
        growth=growth if n_users is None and window is not None and not window.is_batch else None,
        is_load_fixed=n_users is None,
        further=_further(
            requests,
            strategy=strategy,
            replication=replication,
            devices=devices,
            counts=chosen,
            warmup_s=warmup_s,
            horizon_s=horizon_s,
            ended_at_s=ended_at_s,
            window=window,
        ),
    )


def _further(requests: pd.DataFrame, **seen: Any) -> dict[str, float | None]:
    """Compute the metrics that have a function of their own."""
    asked = [metric for metric in METRICS.values() if metric.of is not None]
    if not asked:
        return {}
    run = Observed(requests=requests.sort_values("request_id"), **seen)
    return {metric.name: metric.value(run) for metric in asked}


def _itl(
    table: Requests, chosen: BoolArray, delivered: Deliveries, ended_at_s: float | None
) -> Distribution | None:
    """Summarise the gaps between tokens; after a request's last token, the next gap is censored or infinite.

    It is censored if the request is censored, and infinite if the request failed.
    """
    opened = chosen & ~np.isnan(delivered.latest_at_s)
    open_s = np.full(table.age_s.size, np.nan) if ended_at_s is None else ended_at_s - delivered.latest_at_s
    return Distribution.of(
        delivered.gaps_s, open_s[opened & table.censored], int((opened & table.failed).sum())
    )


def _asker_j(requests: pd.DataFrame, devices: pd.DataFrame) -> float | None:
    return active_j_of(devices, requests["source"]) if "source" in requests else None


def _ratio(count: float | None, over: float | None) -> float | None:
    return None if count is None or not over else count / over
