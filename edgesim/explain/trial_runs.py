"""Runs for comparison: the delays of a strategy in one replication; no trace is written."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import pyarrow as pa

from edgesim.engine.simulation import simulate
from edgesim.errors import InputError
from edgesim.explain.trace_scenario import Original
from edgesim.runner import Prepared
from edgesim.statistics.window import counted

__all__ = ["Delays", "Trials", "paired_delays_s"]


@dataclass(frozen=True, slots=True)
class Delays:
    """Sums over the counted requests of one run.

    Attributes
    ----------
    n, n_unanswered
        Number of requests, and of those without a last token because they failed or were cut off.
    answered_s
        Sum of the times from arrival to the last token, over the answered requests.
    unanswered_from_s
        Sum of the arrival instants of the unanswered requests.
    ends_at_s
        With a horizon, the latest instant at which any run can end; without, the end of this run.
    """

    n: int
    n_unanswered: int
    answered_s: float
    unanswered_from_s: float
    ends_at_s: float

    @classmethod
    def of(cls, requests: pd.DataFrame, warmup_s: float, horizon_s: float | None, ends_at_s: float) -> Delays:
        """Compute the sums from a run's table of requests."""
        arrived_at_s = requests["arrived_at_s"].to_numpy(np.float64)
        is_counted = counted(arrived_at_s, warmup_s, horizon_s)
        completed = (requests["outcome"] == "completed").to_numpy(np.bool_)
        ended_at_s = requests["ended_at_s"].to_numpy(np.float64, na_value=np.nan)
        answered, unanswered = is_counted & completed, is_counted & ~completed
        return cls(
            n=int(is_counted.sum()),
            n_unanswered=int(unanswered.sum()),
            answered_s=float((ended_at_s - arrived_at_s)[answered].sum()),
            unanswered_from_s=float(arrived_at_s[unanswered].sum()),
            ends_at_s=ends_at_s,
        )

    def mean_s(self, until_s: float) -> float:
        """Mean time from arrival to the last token; unanswered requests count with the time to `until_s`.

        Use the same instant for runs that are compared: otherwise requests that fail sooner, or a run that
        ends sooner, would seem faster.
        """
        unanswered_s = self.n_unanswered * until_s - self.unanswered_from_s
        return (self.answered_s + unanswered_s) / self.n if self.n else 0.0


@dataclass
class Trials:
    """A strategy of a trace's scenario with one set of changes, run on request, replication by replication.

    A replication has the same requests and channels under any changes, so differences are taken within
    replications (common random numbers).

    Parameters
    ----------
    original
        The scenario.
    label
        Label of the strategy.
    sets
        The changes.
    n_replications
        Maximum number of replications, which are numbered from 0.

    Attributes
    ----------
    runs
        Delays, by replication.
    refused
        Why the scenario with these changes cannot run; None if it can.
    """

    original: Original
    label: str
    sets: tuple[str, ...]
    n_replications: int
    runs: dict[int, Delays] = field(default_factory=dict)
    refused: str | None = None
    _prepared: Prepared | None = None

    def run(self, replication: int) -> Delays | None:
        """Return the delays of a replication, running it the first time; None if it cannot run."""
        if replication in self.runs:
            return self.runs[replication]
        if self.refused is not None:
            return None
        try:
            if self._prepared is None:
                count = f"replications={self.n_replications}"
                self._prepared = self.original.prepared(self.label, (count, *self.sets))
        except InputError as error:
            self.refused = str(error).splitlines()[0]
            return None
        self.runs[replication] = _run(self._prepared, self.label, replication)
        return self.runs[replication]

    def forget(self) -> None:
        """Free the prepared study; the next run prepares it again."""
        self._prepared = None


def paired_delays_s(
    one: Trials, other: Trials, replications: Iterable[int]
) -> tuple[list[float], list[float]]:
    """Return the mean delays of two trials in the same replications.

    In each replication, the unanswered requests of both count up to the same instant.
    """
    found: tuple[list[float], list[float]] = ([], [])
    for replication in replications:
        both = one.runs[replication], other.runs[replication]
        until_s = max(each.ends_at_s for each in both)
        for delays_s, each in zip(found, both, strict=True):
            delays_s.append(each.mean_s(until_s))
    return found


def _run(prepared: Prepared, label: str, replication: int) -> Delays:
    tables: dict[str, list[pa.Table]] = {}

    def keep(name: str, table: pa.Table) -> None:
        tables.setdefault(name, []).append(table)

    placement = prepared.placements[label]
    world = prepared.world(replication)
    simulate(world, prepared.strategies[label], placement, placement.holdings, keep, keep_spans=False)
    requests, devices = (pa.concat_tables(tables[name]).to_pandas() for name in ("requests", "devices"))
    scenario = prepared.scenario
    ends_at_s = scenario.limit_s
    if ends_at_s is None:
        ends_at_s = float(devices["duration_s"].max())
    return Delays.of(requests, scenario.warmup_s, scenario.horizon_s, ends_at_s)
