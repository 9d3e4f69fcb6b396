"""The comparison of strategies on the page: tables, cards, and dots with intervals."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from rich.text import Text

from edgesim.report.listings.metric_names import COUNTS, METRICS
from edgesim.report.notes import About
from edgesim.report.numbers import duration, estimate_text, number, share_text, time_unit
from edgesim.report.page.figure import Figure, numbers
from edgesim.statistics.comparison import Comparison, Row, difference_of_rows

__all__ = [
    "FIRST",
    "NAMES",
    "Card",
    "Table",
    "cards",
    "dots",
    "every_metric",
    "is_time",
    "table",
    "title_of",
    "warnings",
]

NAMES = tuple(name for name in METRICS if name not in COUNTS)
"""Metrics in the order of the page; other metrics follow under their own names."""

FIRST = "e2e_mean_s"
"""The metric shown first."""


def title_of(name: str) -> str:
    """Title of a metric on the page; the name of a metric without a title."""
    return METRICS[name].title if name in METRICS else name


def is_time(name: str) -> bool:
    """Whether a metric is in seconds."""
    return name in METRICS and METRICS[name].is_time


@dataclass(frozen=True, slots=True)
class Table:
    """A table of texts; each cell is a text and a tone: ``better``, ``worse`` or empty."""

    heads: tuple[str, ...]
    rows: tuple[tuple[tuple[str, str], ...], ...]


def table(heads: Iterable[str], columns: Iterable[Sequence[Text]]) -> Table:
    """Convert columns of the terminal's table; colours become tones."""
    rows = tuple(
        tuple((cell.plain.strip(), _tone(cell)) for cell in cells) for cells in zip(*columns, strict=True)
    )
    return Table(tuple(head.replace("\n", " ").replace("- ", "") for head in heads), rows)


def _tone(cell: Text) -> str:
    styles = {str(cell.style), *(str(span.style) for span in cell.spans)}
    if "green" in styles:
        return "better"
    return "worse" if styles & {"red", "bold red"} else ""


@dataclass(frozen=True, slots=True)
class Card:
    """A short finding: the best strategy by one metric."""

    title: str
    value: str
    strategy: str
    note: str


_CARDS = (
    ("e2e_mean_s", "Shortest end-to-end latency", False),
    ("ttft_p95_s", "Shortest time to first token (95th percentile)", False),
    ("attainment", "Objectives met most often", True),
    ("active_j_per_token", "Least active energy per token", False),
    ("accuracy", "Most tokens right", True),
)
_MOST_CARDS = 4


def cards(compared: Comparison) -> list[Card]:
    """Name the best strategy by each of a few metrics, the second best, and those not distinguished from it.

    Strategies that are saturated, or whose metric is unknown, are not considered. Two strategies are
    distinguished if the interval of their difference, paired by replication, excludes zero. With fewer than
    two replications there is no interval, and no best strategy is named.
    """
    found = []
    for name, title, is_more_better in _CARDS:
        known = [
            (estimate, row)
            for row in compared.rows
            if (estimate := row.estimates.get(name)) is not None and not row.is_saturated
        ]
        if len(known) < 2:
            continue
        (best, row), *others = sorted(known, key=lambda pair: pair[0].mean * (-1 if is_more_better else 1))
        second, following = others[0]
        verdicts = {other.strategy: _differ(name, row, other) for _, other in others}
        if best.mean == second.mean or verdicts[following.strategy] is None:
            continue
        interval = (
            ""
            if best.interval is None
            else f"95 % interval {_value(name, best.interval[0])} to {_value(name, best.interval[1])}; "
        )
        note = f"{interval}next is {following.strategy} with {_value(name, second.mean)}"
        alike = [other for other, differs in verdicts.items() if differs is False]
        if alike:
            note += f"; not distinguished from {' and '.join(alike)}"
        found.append(Card(title, _value(name, best.mean), row.strategy, note))
    return found[:_MOST_CARDS]


def _differ(name: str, row: Row, other: Row) -> bool | None:
    difference = difference_of_rows(name, row, other)
    return None if difference is None else difference.differs


