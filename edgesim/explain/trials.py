"""Runs that are made to compare: one number of a strategy in one replication, nothing written."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import pyarrow as pa

from edgesim.engine.simulation import simulate
from edgesim.errors import InputError
from edgesim.explain.original import Original
from edgesim.runner import Prepared
from edgesim.statistics.window import counted

__all__ = ["Trials", "mean_delay_s"]


def mean_delay_s(
    requests: pd.DataFrame, ended_at_s: float, warmup_s: float, horizon_s: float | None
) -> float:
    """Mean time from arrival to the last token of all requests that count.

    One that failed or was cut off has no last token, and counts with the time to the end of the run, which
    is the least that it would have waited: what fails sooner is no faster.
    """
    arrived_at_s = requests["arrived_at_s"].to_numpy(np.float64)
    is_counted = counted(arrived_at_s, warmup_s, horizon_s)
    completed = (requests["outcome"] == "completed").to_numpy(np.bool_)
    end_s = np.where(completed, requests["ended_at_s"].to_numpy(np.float64, na_value=np.nan), ended_at_s)
    delays_s = (end_s - arrived_at_s)[is_counted]
    return float(delays_s.mean()) if len(delays_s) else 0.0


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
    delays_s
        What came out, by replication.
    refused
        Why it cannot run; None if it can.
    """

    original: Original
    label: str
    sets: tuple[str, ...]
    n_replications: int
    delays_s: dict[int, float] = field(default_factory=dict)
    refused: str | None = None
    _prepared: Prepared | None = None

    def run(self, replication: int) -> float | None:
        """Mean delay in a replication, run if it has not been; None if it cannot run."""
        if replication in self.delays_s:
            return self.delays_s[replication]
        if self.refused is not None:
            return None
        try:
            if self._prepared is None:
                count = f"replications={self.n_replications}"
                self._prepared = self.original.prepared(self.label, (count, *self.sets))
        except InputError as error:
            self.refused = str(error).splitlines()[0]
            return None
        self.delays_s[replication] = _run(self._prepared, self.label, replication)
        return self.delays_s[replication]

    def forget(self) -> None:
        """Let go of its world; it is made anew where it runs again."""
        self._prepared = None


def _run(prepared: Prepared, label: str, replication: int) -> float:
    tables: dict[str, list[pa.Table]] = {}

    def keep(name: str, table: pa.Table) -> None:
        tables.setdefault(name, []).append(table)

    placement = prepared.placements[label]
    world = prepared.world(replication)
    simulate(world, prepared.strategies[label], placement, placement.holdings, keep, keep_spans=False)
    requests, devices = (pa.concat_tables(tables[name]).to_pandas() for name in ("requests", "devices"))
    scenario = prepared.scenario
    ended_at_s = float(devices["duration_s"].max())
    return mean_delay_s(requests, ended_at_s, scenario.warmup_s, scenario.horizon_s)
