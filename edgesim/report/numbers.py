"""Formatting of numbers: three significant figures, means with intervals, bounds with a sign."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rich.text import Text

from edgesim.statistics.comparison import RatioLimit, Row
from edgesim.statistics.intervals import Difference, Estimate

__all__ = [
    "AT_LEAST",
    "AT_MOST",
    "BY_ARRIVALS",
    "SET_BY_ARRIVALS",
    "TIME_UNITS",
    "UNDEFINED",
    "bound_text",
    "change_text",
    "duration",
    "estimate_text",
    "is_partial",
    "limit_text",
    "mean_text",
    "number",
    "pair_text",
    "share_text",
    "time_unit",
]

TIME_UNITS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"))
UNDEFINED = "-"
AT_LEAST, AT_MOST = "> ", "< "
BY_ARRIVALS = "‡"
SET_BY_ARRIVALS = ("output_tokens_per_s", "requests_per_s", "goodput_per_s", "total_j_per_token")
"""Metrics that the arrivals determine, not the strategy, if the strategy answers all requests."""


def time_unit(rows: Sequence[Row], *names: str) -> tuple[float, str]:
    """Choose one unit of time for a whole column, that of its largest value: its scale in s, and its name."""
    found = [estimate.mean for row in rows for name in names if (estimate := row.estimates[name]) is not None]
    found += [row.bounds[name] for row in rows for name in names if name in row.bounds]
    largest_s = max(found, default=1.0)
    return next((entry for entry in TIME_UNITS if largest_s >= entry[0]), TIME_UNITS[-1])


def duration(length_s: float) -> str:
    """Format a duration in min, s, ms or µs, depending on its size."""
    if length_s >= 60 and length_s % 60 == 0:
        return f"{length_s / 60:g} min"
    scale, unit = next((entry for entry in TIME_UNITS if length_s >= entry[0]), TIME_UNITS[-1])
    return f"{length_s / scale:g} {unit}"


def number(value: float) -> str:
    """Format a value with three significant figures."""
    return f"{value:,.{_decimals(value)}f}"


def _decimals(value: float, n_figures: int = 3) -> int:
    """Number of decimals (0 to 4) that gives `n_figures` significant figures."""
    if value == 0 or not math.isfinite(value):
        return 0
    return min(4, max(0, n_figures - 1 - math.floor(math.log10(abs(value)))))


def is_partial(row: Row, estimate: Estimate | None) -> bool:
    """Whether the metric is undefined in some of the row's replications."""
    return estimate is not None and estimate.n < len(row.replications)


def _mark(row: Row, estimate: Estimate) -> str:
    return "†" if is_partial(row, estimate) else ""


def bound_text(row: Row, name: str, scale: float = 1.0) -> str:
    """Format the lower bound of an unknown metric; a dash if there is no bound, or it is 0."""
    at_least = row.bounds.get(name)
    return f"{AT_LEAST}{number(at_least / scale)}" if at_least else UNDEFINED


def mean_text(row: Row, name: str, scale: float = 1.0) -> str:
    """Format a row's mean without its interval."""
    estimate = row.estimates[name]
    if row.is_rate_set_by_arrivals and name in SET_BY_ARRIVALS and estimate is not None:
        return BY_ARRIVALS
    if estimate is None:
        return bound_text(row, name, scale)
    return number(estimate.mean / scale) + _mark(row, estimate)


def pair_text(row: Row, first: str, second: str, scale: float = 1.0) -> str:
    """Format two means of a row as one cell; a mark common to both is written once."""
    one, two = mean_text(row, first, scale), mean_text(row, second, scale)
    if one == two == UNDEFINED:
        return UNDEFINED
    return f"{one.removesuffix('†') if two.endswith('†') else one}/{two}"


def estimate_text(row: Row, name: str, scale: float = 1.0, *, estimate: Estimate | None = None) -> Text:
    """Format an estimate with its interval; † if some replications lack it, > before a lower bound."""
    found = estimate if estimate is not None else row.estimates.get(name)
    if found is None:
        return Text(bound_text(row, name, scale))
    mean = found.mean / scale
    text = number(mean)
    if found.interval is not None and found.interval != (found.mean, found.mean):
        low, high = (end / scale for end in found.interval)
        n_decimals = _decimals(mean)
        if found.mean in (0, 1) and found.mean in found.interval:
            # A share of 0 or 1 in every replication: the other end of the interval must stay distinguishable.
            n_decimals = max(n_decimals, _decimals(high - low, n_figures=2))
        text = f"{mean:,.{n_decimals}f} [{low:,.{n_decimals}f}, {high:,.{n_decimals}f}]"
    return Text(text + _mark(row, found))


def change_text(difference: Difference | None, *, is_verdict: bool = True, unit: str = "") -> Text:
    """Format a change in percent with its interval, and a star if the interval excludes zero.

    If there is no ratio, the difference itself is written, in the metric's unit.
    """
    if difference is None:
        return Text(UNDEFINED, style="dim")
    if difference.ratio is None:
        centre, ends = difference.mean, difference.interval
        suffix = f" {unit}" if unit else ""
    else:
        ratio = difference.ratio
        centre, suffix = 100 * (ratio.ratio - 1), ""
        has_ends = ratio.low is not None and ratio.high is not None
        ends = (100 * (ratio.low - 1), 100 * (ratio.high - 1)) if has_ends else None  # type: ignore[operator]
    text = _signed(centre) + suffix
    if ends is not None:
        text += f" [{_signed(ends[0])}, {_signed(ends[1])}]"
    if not (is_verdict and difference.differs):
        return Text(f"{text}  " if ends is not None else text)
    return Text(f"{text} *", style="green" if centre < 0 else "red")


def limit_text(limit: RatioLimit) -> Text:
    """Format an upper or lower bound of a change in percent; it has no interval and no star."""
    return Text(f"{AT_LEAST if limit.is_least else AT_MOST}{_signed(100 * (limit.ratio - 1))}")


def _signed(value: float) -> str:
    """Format a change with its sign; near -100 %, with enough decimals to distinguish it from -100 %."""
    if value < -99.5:
        return f"{value:+.{min(6, max(1, 1 - math.floor(math.log10(100 + value))) if value > -100 else 1)}f}"
    if abs(value) >= 1e6:
        return f"{value:+.1e}"
    return f"{value:+,.{1 if abs(value) < 1000 else 0}f}"


def share_text(share: float) -> str:
    """Format a share in percent; 0 and 100 are written only if they are exact."""
    percent = 100 * share
    if 99.5 <= percent < 100:
        return ">99"
    if 0 < percent < 0.5:
        return "<1"
    return f"{percent:.0f}"
