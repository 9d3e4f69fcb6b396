"""Metrics of traces or of a sweep's cells side by side, the basis of tables and figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd

from edgesim.errors import TraceError
from edgesim.report.comparison import comparison
from edgesim.report.listings.estimates import cell_estimate
from edgesim.report.listings.metric_names import COUNTS, METRICS
from edgesim.report.listings.open_folders import SweepLike
from edgesim.statistics.comparison import Row
from edgesim.statistics.intervals import Estimate
from edgesim.trace.reader import Trace

__all__ = ["Listed", "Listing", "estimated", "of_sweep", "of_traces", "together"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """Results of one strategy in one trace, or in one cell of a sweep, over all its replications.

    Attributes
    ----------
    where
        The trace's label, or the cell's values, by the names of the listing's keys.
    estimates
        By metric; None if it is undefined, or unknown in any replication.
    bounds
        Lower bounds of unknown metrics, where there are any.
    counts
        Requests offered, completed, failed and censored, over all replications.
    is_saturated
        Whether demand exceeds capacity; None if unknown.
    """

    where: Mapping[str, object]
    strategy: str
    n_replications: int
    estimates: Mapping[str, Estimate | None]
    counts: Mapping[str, int]
    bounds: Mapping[str, float] = field(default_factory=dict)
    is_saturated: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """Rows of results, and remarks about them.

    Attributes
    ----------
    keys
        Names of the values that distinguish the rows of a strategy: ``trace``, or the axes of a sweep.
    remarks
        Remarks about incomplete traces and failed cells.
    """

    keys: tuple[str, ...]
    rows: tuple[Listed, ...]
    remarks: tuple[str, ...] = ()

    @property
    def strategies(self) -> tuple[str, ...]:
        """Labels of the strategies, in order of appearance."""
        return tuple(dict.fromkeys(row.strategy for row in self.rows))

    def defined(self, names: Sequence[str] = tuple(METRICS)) -> tuple[str, ...]:
        """Return those of some metrics that have an estimate or a bound in at least one row."""
        return tuple(
            name
            for name in names
            if name not in COUNTS
            and any(row.estimates.get(name) is not None or row.bounds.get(name) for row in self.rows)
        )

    def only(self, strategies: Sequence[str]) -> Listing:
        """Return the listing restricted to some strategies; all if none is named."""
        kept = tuple(row for row in self.rows if not strategies or row.strategy in strategies)
        return Listing(keys=self.keys, rows=kept, remarks=self.remarks)


def of_traces(traces: Mapping[str, Trace]) -> Listing:
    """List the strategies of traces, which are given by label.

    Raises
    ------
    TraceError
        If a trace has no complete replication.
    """
    rows = [_of_row(label, row) for label, trace in traces.items() for row in comparison(trace).rows]
    remarks = [f"{label}: {trace.incomplete}" for label, trace in traces.items() if trace.incomplete]
    return Listing(keys=("trace",), rows=tuple(rows), remarks=tuple(remarks))


def _of_row(label: str, row: Row) -> Listed:
    outcomes = row.outcomes
    return Listed(
        where={"trace": label},
        strategy=row.strategy,
        n_replications=len(row.replications),
        estimates=row.estimates,
        counts={name: getattr(outcomes, name) for name in COUNTS},
        bounds=row.bounds,
        is_saturated=row.is_saturated,
    )


def of_sweep(sweep: SweepLike) -> Listing:
    """List the strategies of a sweep, cell by cell.

    Raises
    ------
    TraceError
        If no cell has a result.
    """
    results, axes = sweep.results(), list(sweep.axes)
    if results.empty:
        raise TraceError(
            f"{sweep.path}: {sweep.incomplete or 'no cell has a result'}, so there is nothing to show; "
            "continue the sweep, or examine its failures"
        )
    remarks = [f"{sweep.name}: {sweep.incomplete}"] if sweep.incomplete else []
    failed = sweep.failures()
    if len(failed):
        first = failed.iloc[0]
        values = ", ".join(f"{axis} = {first[axis]}" for axis in axes)
        remarks.append(f"{len(failed)} failed; the first ({values}): {first['reason']}")
    return Listing(keys=tuple(axes), rows=tuple(estimated(results, axes)), remarks=tuple(remarks))


def estimated(
    results: pd.DataFrame, keys: Sequence[str], metrics: Sequence[str] = tuple(METRICS)
) -> list[Listed]:
    """Estimate metrics over replications, for each strategy in each combination of keys.

    Parameters
    ----------
    results
        One row per combination of keys, strategy and replication, with one column per metric; NaN if a metric
        is unknown or undefined. Its estimate is then None: leaving out such replications, which are the
        worst ones, would bias it.
    keys
        Columns that distinguish the rows of a strategy.
    metrics
        Metrics to estimate; default: all.
    """
    rows = []
    by = [*keys, "strategy"]
    names = [name for name in metrics if name in results and name not in COUNTS]
    for values, own in results.groupby(by, sort=False, observed=True, dropna=False):
        *where, strategy = values if isinstance(values, tuple) else (values,)
        rows.append(
            Listed(
                where=dict(zip(keys, where, strict=True)),
                strategy=str(strategy),
                n_replications=len(own),
                estimates={name: cell_estimate(own, name) for name in names},
                counts={name: int(own[name].sum()) for name in COUNTS if name in own},
            )
        )
    return rows


def together(found: Mapping[str, Trace | SweepLike]) -> Listing:
    """List several traces, or one sweep.

    Raises
    ------
    TraceError
        If a sweep is combined with other folders: its cells and traces have no common keys.
    """
    traces = {label: one for label, one in found.items() if isinstance(one, Trace)}
    if len(traces) == len(found):
        return of_traces(traces)
    if len(found) > 1:
        name = next(label for label in found if label not in traces)
        raise TraceError(f"{name}: a sweep among several folders; expected traces, or one sweep alone")
    (sweep,) = found.values()
    assert not isinstance(sweep, Trace)
    return of_sweep(sweep)
