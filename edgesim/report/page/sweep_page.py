"""The page of a sweep: lines with bands over each axis, a table of all cells, and failures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from edgesim.errors import TraceError
from edgesim.report.listings.estimates import cell_estimate
from edgesim.report.listings.open_folders import SweepLike
from edgesim.report.numbers import UNDEFINED, number, share_text
from edgesim.report.page.comparing import FIRST, NAMES, Table, is_time, title_of
from edgesim.report.page.figure import Figure, Section, numbers
from edgesim.report.page.origin import origin
from edgesim.report.page.rendering import Page, made_by, render
from edgesim.report.plots.axes import change_together
from edgesim.statistics.intervals import Estimate
from edgesim.sweep.axes import split_number

__all__ = ["sweep_page"]

_SHARES = ("attainment", "accuracy")
_COUNTS = ("offered", "completed", "failed", "censored")
_SHOWN = (
    "e2e_mean_s",
    "ttft_p95_s",
    "tpot_p50_s",
    "output_tokens_per_s",
    "attainment",
    "active_j_per_token",
    "accuracy",
)
_LOG_FROM = 30.0
_MOST_VIEWS = 2000
_MOST_WARNED = 12


def sweep_page(sweep: SweepLike) -> str:
    """Create the HTML page of a sweep, which may be incomplete.

    Raises
    ------
    TraceError
        If no cell is complete, or a file is damaged.
    """
    results, failures = sweep.results(), sweep.failures()
    if results.empty:
        raise TraceError(
            f"{sweep.path}: {sweep.incomplete or 'no cell is complete'}, so there is nothing to show; "
            "continue the sweep (--resume) first"
        )
    unended = _without_an_end(results, list(sweep.axes))
    record, axes = sweep.record, list(sweep.axes)
    metrics = [name for name in _metrics(results, axes) if results[name].notna().any()]
    n_replications = results.groupby(["cell", "strategy"], observed=True).size()
    tables = [("Every cell", _NOTE, _cells(results, axes, [name for name in _SHOWN if name in metrics]))]
    if len(failures):
        tables.append(("Failures", "", _texts(failures)))
    views = _views(sweep, results, axes, metrics)
    figure = Figure(
        name="swept",
        kind="lines",
        title="Over the swept values",
        note="Means over replications with 95 % intervals as bands. A line breaks where the metric is "
        "unknown in any replication, for example because requests failed or were cut off.",
        content={
            "views": views,
            "first": next((at for at, view in enumerate(views) if view["label"] == title_of(FIRST)), 0),
        },
    )
    return render(
        Page(
            title=sweep.name,
            lead=f"Swept over {' and '.join(axes)}." if axes else "",
            kicker="Sweep report",
            facts=[
                ("Cells", str(results["cell"].nunique())),
                ("Strategies", str(len(sweep.strategies))),
                ("Replications", _span(n_replications.tolist())),
                *((label, ", ".join(map(_plain, values))) for label, values in sweep.axes.items()),
            ],
            warnings=[*_warnings(sweep, failures, n_replications.tolist()), *unended],
            cards=[],
            tables=tables,
            sections=[Section(name="lines", title="Lines", figures=(figure,))],
            origin=origin(record, sweep.path.resolve().name),
            made_by=made_by(sweep.path, record),
            is_figures_first=True,
        )
    )


_NOTE = (
    "Means over replications with 95 % intervals; times in seconds; done/failed/cut off: requests of all "
    "replications together."
)


def _metrics(results: pd.DataFrame, axes: Sequence[str]) -> list[str]:
    """List the metrics in the order of the page, followed by numeric columns without a title."""
    others = {"cell", "strategy", "replication", *_COUNTS, *axes}
    names = [
        name
        for name in results.columns
        if name not in others and pd.api.types.is_numeric_dtype(results[name])
    ]
    return [name for name in NAMES if name in names] + [name for name in names if name not in NAMES]


def _views(sweep: SweepLike, results: pd.DataFrame, axes: Sequence[str], metrics: Sequence[str]) -> list[Any]:
    """Create one view per metric, axis and combination of values of the other axes."""
    views: list[Any] = []
    panels = [panel for axis in axes for panel in _panels(results, axes, axis)]
    for axis, title, rows in panels:
        positions, x_axis = _positions(axis, sweep.axes[axis], _numbers(sweep.axes[axis]))
        for metric in metrics:
            if len(views) >= _MOST_VIEWS:
                return views
            series = [
                line
                for at, strategy in enumerate(sweep.strategies)
                if (line := _line(rows[rows["strategy"] == strategy], axis, metric, positions)) is not None
            ]
            if series:
                for line in series:
                    line["at"] = sweep.strategies.index(line["name"])
                is_share = metric in _SHARES
                y_axis = {"label": title_of(metric) + (" [s]" if is_time(metric) else "")} | (
                    {"low": 0, "high": 1} if is_share else {"low": 0}
                )
                views.append(
                    {
                        "label": title_of(metric),
                        "group": title,
                        "x": x_axis,
                        "y": y_axis,
                        "step": False,
                        "series": series,
                    }
                )
    return views


def _panels(results: pd.DataFrame, axes: Sequence[str], axis: str) -> list[tuple[str, str, pd.DataFrame]]:
    """Split the results along one axis into panels: one per combination of values of the other axes.

    If the other axes change together with this one, there is a single panel.
    """
    others = [other for other in axes if other != axis]
    if not others:
        return [(axis, axis, results)]
    if change_together(results, axis, others):
        return [(axis, axis, results)]
    groups = list(results.groupby(others, sort=False, observed=True))
    return [
        (
            axis,
            f"{axis}; {', '.join(f'{o} = {_plain(v)}' for o, v in zip(others, values, strict=True))}",
            group,
        )
        for values, group in groups
    ]


def _positions(
    axis: str, values: Sequence[object], found: tuple[Sequence[float], str] | None
) -> tuple[Mapping[object, float], dict[str, Any]]:
    """Return the position of each value of an axis, and the description of the axis."""
    if found is None:
        return (
            {value: float(at) for at, value in enumerate(values)},
            {"label": axis, "log": False, "texts": [_plain(value) for value in values]},
        )
    places, unit = found
    is_log = min(places) > 0 and max(places) / min(places) > _LOG_FROM
    label = f"{axis} [{unit}]" if unit else axis
    return dict(zip(values, places, strict=True)), {"label": label, "log": is_log}


def _numbers(values: Sequence[object]) -> tuple[list[float], str] | None:
    """Return the numbers of an axis and their common unit, parsing texts such as ``1 Hz``; else None."""
    found = [split_number(value) for value in values if isinstance(value, str | int | float)]
    pairs = [pair for pair in found if pair is not None]
    units = {unit for _, unit in pairs}
    return (
        ([number for number, _ in pairs], units.pop())
        if len(pairs) == len(values) and len(units) == 1
        else None
    )


def _line(
    rows: pd.DataFrame, axis: str, metric: str, positions: Mapping[object, float]
) -> dict[str, Any] | None:
    """Create a strategy's line along an axis: all positions with results, null for unknown values."""
    points = [
        (positions[value], cell_estimate(group, metric))
        for value, group in rows.groupby(axis, sort=False, observed=True)
        if value in positions
    ]
    if all(estimate is None for _, estimate in points):
        return None
    points.sort(key=lambda point: point[0])
    unknown = (float("nan"), float("nan"))
    ends = [unknown if estimate is None else estimate.interval or unknown for _, estimate in points]
    return {
        "name": str(rows["strategy"].iloc[0]),
        "x": numbers([at for at, _ in points]),
        "y": numbers([float("nan") if estimate is None else estimate.mean for _, estimate in points]),
        "low": numbers([low for low, _ in ends]),
        "high": numbers([high for _, high in ends]),
    }


