"""Formatting of listings: tables for the terminal, CSV, Markdown, LaTeX and JSON."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from typing import Any, Literal

from rich.table import Table
from rich.text import Text

from edgesim.report.columns import Column, table_of
from edgesim.report.listings.listing import Listed, Listing
from edgesim.report.listings.metric_names import COUNTS, MetricName, metric_name, unit_of
from edgesim.report.numbers import AT_LEAST, UNDEFINED, number
from edgesim.statistics.intervals import Estimate

__all__ = [
    "DEFAULT_METRICS",
    "HALF",
    "Intervals",
    "as_csv",
    "as_json",
    "as_latex",
    "as_markdown",
    "as_rich",
    "estimate_text",
]

Intervals = Literal["ends", "half", "none"]
"""Format of intervals: ``[low, high]``, ``±`` the larger side, or not shown."""

DEFAULT_METRICS = (
    "ttft_p50_s",
    "ttft_p95_s",
    "tpot_p50_s",
    "e2e_mean_s",
    "goodput_per_s",
    "attainment",
    "active_j_per_token",
    "perplexity",
    "accuracy",
)
"""Metrics shown by default, as far as any row has a value."""

HALF = "±: the larger side of the 95 % interval."
"""Note for half intervals, since intervals are rarely symmetric on the scale of the metric."""

_ROUNDING = 1e-9  # relative; equal replications differ by as much if they are summed in another order
_MOST_DECIMALS = 6

_LATEX = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "±": r"$\pm$",
    "µ": r"\textmu{}",
    "–": "--",
}


def as_rich(listing: Listing, names: Sequence[str], intervals: Intervals = "ends") -> Table:
    """Create a table for the terminal, one row per strategy and trace or cell."""
    keys = _keys(listing)
    columns = [
        Column(key, tuple(Text(_key_text(row, key)) for row in listing.rows), 0, justify_left=True)
        for key in keys
    ]
    for head, unit, cells in _columns(listing, names, intervals):
        columns.append(Column(f"{head}\n{unit}" if unit else head, tuple(map(Text, cells)), 0))
    return table_of(columns)


def as_markdown(listing: Listing, names: Sequence[str], intervals: Intervals = "ends") -> str:
    """Write a Markdown pipe table (GitHub flavour)."""
    columns = _columns(listing, names, intervals)
    keys = _keys(listing)
    heads = [*keys, *(f"{head} ({unit})" if unit else head for head, unit, _ in columns)]
    lines = [heads, ["---"] * len(keys) + ["---:"] * len(columns)]
    for place, row in enumerate(listing.rows):
        lines.append([*(_key_text(row, key) for key in keys), *(cells[place] for _, _, cells in columns)])
    table = "\n".join(f"| {' | '.join(_in_markdown(cell) for cell in line)} |" for line in lines)
    return "\n".join([table, *(f"\n{_in_markdown(remark)}" for remark in listing.remarks)]) + "\n"


def as_latex(listing: Listing, names: Sequence[str], intervals: Intervals = "ends") -> str:
    r"""Write a ``tabular`` for ``\usepackage{booktabs}``, with extra space between traces or cells."""
    columns = _columns(listing, names, intervals)
    keys = _keys(listing)
    heads = [*keys, *(f"{head} [{unit}]" if unit else head for head, unit, _ in columns)]
    lines = [
        *(f"% {_one_line(remark)}" for remark in listing.remarks),
        rf"\begin{{tabular}}{{{'l' * len(keys)}{'r' * len(columns)}}}",
        r"\toprule",
        _latex_row(heads),
        r"\midrule",
    ]
    before: object = None
    for place, row in enumerate(listing.rows):
        where = tuple(_key_text(row, key) for key in keys[:-1])
        if before is not None and where != before:
            lines.append(r"\addlinespace")
        shown = ("",) * len(where) if where == before else where
        lines.append(_latex_row([*shown, row.strategy, *(cells[place] for _, _, cells in columns)]))
        before = where
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"]) + "\n"


def as_csv(listing: Listing, names: Sequence[str]) -> str:
    """Write CSV: one line per strategy and metric, in SI units and full precision; empty if undefined."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*listing.keys, "strategy", "metric", "n", "mean", "low", "high", "at_least"])
    for row in listing.rows:
        for name in names:
            stated = _numbers(row, name)
            cells = [stated[key] for key in ("n", "mean", "low", "high", "at_least")]
            writer.writerow(
                [*row.where.values(), row.strategy, name, *("" if cell is None else cell for cell in cells)]
            )
    return text.getvalue()


