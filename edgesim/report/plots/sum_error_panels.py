"""Error of over-the-air sums against the parameters it depends on, one panel per parameter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import pandas as pd

from edgesim.errors import TraceError
from edgesim.report.plots.axes import plain_log, swept
from edgesim.report.plots.style import Width, legend_below, looks, paper_style, subplots, tidy
from edgesim.statistics.sum_errors import sum_errors
from edgesim.trace.reader import Trace

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["draw_error_panels", "error_rows"]


def error_rows(traces: Sequence[tuple[float, Trace]]) -> pd.DataFrame:
    """Tabulate x, the median error over requests, and why there is no mean, by trace and strategy.

    Raises
    ------
    TraceError
        If no strategy sums over the air.
    """
    found = [
        (each.strategy, x, each.estimate.median, each.why)
        for x, trace in traces
        for each in sum_errors(trace)
    ]
    if not found:
        raise TraceError(
            f"{', '.join(str(trace.path) for _, trace in traces)}: no strategy sums over the air; nothing "
            "to draw"
        )
    table = pd.DataFrame(found, columns=["strategy", "x", "error", "why_no_mean"])
    return table.sort_values(["strategy", "x"])


def draw_error_panels(panels: Mapping[str, pd.DataFrame], *, width: Width = "page") -> Figure:
    """Draw :func:`error_rows` tables, given by the label of their horizontal axis, one panel each."""
    known = looks(list(dict.fromkeys(name for table in panels.values() for name in table["strategy"])))
    with paper_style():
        n_columns = 1 if width == "column" else min(3, len(panels))
        figure, axes = subplots(-(-len(panels) // n_columns), n_columns, width=width)
        for panel, (label, table) in zip(axes, panels.items(), strict=False):
            along = swept(sorted(table["x"].unique().tolist()))
            for strategy, own in table.groupby("strategy", sort=False):
                panel.plot(own["x"], own["error"], **known[str(strategy)].line(label=str(strategy)))
            along.on(panel, label)
            plain_log(panel, "y")
            tidy(panel)
        for panel in axes[len(panels) :]:
            panel.set_axis_off()
        axes[0].set_ylabel("median error of a sum")
        legend_below(figure, axes[: len(panels)], width=width)
        return figure