def _cells(results: pd.DataFrame, axes: Sequence[str], metrics: Sequence[str]) -> Table:
    heads = (
        "cell",
        *axes,
        "strategy",
        "replications",
        *(title_of(name) for name in metrics),
        "done/failed/cut off",
    )
    rows = []
    for (cell, strategy), group in results.groupby(["cell", "strategy"], sort=False, observed=True):
        cells = [str(cell), *(_plain(group[axis].iloc[0]) for axis in axes), str(strategy), str(len(group))]
        cells += [_written(cell_estimate(group, metric)) for metric in metrics]
        cells.append("/".join(str(int(group[count].sum())) for count in _COUNTS[1:]))
        rows.append(tuple((cell_text, "") for cell_text in cells))
    return Table(heads, tuple(rows))


def _written(estimate: Estimate | None) -> str:
    if estimate is None:
        return UNDEFINED
    mean = number(estimate.mean)
    return (
        mean
        if estimate.interval is None
        else f"{mean} [{number(estimate.interval[0])}, {number(estimate.interval[1])}]"
    )


def _texts(table: pd.DataFrame) -> Table:
    rows = tuple(tuple((_plain(value), "") for value in row) for row in table.itertuples(index=False))
    return Table(tuple(map(str, table.columns)), rows)


def _warnings(sweep: SweepLike, failures: pd.DataFrame, n_replications: Sequence[int]) -> list[str]:
    found = []
    if sweep.incomplete is not None:
        found.append(f"The sweep is {sweep.incomplete}; the results below are of those.")
    if len(failures):
        found.append(f"{len(failures)} of its units failed; the reasons are listed below the results.")
    if min(n_replications) < 2:
        found.append(
            "Some points have only one replication: they have no interval, and a difference may be chance."
        )
    return found


def _without_an_end(results: pd.DataFrame, axes: Sequence[str]) -> list[str]:
    """List the cells in which requests failed or were cut off, with their share, the largest first."""
    if not set(_COUNTS) <= set(results):
        return []
    shares = []
    for (_, strategy), own in results.groupby(["cell", "strategy"], sort=False, observed=True):
        n_open, n_offered = int(own["failed"].sum() + own["censored"].sum()), int(own["offered"].sum())
        if n_open:
            where = ", ".join(f"{axis} = {_plain(own[axis].iloc[0])}" for axis in axes)
            shares.append((n_open / n_offered, f"{strategy} at {where}"))
    if not shares:
        return []
    shares.sort(key=lambda pair: -pair[0])
    stated = "; ".join(f"{where} ({share_text(share)} %)" for share, where in shares[:_MOST_WARNED])
    more = f"; and {len(shares) - _MOST_WARNED} more" if len(shares) > _MOST_WARNED else ""
    return [f"Requests failed or were cut off, so that latencies may be unknown: {stated}{more}."]


def _span(counts: Sequence[int]) -> str:
    return " to ".join(map(str, dict.fromkeys((min(counts), max(counts)))))


def _plain(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
