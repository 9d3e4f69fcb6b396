"""Result of a run, for use at a Python prompt or in a notebook."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import cast

import pandas as pd
from rich.console import Console

from edgesim.report.comparison import about, comparison
from edgesim.report.listings.run_rows import run_rows
from edgesim.report.table import ComparisonTable
from edgesim.report.uncertainty.spread import Spread
from edgesim.statistics.comparison import Comparison
from edgesim.trace.reader import Trace

__all__ = ["Result"]

_WIDTH = 110  # columns of the comparison as text


@dataclass(frozen=True, eq=False, repr=False)
class Result:
    """Result of a run: the trace, its tables as DataFrames, and the comparison of strategies.

    Its text and HTML representations show the comparison.

    Parameters
    ----------
    trace
        The trace that the run wrote; :attr:`path` is its folder.
    spreads
        Spread of metrics over sets of fitted parameters, if further runs were requested
        (``edgesim.run(..., parameters=19)``).
    """

    trace: Trace
    spreads: tuple[Spread, ...] = ()

    @property
    def path(self) -> Path:
        """Folder of the trace."""
        return self.trace.path

    @property
    def strategies(self) -> tuple[str, ...]:
        """Labels of the strategies, in the scenario's order."""
        return self.trace.strategies

    @cached_property
    def requests(self) -> pd.DataFrame:
        """All requests of all strategies and replications, one per row."""
        return self._table(self.trace.requests)

    @cached_property
    def spans(self) -> pd.DataFrame:
        """All spans of devices and links, one per row; for long runs, use ``trace.span_parts`` instead."""
        return self._table(self.trace.spans)

    @cached_property
    def devices(self) -> pd.DataFrame:
        """Busy time, energy and memory of each device in each strategy and replication, one per row."""
        return self._table(self.trace.devices)

    def summary(self) -> pd.DataFrame:
        """Return all metrics, with one row per strategy and replication.

        The columns are the numbers of requests offered, completed, failed and censored, and the metrics by
        name (``e2e_mean_s``, ``ttft_p95_s``, ``active_j_per_token``, ...); NaN if unknown or undefined.
        """
        return run_rows(self.trace)

    def compare(self) -> pd.DataFrame:
        """Return all metrics over replications, and their ratios to those of the first strategy.

        Rows are indexed by strategy and metric. The columns are ``n``, the number of replications; ``mean``
        with its 95 % interval ``low`` to ``high``; ``at_least``, a lower bound if requests without a known
        end leave the metric unknown; ``ratio`` to the first strategy (paired by replication) with its
        interval ``ratio_low`` to ``ratio_high``; and ``differs``, whether the two strategies differ.
        """
        rows = []
        for row in self._compared.rows:
            for name, estimate in row.estimates.items():
                difference = row.differences.get(name)
                ratio = None if difference is None else difference.ratio
                rows.append(
                    {
                        "strategy": row.strategy,
                        "metric": name,
                        "n": len(row.replications) if estimate is None else estimate.n,
                        "mean": None if estimate is None else estimate.mean,
                        "low": None if estimate is None else estimate.low,
                        "high": None if estimate is None else estimate.high,
                        "at_least": row.bounds.get(name),
                        "ratio": None if ratio is None else ratio.ratio,
                        "ratio_low": None if ratio is None else ratio.low,
                        "ratio_high": None if ratio is None else ratio.high,
                        "differs": None if difference is None else difference.differs,
                    }
                )
        table = pd.DataFrame(rows).set_index(["strategy", "metric"])
        numbers = [name for name in table.columns if name not in ("n", "differs")]
        return table.astype(dict.fromkeys(numbers, float) | {"differs": "boolean"})

    def uncertainty(self) -> pd.DataFrame:
        """Return what fitted parameters leave open, beside the sampling error.

        Rows are indexed by strategy and metric. The columns are ``mean``, with the central parameters; its
        95 % interval over replications, ``sampling_low`` to ``sampling_high`` (NaN with one replication); and
        the central 90 % over the sets of parameters, ``parameters_low`` to ``parameters_high``. Empty unless
        further runs were requested.
        """
        columns = ["mean", "sampling_low", "sampling_high", "parameters_low", "parameters_high"]
        keys = pd.MultiIndex.from_tuples(
            [(one.strategy, one.metric) for one in self.spreads], names=["strategy", "metric"]
        )
        rows = [(one.centre, *(one.sampling or (float("nan"),) * 2), *one.parameters) for one in self.spreads]
        return pd.DataFrame(rows, index=keys, columns=columns, dtype=float)

    def check(self) -> list[str]:
        """Check the trace against every law, and return the violations as sentences (empty if valid)."""
        return self.trace.check()

    def __repr__(self) -> str:
        page = Console(file=io.StringIO(), width=_WIDTH, highlight=False, color_system=None)
        page.print(ComparisonTable(self._compared, about(self.trace)))
        return f"{cast('io.StringIO', page.file).getvalue()}trace: {self.path}"

    def _repr_html_(self) -> str:
        page = Console(file=io.StringIO(), width=_WIDTH, highlight=False, record=True, force_jupyter=False)
        page.print(ComparisonTable(self._compared, about(self.trace)))
        return page.export_html(inline_styles=True, code_format="<pre style='line-height: 1.2'>{code}</pre>")

    @cached_property
    def _compared(self) -> Comparison:
        return comparison(self.trace)

    def _table(self, read: Callable[[str, int], pd.DataFrame]) -> pd.DataFrame:
        """Return one table of all strategies and replications, with columns of both."""
        tables = []
        for strategy in self.trace.strategies:
            for replication in self.trace.replications(strategy):
                table = read(strategy, replication)
                table.insert(0, "strategy", strategy)
                table.insert(1, "replication", replication)
                tables.append(table)
        whole = pd.concat(tables, ignore_index=True)
        return whole.astype({"strategy": pd.CategoricalDtype(list(self.trace.strategies))})
