"""Table of all metrics of all strategies, including those that the comparison table leaves out."""

from __future__ import annotations

from dataclasses import dataclass

from rich.box import SIMPLE_HEAD
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from edgesim.report.listings.metric_names import COUNTS, METRICS
from edgesim.report.numbers import BY_ARRIVALS, SET_BY_ARRIVALS, UNDEFINED, estimate_text, time_unit
from edgesim.statistics.comparison import Comparison, Row
from edgesim.statistics.summary import LATENCIES, MOMENTS

__all__ = ["MetricsTable"]


@dataclass(frozen=True, slots=True)
class MetricsTable:
    """A rich renderable: one row per metric, one column per strategy; means with intervals."""

    comparison: Comparison

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Render the metrics that are defined for at least one strategy."""
        rows = self.comparison.rows
        table = Table(box=SIMPLE_HEAD, padding=(0, 1), pad_edge=False)
        table.add_column("mean over replications")
        for row in rows:
            table.add_column(row.strategy, justify="right")
        for latency in LATENCIES:
            names = [f"{latency}_{moment}_s" for moment in MOMENTS]
            scale, unit = time_unit(rows, *names)
            for name, moment in zip(names, MOMENTS, strict=True):
                cells = [estimate_text(row, name, scale) for row in rows]
                if any(cell.plain != UNDEFINED for cell in cells):
                    table.add_row(f"{latency.upper()} {moment}, {unit}", *cells)
        latencies = {f"{latency}_{moment}_s" for latency in LATENCIES for moment in MOMENTS}
        for name, metric in METRICS.items():
            if name in latencies or name in COUNTS or not any(name in row.estimates for row in rows):
                continue
            scale, unit = time_unit(rows, name) if metric.is_time else (1.0, "")
            cells = [estimate_text(row, name, scale) if unit else _rate(row, name) for row in rows]
            if any(cell.plain != UNDEFINED for cell in cells):
                table.add_row(f"{metric.title}, {unit}" if unit else metric.title, *cells)
        for group in sorted({group for row in rows for group in row.utilisation}):
            cells = [estimate_text(row, group, estimate=row.utilisation.get(group)) for row in rows]
            table.add_row(f"utilisation of {group}", *cells)
        yield table
        if any(row.is_rate_set_by_arrivals for row in rows):
            yield Text(f"{BY_ARRIVALS} set by the arrivals: all requests are answered.", style="dim")


def _rate(row: Row, name: str) -> Text:
    text = estimate_text(row, name)
    is_set = row.is_rate_set_by_arrivals and name in SET_BY_ARRIVALS and text.plain != UNDEFINED
    return Text(f"{text.plain} {BY_ARRIVALS}") if is_set else text