def as_json(listing: Listing, names: Sequence[str]) -> dict[str, Any]:
    """Return the listing in full precision; null where undefined, never NaN."""
    return {
        "keys": list(listing.keys),
        "remarks": list(listing.remarks),
        "rows": [
            {
                **row.where,
                "strategy": row.strategy,
                "replications": row.n_replications,
                "requests": dict(row.counts),
                "saturated": row.is_saturated,
                "metrics": {name: _numbers(row, name) for name in names},
            }
            for row in listing.rows
        ],
    }


def _keys(listing: Listing) -> list[str]:
    """Return the names of the leading columns; the trace's label only if there are several traces."""
    keys = [
        key
        for key in listing.keys
        if key != "trace" or len({str(row.where[key]) for row in listing.rows}) > 1
    ]
    return [*keys, "strategy"]


def _key_text(row: Listed, key: str) -> str:
    return row.strategy if key == "strategy" else str(row.where[key])


def _columns(
    listing: Listing, names: Sequence[str], intervals: Intervals
) -> list[tuple[str, str, tuple[str, ...]]]:
    """Return the title, unit and cells of every metric; one unit per column."""
    found = []
    for name in names:
        metric = metric_name(name)
        if name in COUNTS:
            found.append((metric.title, "", tuple(f"{row.counts[name]:,}" for row in listing.rows)))
            continue
        scale, unit = unit_of(metric, _largest(listing, metric))
        cells = tuple(_cell(row, name, scale, intervals) for row in listing.rows)
        found.append((metric.title, unit, cells))
    return found


def _largest(listing: Listing, metric: MetricName) -> float:
    values = [
        abs(estimate.mean) for row in listing.rows if (estimate := row.estimates.get(metric.name)) is not None
    ]
    return max([*values, *(row.bounds.get(metric.name, 0.0) for row in listing.rows)], default=1.0)


def _cell(row: Listed, name: str, scale: float, intervals: Intervals) -> str:
    estimate = row.estimates.get(name)
    if estimate is None:
        at_least = row.bounds.get(name)
        return f"{AT_LEAST}{number(at_least / scale)}" if at_least else UNDEFINED
    return estimate_text(estimate, scale, intervals)


def estimate_text(estimate: Estimate, scale: float, intervals: Intervals) -> str:
    """Format a mean with three significant figures, and its interval with as many decimals.

    More decimals are used if the ends of the interval would otherwise look equal. A half interval is the
    larger side; if the mean is an end of the interval, both ends are written instead.
    """
    mean = estimate.mean / scale
    text = number(mean)
    if intervals == "none" or estimate.low is None or estimate.high is None:
        return text
    low, high = estimate.low / scale, estimate.high / scale
    half = max(mean - low, high - mean)
    n_decimals = len(text.partition(".")[2])
    shown = (low, high) if intervals == "ends" else (0.0, half)
    is_lost = f"{shown[0]:.{n_decimals}f}" == f"{shown[1]:.{n_decimals}f}"
    if is_lost and high - low > _ROUNDING * abs(mean):
        n_decimals = min(max(n_decimals, 1 - math.floor(math.log10(high - low))), _MOST_DECIMALS)
        text = f"{mean:,.{n_decimals}f}"
    if intervals == "half" and (low == high or low < mean < high):
        return f"{text} ± {half:,.{n_decimals}f}"
    return f"{text} [{low:,.{n_decimals}f}, {high:,.{n_decimals}f}]"


def _numbers(row: Listed, name: str) -> dict[str, float | int | None]:
    if name in COUNTS:
        return {
            "n": row.n_replications,
            "mean": row.counts[name],
            "low": None,
            "high": None,
            "at_least": None,
        }
    estimate = row.estimates.get(name)
    if estimate is None:
        at_least = row.bounds.get(name)
        known: dict[str, float | int | None] = {
            "n": row.n_replications,
            "mean": None,
            "low": None,
            "high": None,
        }
        return known | {"at_least": at_least}
    ends = {"mean": estimate.mean, "low": estimate.low, "high": estimate.high}
    finite = {
        key: value if value is not None and math.isfinite(value) else None for key, value in ends.items()
    }
    return {"n": estimate.n, **finite, "at_least": None}


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _in_markdown(text: str) -> str:
    return _one_line(text).replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*")


def _latex_row(cells: Sequence[str]) -> str:
    row = " & ".join(map(_in_latex, cells))
    # LaTeX would read a star or a bracket after \\ as an argument of the line break.
    return ("{}" if row.startswith(("[", "*")) else "") + row + r" \\"


def _in_latex(text: str) -> str:
    return "".join(_LATEX.get(letter, letter) for letter in _one_line(text))