def _value(name: str, value: float) -> str:
    if name in ("attainment", "accuracy"):
        return f"{share_text(value)} %"
    if is_time(name):
        scale, unit = _time_scale(value)
        return f"{number(value / scale)} {unit}"
    return f"{number(value)} J" if "_j_" in name else number(value)


def _time_scale(length_s: float) -> tuple[float, str]:
    unit = duration(length_s).rpartition(" ")[2]
    return {"s": (1.0, "s"), "ms": (1e-3, "ms"), "µs": (1e-6, "µs")}.get(unit, (1.0, "s"))


def dots(
    compared: Comparison, names: Iterable[str] | None, *, name: str, title: str, note: str
) -> Figure | None:
    """Create a figure of means with intervals, one view per metric; None if no metric is known."""
    known = [metric for row in compared.rows for metric in row.estimates]
    wanted = dict.fromkeys([*NAMES, *known] if names is None else names)
    views: list[Any] = []
    for metric in wanted:
        rows = [_dot(at, row, metric) for at, row in enumerate(compared.rows) if _is_known(row, metric)]
        if rows:
            unit = "seconds" if is_time(metric) else ""
            views.append({"label": title_of(metric), "unit": unit, "rows": rows})
    if not views:
        return None
    first = next((at for at, view in enumerate(views) if view["label"] == title_of(FIRST)), 0)
    return Figure(name=name, kind="dots", title=title, note=note, content={"views": views, "first": first})


def _is_known(row: Row, metric: str) -> bool:
    return row.estimates.get(metric) is not None or bool(row.bounds.get(metric))


def _dot(at: int, row: Row, metric: str) -> dict[str, Any]:
    estimate = row.estimates.get(metric)
    if estimate is None:
        return {"name": row.strategy, "at": at, "least": numbers([row.bounds[metric]])[0]}
    low, high = estimate.interval or (float("nan"), float("nan"))
    mean, least, most = numbers([estimate.mean, low, high])
    return {"name": row.strategy, "at": at, "mean": mean, "low": least, "high": most}


def warnings(compared: Comparison, about: About) -> list[str]:
    """List warnings about the comparison: incomplete runs, saturation, failures, and missing intervals."""
    found = []
    if about.incomplete is not None:
        found.append(f"The run is {about.incomplete}; the results below are of those.")
    for row in compared.rows:
        outcomes = row.outcomes
        if row.is_saturated:
            found.append(
                f"{row.strategy} is saturated: demand exceeds its capacity, the number of requests in flight "
                "keeps growing, and latencies grow with the horizon."
            )
        if row.n_stuck:
            found.append(f"{row.strategy}: {row.n_stuck} requests were stuck in a deadlock.")
        if outcomes.failed:
            found.append(f"{row.strategy}: {outcomes.failed} of {outcomes.offered} requests failed.")
        if outcomes.cut_off_share > 0.01:
            found.append(
                f"{row.strategy}: {outcomes.censored} of {outcomes.offered} requests were still in flight "
                "when the run ended; they count with their age."
            )
        if row.n_beyond:
            found.append(
                f"{row.strategy}: {row.n_beyond} answers had impairments beyond those measured, and count as "
                "the worst measured."
            )
    if compared.rows and all(len(row.replications) < 2 for row in compared.rows):
        found.append("One replication: there are no intervals, and a difference may be chance.")
    return found


def every_metric(compared: Comparison) -> Table:
    """Create a table with one row per known metric and per group's utilisation, one column per strategy."""
    rows = compared.rows
    names = dict.fromkeys([*NAMES, *(name for row in rows for name in row.estimates)])
    lines: list[tuple[tuple[str, str], ...]] = []
    for name in names:
        if not any(_is_known(row, name) for row in rows):
            continue
        scale, unit = time_unit(rows, name) if is_time(name) else (1.0, "")
        title = title_of(name) + (f" [{unit}]" if unit else "")
        lines.append(((title, ""), *((estimate_text(row, name, scale).plain, "") for row in rows)))
    for group in sorted({group for row in rows for group in row.utilisation}):
        cells = [estimate_text(row, group, estimate=row.utilisation.get(group)).plain for row in rows]
        lines.append(((f"Utilisation of {group}", ""), *((cell, "") for cell in cells)))
    return Table(("metric", *(row.strategy for row in rows)), tuple(lines))
