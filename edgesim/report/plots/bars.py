"""Bar charts of strategies' metrics, with intervals over replications."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from edgesim.errors import TraceError
from edgesim.report.listings.listing import Listed, Listing
from edgesim.report.listings.metric_names import MetricName, metric_name
from edgesim.report.numbers import AT_LEAST, number
from edgesim.report.plots.axes import metric_label
from edgesim.report.plots.style import Width, legend_below, looks, paper_style, subplots, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["DEFAULT_BARS", "bars"]

DEFAULT_BARS = ("e2e_mean_s", "active_j_per_token", "perplexity")
_THICK = 0.8  # height of a strategy's bars, as a fraction of its row
_LEAST_IN, _ROW_IN, _FRAME_IN = 1.1, 0.21, 0.55


def bars(listing: Listing, metrics: Sequence[str] = (), *, width: Width = "column") -> Figure:
    """Draw a panel per metric with a bar per strategy, grouped if there are several traces or cells.

    Whiskers are 95 % intervals over replications. A metric with only a lower bound is a hollow bar up to the
    bound, with a > and the number; an unknown metric has no bar.

    Raises
    ------
    TraceError
        If no row has any of the metrics.
    """
    names = listing.defined(metrics or DEFAULT_BARS)
    if not names:
        raise TraceError(
            f"none of {', '.join(metrics or DEFAULT_BARS)} is known of any strategy; nothing to draw"
        )
    groups = list(dict.fromkeys(_group(row) for row in listing.rows))
    strategies = listing.strategies
    known = looks(strategies if len(groups) == 1 else groups)
    n_bars = len(strategies) * (1 if len(groups) == 1 else max(1.0, 0.75 * len(groups)))
    with paper_style():
        n_columns = 1 if width == "column" else min(len(names), 3)
        n_rows = -(-len(names) // n_columns)
        height_in = n_rows * max(_LEAST_IN, _FRAME_IN + _ROW_IN * n_bars)
        figure, panels = subplots(n_rows, n_columns, width=width, height_in=height_in, sharey=True)
        for panel, name in zip(panels, names, strict=False):
            metric = metric_name(name)
            scale, label = metric_label(metric, _largest(listing, metric))
            for row in listing.rows:
                group = _group(row)
                thick = _THICK / len(groups)
                place = strategies.index(row.strategy) - _THICK / 2 + thick * (groups.index(group) + 0.5)
                look = known[row.strategy if len(groups) == 1 else group]
                _bar(panel, row, name, scale, place, thick, look.bar(), None if len(groups) == 1 else group)
            panel.set_xlabel(label)
            panel.set_xlim(left=0.0)
            panel.margins(x=0.12)
            tidy(panel, grid="x")
        for panel in panels[len(names) :]:
            panel.set_axis_off()
        panels[0].set_yticks(range(len(strategies)), list(strategies))
        panels[0].set_ylim(len(strategies) - 0.5, -0.5)
        legend_below(figure, panels, width=width)
        return figure


def _bar(
    panel: Axes,
    row: Listed,
    name: str,
    scale: float,
    place: float,
    thick: float,
    look: dict[str, object],
    label: str | None,
) -> None:
    estimate, at_least = row.estimates.get(name), row.bounds.get(name)
    if estimate is not None:
        mean = estimate.mean / scale
        panel.barh(place, mean, thick, label=label, **look)  # type: ignore[arg-type]
        if estimate.low is not None and estimate.high is not None:
            ends = [[mean - estimate.low / scale], [estimate.high / scale - mean]]
            for colour, width_pt in (("white", 2.4), ("0.2", 0.9)):  # visible on bars of any colour
                panel.errorbar(
                    mean, place, xerr=ends, fmt="none", ecolor=colour, elinewidth=width_pt, capsize=2
                )
    elif at_least:
        hollow = {"facecolor": "none", "edgecolor": look["facecolor"], "linewidth": 0.8, "linestyle": "--"}
        panel.barh(place, at_least / scale, thick, label=label, **hollow)  # type: ignore[arg-type]
        text = f" {AT_LEAST.strip()} {number(at_least / scale)}"
        panel.annotate(text, (at_least / scale, place), va="center", fontsize="small")
    elif label is not None:
        panel.barh(place, 0.0, thick, label=label, **look)  # type: ignore[arg-type]


def _group(row: Listed) -> str:
    """Label of a row's trace, or of its swept values."""
    if list(row.where) == ["trace"]:
        return str(row.where["trace"])
    return ", ".join(f"{key} {value}" for key, value in row.where.items())


def _largest(listing: Listing, metric: MetricName) -> float:
    found = [row.bounds.get(metric.name, 0.0) for row in listing.rows]
    found += [one.mean for row in listing.rows if (one := row.estimates.get(metric.name)) is not None]
    return max(found, default=1.0)
