"""What a run came to, at a Python prompt or in a notebook."""

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
from edgesim.statistics.comparison import Comparison
from edgesim.trace.reader import Trace

__all__ = ["Result"]

_WIDTH = 110  # columns of the comparison as text


@dataclass(frozen=True, eq=False, repr=False)
class Result:
    """A trace, its tables as DataFrames, and its comparison; shown, it is the comparison.

    Parameters
    ----------
    trace
        What was written; :attr:`path` is its folder.
    """

    trace: Trace

    @property
    def path(self) -> Path:
        """The trace's folder."""
        return self.trace.path

    @property
    def strategies(self) -> tuple[str, ...]:
        """Labels of the strategies, in the scenario's order."""
        return self.trace.strategies

    @cached_property
    def requests(self) -> pd.DataFrame:
        """All requests of all strategies and replications, a row each."""
        return self._table(self.trace.requests)

    @cached_property
    def spans(self) -> pd.DataFrame:
        """All that devices and links did, a row each; of long runs take a part at a time, from the trace."""
        return self._table(self.trace.spans)

    @cached_property
    def devices(self) -> pd.DataFrame:
        """What each device did and drew in each run."""
        return self._table(self.trace.devices)

    def summary(self) -> pd.DataFrame:
        """Every metric of every strategy in every replication, one run a row.

        Columns: requests offered, completed, failed and censored, then the metrics by their names
        (``e2e_mean_s``, ``ttft_p95_s``, ``active_j_per_token``, ...); NaN where one is unknown or undefined.
        """
        return run_rows(self.trace)

    def compare(self) -> pd.DataFrame:
        """Every strategy's metrics over replications, and their ratios to the first strategy's.

        Rows: strategy and metric. Columns: ``mean`` with its 95 % interval ``low`` to ``high``, ``at_least``
        where requests without a known end leave a metric unknown, ``ratio`` to the first strategy's (paired
        by replication) with ``ratio_low`` to ``ratio_high``, and whether the two differ.
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
                        "differs": None if difference is None else difference.is_there,
                    }
                )
        table = pd.DataFrame(rows).set_index(["strategy", "metric"])
        numbers = [name for name in table.columns if name not in ("n", "differs")]
        return table.astype(dict.fromkeys(numbers, float) | {"differs": "boolean"})

    def check(self) -> list[str]:
        """Check every law that a trace must obey; the violations as sentences, none if it is sound."""
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
        """One table of all runs, with columns that say which."""
        tables = []
        for strategy in self.trace.strategies:
            for replication in self.trace.replications(strategy):
                table = read(strategy, replication)
                table.insert(0, "strategy", strategy)
                table.insert(1, "replication", replication)
                tables.append(table)
        whole = pd.concat(tables, ignore_index=True)
        return whole.astype({"strategy": pd.CategoricalDtype(list(self.trace.strategies))})
