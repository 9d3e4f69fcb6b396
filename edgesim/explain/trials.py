"""Runs that are made to compare: one number of a strategy in one replication, nothing written."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import pyarrow as pa

from edgesim.engine.simulation import simulate
from edgesim.errors import InputError
from edgesim.explain.original import Original
from edgesim.runner import Prepared
from edgesim.statistics.window import counted

__all__ = ["Delays", "Trials", "paired_delays_s"]


@dataclass(frozen=True, slots=True)
class Delays:
    """What one run says of the requests that count.

    Attributes
    ----------
    n, n_unanswered
        How many there are, and of how many there is no last token: they failed, or were cut off.
    answered_s
        Time from arrival to the last token of all others, together.
    unanswered_from_s
        When the unanswered arrived, together.
    ends_at_s
        With a horizon, the instant at which any run ends at the latest; without, the end of this one.
    """

    n: int
    n_unanswered: int
    answered_s: float
    unanswered_from_s: float
    ends_at_s: float

    @classmethod
    def of(cls, requests: pd.DataFrame, warmup_s: float, horizon_s: float | None, ends_at_s: float) -> Delays:
        """Read them from a run's table of requests."""
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
        """Mean time from arrival to the last token.

        What is unanswered counts with the time to an instant, which has to be the same in runs that are
        compared: what fails sooner, or ends a run sooner, is no faster.
        """
        unanswered_s = self.n_unanswered * until_s - self.unanswered_from_s
        return (self.answered_s + unanswered_s) / self.n if self.n else 0.0


@dataclass
class Trials:
    """A strategy of a trace's scenario under one set of changes, run as often as is asked.

    The same replication meets the same requests and channels whatever the changes are: differences are taken
    within replications (common random numbers).

    Parameters
    ----------
    original
        The scenario.
    label
        The strategy's.
    sets
        The changes.
    n_replications
        How many there may be: replications are numbered from 0 to one less.

    Attributes
    ----------
    runs
        What came out, by replication.
    refused
        Why it cannot run; None if it can.
    """

    original: Original
    label: str
    sets: tuple[str, ...]
    n_replications: int
    runs: dict[int, Delays] = field(default_factory=dict)
    refused: str | None = None
    _prepared: Prepared | None = None

    def run(self, replication: int) -> Delays | None:
        """What came out of a replication, run if it has not been; None if it cannot run."""
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
        """Let go of its world; it is made anew where it runs again."""
        self._prepared = None


def paired_delays_s(
    one: Trials, other: Trials, replications: Iterable[int]
) -> tuple[list[float], list[float]]:
    """Mean delays of two trials in the same replications, the unanswered of both up to the same instant."""
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
