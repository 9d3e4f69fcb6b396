"""Tables of a sweep: the main metrics by cell and strategy, and the results of capacity searches."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from edgesim.report.listings.listing import estimated
from edgesim.report.listings.metric_names import METRICS
from edgesim.report.numbers import duration
from edgesim.statistics.intervals import Estimate
from edgesim.sweep.reader import Sweep

__all__ = ["CapacityTable", "SweepTable"]

_SHOWN = ("e2e_mean_s", "ttft_p95_s", "attainment", "active_j_per_token")
_SHORT = {"attainment": "met", "active_j_per_token": "J/token"}
"""Short headings for metrics whose titles are too long for a column."""
_MOST_ROWS = 100


@dataclass(frozen=True)
class SweepTable:
    """One row per cell and strategy: means over replications with their 95 % intervals."""

    sweep: Sweep

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        results = self.sweep.results()
        labels = list(self.sweep.axes)
        shown = [name for name in _SHOWN if results[name].notna().any()]
        table = Table(box=SIMPLE_HEAD, padding=(0, 1), collapse_padding=True, pad_edge=False, header_style="")
        for head in (*labels, "strategy"):
            table.add_column(head, overflow="fold")
        for head in ("n", *(_SHORT.get(name, METRICS[name].title) for name in shown)):
            table.add_column(head, justify="right")
        rows = estimated(results, labels, shown)
        for row in rows[:_MOST_ROWS]:
            cells = [*map(str, row.where.values()), row.strategy, str(row.n_replications)]
            cells += [_cell(name, row.estimates[name]) for name in shown]
            table.add_row(*map(Text, cells))
        yield table
        notes = ["Means over replications, [ ]: 95 % interval"]
        if len(rows) > _MOST_ROWS:
            notes.append(f"the first {_MOST_ROWS} of {len(rows)} rows")
        if self.sweep.incomplete is not None:
            notes.append(self.sweep.incomplete)
        yield Text("; ".join(notes) + ".", style="dim")


@dataclass(frozen=True)
class CapacityTable:
    """One row per search: the highest load that meets the objectives, as an interval."""

    sweep: Sweep

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        found = self.sweep.capacities()
        if found is None:
            return
        asked = self.sweep.record["capacity"]
        table = Table(box=SIMPLE_HEAD, padding=(0, 1), collapse_padding=True, pad_edge=False, header_style="")
        labels = [name for name in found.columns if name not in ("low", "high", "unit", "limited_by")]
        for head in labels:
            table.add_column(head, overflow="fold")
        table.add_column("capacity", justify="right")
        table.add_column("limited by")
        for row in found.to_dict("records"):
            limit = row["limited_by"] if isinstance(row["limited_by"], str) else "nothing in the range"
            cells = (*(row[label] for label in labels), _range(row), limit)
            table.add_row(*(Text(str(each)) for each in cells))
        yield table
        yield Text(
            f"Highest {asked['path']} with {asked['goal']}: from a value that meets it to one that does not, "
            f"by {asked['confidence']:.0%} intervals over {self.sweep.record['replications']} replications; "
            "limited by saturation where the number of requests in flight keeps growing.",
            style="dim",
        )


def _range(row: Mapping[Hashable, Any]) -> str:
    low, high, unit = float(str(row["low"])), float(str(row["high"])), row["unit"]
    if math.isnan(low) and math.isnan(high):
        return "undecided in the whole range"
    if math.isnan(low):
        return f"below {high:g} {unit}".rstrip()
    if math.isnan(high):
        return f"from {low:g} {unit}".rstrip()
    return f"{low:g} … {high:g} {unit}".rstrip()


def _cell(name: str, found: Estimate | None) -> str:
    if found is None:
        return "–"
    numbers = [_number(name, found.mean)]
    if found.low is not None and found.high is not None:
        numbers.append(f"[{_number(name, found.low)}, {_number(name, found.high)}]")
    return " ".join(numbers)


def _number(name: str, value: float) -> str:
    if name.endswith("_s"):
        return duration(float(f"{value:.3g}"))
    return f"{value:.1%}" if name == "attainment" else f"{value:.3g}"
