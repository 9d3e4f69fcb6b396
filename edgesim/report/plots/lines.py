"""Line charts of metrics over a swept value, a line per strategy, with 95 % bands."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from edgesim.errors import InputError, TraceError
from edgesim.nearest import suggest
from edgesim.report.listings.estimates import cell_estimate
from edgesim.report.listings.metric_names import metric_name
from edgesim.report.plots.axes import Swept, change_together, metric_label, plain_log, swept
from edgesim.report.plots.style import Look, Width, legend_below, looks, paper_style, subplots, tidy
from edgesim.statistics.intervals import paired_ratio

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["Point", "lines", "points"]

_MOST_PANELS = 9


@dataclass(frozen=True, slots=True)
class Point:
    """Mean over replications with its 95 % interval, at a swept value; None if unknown."""

    value: object
    mean: float | None
    low: float | None = None
    high: float | None = None


def points(
    results: pd.DataFrame, axis: str, values: Sequence[object], metric: str, *, against: str | None = None
) -> dict[str, list[Point]]:
    """Estimate a metric at each value of an axis, by strategy.

    Parameters
    ----------
    results
        One row per value, strategy and replication, with columns of these names and of the metric.
    against
        A reference strategy. The result is then the geometric mean of the ratios to the reference in the
        same replication; the pairing removes variation common to all strategies (common random numbers).

    Returns
    -------
    dict
        By strategy, one point per value in the order given. The mean is None if the metric is unknown or
        undefined in any replication: leaving those out would bias it, since they are the worst ones.
    """
    found: dict[str, list[Point]] = {}
    for strategy in results["strategy"].astype(str).unique():
        found[strategy] = []
        for value in values:
            own = _rows(results, axis, value, strategy)
            if against is None:
                estimate = cell_estimate(own, metric)
                found[strategy].append(
                    Point(value, None)
                    if estimate is None
                    else Point(value, estimate.mean, estimate.low, estimate.high)
                )
            else:
                reference = _rows(results, axis, value, against)
                found[strategy].append(_ratio(value, own[metric], reference[metric]))
    return found


def lines(
    results: pd.DataFrame,
    axes: Mapping[str, Sequence[object]],
    *,
    x: str | None = None,
    metrics: Sequence[str] = ("e2e_mean_s",),
    fixed: Mapping[str, str] | None = None,
    against: str | None = None,
    strategies: Sequence[str] = (),
    width: Width = "column",
) -> Figure:
    """Draw metrics over one axis of a sweep: a panel per metric and combination of the other axes' values.

    Axes that change together with `x` do not add panels. A triangle at the top edge marks values at which a
    strategy is unknown, if it is known at others.

    Parameters
    ----------
    results
        As :meth:`edgesim.sweep.reader.Sweep.results` returns them.
    axes
        Values by axis, in order.
    x
        The horizontal axis; default: the first with several values.
    fixed
        Values of other axes, as texts; only results with these values are drawn.
    against
        Draw ratios to this strategy (:func:`points`).

    Raises
    ------
    InputError
        If there is no such axis or value, or too many panels.
    TraceError
        If the metrics are unknown at every value.
    """
    x = _axis(axes, x)
    kept, others = _with_fixed(results, axes, x, fixed or {})
    order = [s for s in kept["strategy"].astype(str).unique() if not strategies or s in strategies]
    if against is not None and against not in set(kept["strategy"].astype(str)):
        raise InputError(f"--against: no strategy {against!r}; there are {', '.join(order)}")
    cases = [(name, case) for name in metrics for case in _cases(kept, x, others)]
    if len(cases) > _MOST_PANELS:
        raise InputError(
            f"plot lines: {len(cases)} panels, but at most {_MOST_PANELS} fit; fix axes with --where "
            f"AXIS=VALUE ({', '.join(others)}), or name fewer metrics"
        )
    known = looks(order)
    along = swept([value for value in axes[x] if (kept[x] == value).any()])
    with paper_style():
        n_columns = 1 if width == "column" else min(len(cases), 3)
        n_rows = -(-len(cases) // n_columns)
        figure, panels = subplots(n_rows, n_columns, width=width)
        n_known = 0
        for panel, (name, case) in zip(panels, cases, strict=False):
            own = kept[_is(kept, case)]
            found = points(own, x, list(along.places), name, against=against)
            drawn = {strategy: found[strategy] for strategy in order if strategy in found}
            means = [one.mean for each in drawn.values() for one in each if one.mean is not None]
            n_known += len(means)
            metric = metric_name(name)
            scale, label = metric_label(metric, max(means, default=1.0))
            if against is not None:
                scale, label = 1.0, f"{metric.title}, over {against}'s"
                panel.axhline(1.0, color="0.6", lw=0.6, zorder=1)
            for strategy, each in drawn.items():
                _line(panel, each, along, scale, strategy, known[strategy])
            _mark_unknown(panel, drawn, along, known)
            along.on(panel, x)
            panel.set_ylabel(label)
            if case:
                panel.set_title(", ".join(f"{axis} {value}" for axis, value in case.items()))
            if against is None and means and max(means) < 20 * max(min(means), 1e-300):
                panel.set_ylim(bottom=0.0)
            elif against is None and means and min(means) > 0:
                plain_log(panel, "y")
            tidy(panel)
        if not n_known:
            raise TraceError(f"{', '.join(metrics)}: unknown at every value; nothing to draw")
        for panel in panels[len(cases) :]:
            panel.set_axis_off()
        legend_below(figure, panels, width=width)
        return figure


def _line(panel: Axes, each: Sequence[Point], along: Swept, scale: float, label: str, look: Look) -> None:
    xs = [along.places[one.value] for one in each]
    ys = [math.nan if one.mean is None else one.mean / scale for one in each]
    lows = [math.nan if one.low is None else one.low / scale for one in each]
    highs = [math.nan if one.high is None else one.high / scale for one in each]
    panel.plot(xs, ys, **look.line(label=label))
    # A band needs two points: an interval without a known neighbour is drawn as a vertical line.
    alone = [
        at
        for at in range(len(xs))
        if not any(map(math.isfinite, [*lows[max(at - 1, 0) : at], *lows[at + 1 : at + 2]]))
    ]
    panel.vlines(
        [xs[at] for at in alone],
        [lows[at] for at in alone],
        [highs[at] for at in alone],
        color=look.colour,
        lw=0.8,
        alpha=0.8,
        zorder=1,
    )
    panel.fill_between(xs, lows, highs, color=look.colour, alpha=0.16, lw=0.0, zorder=1)
    for bound in (lows, highs):
        panel.plot(xs, bound, color=look.colour, lw=0.4, alpha=0.6, zorder=1)


def _mark_unknown(
    panel: Axes, drawn: Mapping[str, Sequence[Point]], along: Swept, known: Mapping[str, Look]
) -> None:
    """Mark the values at which a strategy is unknown, mostly because it is too slow, at the top edge.

    Strategies that are unknown at all values get no marks.
    """
    n_at: dict[object, int] = {}
    for strategy, each in drawn.items():
        if all(one.mean is None for one in each):
            continue
        for value in [one.value for one in each if one.mean is None]:
            panel.plot(
                [along.places[value]],
                [1.0 - 0.06 * n_at.get(value, 0)],
                transform=panel.get_xaxis_transform(),
                color=known[strategy].colour,
                marker="^",
                markersize=4.0,
                markerfacecolor="white",  # distinguishes it from the markers of lines
                clip_on=False,
                linestyle="none",
                label=f"_{strategy} unknown",
                zorder=3,
            )
            n_at[value] = n_at.get(value, 0) + 1


def _rows(results: pd.DataFrame, axis: str, value: object, strategy: str) -> pd.DataFrame:
    """Select the results of one strategy at one value, one row per replication."""
    own = results[(results[axis] == value) & (results["strategy"].astype(str) == strategy)]
    return own.set_index("replication").sort_index()


def _ratio(value: object, own: pd.Series, reference: pd.Series) -> Point:
    pairs = pd.concat([own, reference], axis=1, join="inner", keys=["own", "reference"])
    numbers = pairs.to_numpy(float)
    if not len(pairs) or not (numbers > 0).all() or not all(map(math.isfinite, numbers.ravel())):
        return Point(value, None)
    ratio = paired_ratio(pairs["own"].tolist(), pairs["reference"].tolist())
    assert ratio is not None
    return Point(value, ratio.ratio, ratio.low, ratio.high)


def _axis(axes: Mapping[str, Sequence[object]], x: str | None) -> str:
    if not axes:
        raise InputError("plot lines: the sweep has no axis; plot bars instead")
    if x is None:
        return next((name for name, values in axes.items() if len(values) > 1), next(iter(axes)))
    if x not in axes:
        raise InputError(f"--x: the sweep has no axis {x!r}; {suggest(x, axes)}")
    return x


def _with_fixed(
    results: pd.DataFrame, axes: Mapping[str, Sequence[object]], x: str, fixed: Mapping[str, str]
) -> tuple[pd.DataFrame, list[str]]:
    """Return the rows with the fixed values, and the remaining axes with several values."""
    for axis, text in fixed.items():
        if axis not in axes:
            raise InputError(f"--where: the sweep has no axis {axis!r}; {suggest(axis, axes)}")
        matching = [value for value in axes[axis] if str(value) == text]
        if not matching:
            raise InputError(
                f"--where {axis}={text}: no such value; there are {', '.join(map(str, axes[axis]))}"
            )
        results = results[results[axis] == matching[0]]
    return results, [axis for axis in axes if axis != x and axis not in fixed and len(axes[axis]) > 1]


def _cases(results: pd.DataFrame, x: str, others: Sequence[str]) -> list[dict[str, object]]:
    if not others or change_together(results, x, others):
        return [{}]
    found = results[list(others)].drop_duplicates().to_dict("records")
    return [{str(key): value for key, value in case.items()} for case in found]


def _is(results: pd.DataFrame, case: Mapping[str, object]) -> pd.Series:
    chosen = pd.Series(True, index=results.index)
    for axis, value in case.items():
        chosen &= results[axis] == value
    return chosen
