"""Pareto fronts of strategies: one metric against another, such as delay against quality and energy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from edgesim.errors import InputError, TraceError
from edgesim.report.listings.listing import Listed, Listing
from edgesim.report.listings.metric_names import MetricName, metric_name
from edgesim.report.plots.axes import metric_label, plain_log
from edgesim.report.plots.style import Look, Width, legend_below, looks, paper_style, subplots, tidy
from edgesim.statistics.intervals import Estimate

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["best", "front", "panels_of"]

_DELAY = "e2e_mean_s"
_AGAINST = ("accuracy", "perplexity", "active_j_per_token", "goodput_per_s")
_N_PANELS = 2
_LOG_FROM = 20.0


def front(listing: Listing, metrics: Sequence[str] = (), *, width: Width = "column") -> Figure:
    """Draw every strategy as a point, with 95 % intervals of both metrics; a strategy's cells as a line.

    A grey line joins the points that no other point dominates (the Pareto front of the means). Points with an
    unknown metric are not drawn.

    Parameters
    ----------
    metrics
        The first is the horizontal axis of all panels, each other has a panel; default: the mean time to the
        last token against answer quality and energy.

    Raises
    ------
    InputError
        If only one metric is given.
    TraceError
        If no row has two of the metrics.
    """
    x_name, drawn = panels_of(listing, metrics)
    known = looks(listing.strategies)
    with paper_style():
        n_columns = 1 if width == "column" else min(len(drawn), 3)
        n_rows = -(-len(drawn) // n_columns)
        figure, panels = subplots(n_rows, n_columns, width=width)
        x_metric = metric_name(x_name)
        for panel, name in zip(panels, drawn, strict=False):
            y_metric = metric_name(name)
            points = [(row, pair) for row in listing.rows if (pair := _both(row, x_name, name)) is not None]
            x_scale, x_label = metric_label(x_metric, max(x.mean for _, (x, _) in points))
            y_scale, y_label = metric_label(y_metric, max(y.mean for _, (_, y) in points))
            for strategy in listing.strategies:
                own = [pair for row, pair in points if row.strategy == strategy]
                _points(panel, own, x_scale, y_scale, strategy, known[strategy])
            _join_best(panel, [pair for _, pair in points], x_metric, y_metric, x_scale, y_scale)
            xs, ys = ([pair[axis].mean for _, pair in points] for axis in (0, 1))
            for axis, values in (("x", xs), ("y", ys)):
                if min(values) > 0 and max(values) / min(values) > _LOG_FROM:
                    plain_log(panel, axis)  # type: ignore[arg-type]
            panel.set(xlabel=x_label, ylabel=y_label)
            tidy(panel)
        for panel in panels[len(drawn) :]:
            panel.set_axis_off()
        legend_below(figure, panels, width=width)
        return figure


def panels_of(listing: Listing, metrics: Sequence[str] = ()) -> tuple[str, list[str]]:
    """Return the horizontal metric and the metric of each panel of :func:`front`; raise as it does."""
    if len(metrics) == 1:
        raise InputError(f"--metric: a front shows two metrics or more, got only {metrics[0]}")
    x_name = metrics[0] if metrics else _DELAY
    against = listing.defined(metrics[1:] or _AGAINST)
    if not metrics:
        against = (
            against[:_N_PANELS]
            if "accuracy" not in against
            else tuple(name for name in against if name != "perplexity")[:_N_PANELS]
        )
    drawn = [name for name in against if any(_both(row, x_name, name) for row in listing.rows)]
    if not drawn:
        asked = ", ".join(metrics[1:] or _AGAINST)
        raise TraceError(f"no strategy has both {x_name} and one of {asked}; nothing to draw")
    return x_name, drawn


def best(
    points: Sequence[tuple[float, float]], *, low_x: bool | None, low_y: bool | None
) -> list[tuple[float, float]]:
    """Return the Pareto-optimal points, sorted by the first coordinate.

    `low_x` and `low_y` state whether lower values are better; the result is empty if either is None.
    """
    if low_x is None or low_y is None:
        return []
    signed = sorted({(x if low_x else -x, y if low_y else -y) for x, y in points})
    kept: list[tuple[float, float]] = []
    for x, y in signed:
        if not kept or y < kept[-1][1]:
            kept.append((x, y))
    return [(x if low_x else -x, y if low_y else -y) for x, y in kept]


def _both(row: Listed, x_name: str, y_name: str) -> tuple[Estimate, Estimate] | None:
    x, y = row.estimates.get(x_name), row.estimates.get(y_name)
    return None if x is None or y is None else (x, y)


def _points(
    panel: Axes,
    pairs: Sequence[tuple[Estimate, Estimate]],
    x_scale: float,
    y_scale: float,
    label: str,
    look: Look,
) -> None:
    xs, ys = [x.mean / x_scale for x, _ in pairs], [y.mean / y_scale for _, y in pairs]
    for x, y in pairs:
        for estimate, scale, is_x in ((x, x_scale, True), (y, y_scale, False)):
            if estimate.low is None or estimate.high is None:
                continue
            ends = (estimate.low / scale, estimate.high / scale)
            along = [y.mean / y_scale] * 2 if is_x else [x.mean / x_scale] * 2
            panel.plot(*((ends, along) if is_x else (along, ends)), color=look.colour, lw=0.7, alpha=0.8)
    line = look.line(markersize=5.0, linewidth=1.0, label=label)
    panel.plot(xs, ys, **(line if len(pairs) > 1 else {**line, "linestyle": "none"}))


def _join_best(
    panel: Axes,
    pairs: Sequence[tuple[Estimate, Estimate]],
    x_metric: MetricName,
    y_metric: MetricName,
    x_scale: float,
    y_scale: float,
) -> None:
    means = [(x.mean / x_scale, y.mean / y_scale) for x, y in pairs]
    kept = best(means, low_x=x_metric.is_better_low, low_y=y_metric.is_better_low)
    if len(kept) > 1:
        # A step: up to the next point, the previous one is the best known.
        panel.step(
            *zip(*kept, strict=True), where="post", color="0.6", lw=1.0, zorder=2, label="front of means"
        )
