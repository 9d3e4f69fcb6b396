"""The comparison as a table that a person reads in ten seconds, and as JSON with everything."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from rich.box import SIMPLE_HEAD
from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from edgesim.statistics.comparison import Comparison, Difference, Estimate, Row
from edgesim.statistics.summary import Objectives, Outcomes

__all__ = ["UNDEFINED", "About", "ComparisonTable", "as_json", "estimate_text", "time_unit"]

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"

TIME_UNITS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"))
HEADLINE = "e2e_mean_s"  # the metric whose difference to the first strategy is shown
UNDEFINED = "-"


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What was simulated, for the line above the table."""

    scenario: str
    model: str
    n_devices: int
    seed: int
    warmup_s: float = 0.0
    horizon_s: float | None = None
    objectives: Objectives | None = None
    is_closed: bool = False
    """Whether requests wait for answers, so that arrivals depend on the strategy."""
    answers: str | None = None
    """On which model and text answers were measured; None if they were not."""


@dataclass(frozen=True, slots=True)
class ComparisonTable:
    """A rich renderable: one row per strategy, one line above, the definitions below.

    It takes the width that it is given. Where that is too narrow it leaves out the least important columns
    and says how many; nothing is squeezed until it cannot be read.
    """

    comparison: Comparison
    about: About

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Render for the width at hand."""
        columns = _columns(self.comparison)
        shown = _fitting(columns, console, options)
        yield Text(_headline(self.comparison, self.about), style="bold")
        yield _table(shown)
        yield Text(_definitions(self.comparison, self.about, len(columns) - len(shown)), style="dim")


def as_json(comparison: Comparison, about: About | None = None) -> dict[str, Json]:
    """Return everything at full precision; null wherever a number is undefined, never NaN."""
    return {
        "about": None if about is None else _about_json(about),
        "confidence": comparison.confidence,
        "reference": comparison.rows[0].strategy if comparison.rows else None,
        "strategies": [_row_json(row) for row in comparison.rows],
    }


@dataclass(frozen=True, slots=True)
class _Column:
    head: str
    cells: tuple[Text, ...]
    rank: int  # 0 is never left out; the highest goes first
    justify_left: bool = False


def _columns(comparison: Comparison) -> list[_Column]:
    rows = comparison.rows
    ttft_scale, ttft_unit = time_unit(rows, "ttft_p50_s", "ttft_p95_s")
    tpot_scale, tpot_unit = time_unit(rows, "tpot_p50_s")
    e2e_scale, e2e_unit = time_unit(rows, HEADLINE)

    def column(rank: int, head: str, cell: Callable[[Row], Text]) -> _Column:
        return _Column(head, tuple(cell(row) for row in rows), rank)

    columns = [
        _Column("strategy", tuple(Text(row.strategy, style="bold") for row in rows), 0, justify_left=True),
        column(
            3, f"TTFT {ttft_unit}\np50/p95", lambda row: _pair(row, "ttft_p50_s", "ttft_p95_s", ttft_scale)
        ),
        column(7, f"TPOT {tpot_unit}\np50", lambda row: _plain(row, "tpot_p50_s", tpot_scale)),
        column(
            0, f"E2E {e2e_unit}\nmean", lambda row: estimate_text(row, row.estimates[HEADLINE], e2e_scale)
        ),
        column(0, "Δ E2E %\nvs first", _difference),
        column(6, "tokens\n/s", lambda row: _plain(row, "output_tokens_per_s")),
        column(8, "good\n/s", lambda row: _plain(row, "goodput_per_s")),
        column(4, "met\n%", _attainment),
        column(5, "J/token\nactive/all", lambda row: _pair(row, "active_j_per_token", "total_j_per_token")),
        column(1, "perple-\nxity", lambda row: _plain(row, "perplexity")),
        column(4, "right\n%", lambda row: _plain(row, "accuracy", 0.01)),
        column(2, "done/failed\n/cut off", lambda row: _outcomes(row.outcomes)),
    ]
    if not _shared_origins(rows):
        columns.append(column(1, "times", lambda row: Text("+".join(o[0].upper() for o in row.origins))))
    return [column for column in columns if column.rank == 0 or _says_something(column)]


def _shared_origins(rows: Sequence[Row]) -> tuple[str, ...]:
    """Return what all rows' compute times come from, if that is the same for all."""
    different = {row.origins for row in rows}
    return next(iter(different)) if len(different) == 1 else ()


def _says_something(column: _Column) -> bool:
    return any(cell.plain not in ("", UNDEFINED) for cell in column.cells)


def _fitting(columns: Sequence[_Column], console: Console, options: ConsoleOptions) -> list[_Column]:
    shown = list(columns)
    unlimited = options.update(width=10_000)
    while Measurement.get(console, unlimited, _table(shown)).maximum > options.max_width:
        expendable = [column for column in shown if column.rank]
        if not expendable:
            break
        shown.remove(max(expendable, key=lambda column: column.rank))
    return shown


def _table(columns: Sequence[_Column]) -> Table:
    table = Table(box=SIMPLE_HEAD, padding=(0, 1), collapse_padding=True, pad_edge=False, header_style="")
    for column in columns:
        justify = "left" if column.justify_left else "right"
        table.add_column(column.head, justify=justify, vertical="bottom", overflow="fold")  # type: ignore[arg-type]
    for cells in zip(*(column.cells for column in columns), strict=True):
        table.add_row(*cells)
    return table


def _headline(comparison: Comparison, about: About) -> str:
    counts = sorted({len(row.replications) for row in comparison.rows})
    replications = " to ".join(map(str, dict.fromkeys((counts[0], counts[-1])))) if counts else "0"
    parts = [
        f"{about.model} on {about.n_devices} device{'' if about.n_devices == 1 else 's'}",
        f"{replications} replication{'' if counts == [1] else 's'}"
        + (f" of {_duration(about.horizon_s)}" if about.horizon_s else ""),
        f"seed {about.seed}",
    ]
    if origins := _shared_origins(comparison.rows):
        parts.append(f"times {' and '.join(origins)}")
    if about.answers:
        parts.append(f"answers measured on {about.answers}")
    return f"{about.scenario}: {', '.join(parts)}"


def _definitions(comparison: Comparison, about: About, n_left_out: int) -> str:
    rows = comparison.rows
    n_least = min((len(row.replications) for row in rows), default=0)
    notes = ["Times at the user, of completed requests", "percentiles linear, averaged over replications"]
    if n_least > 1:
        notes.append(f"± {comparison.confidence:.0%} Student t over {n_least} replications")
    else:
        notes.append("one replication, so no intervals")
    if len(rows) > 1:
        star = ", * excludes 0" if n_least > 1 else ""
        notes.append(f"Δ paired by replication, in % of {rows[0].strategy}'s mean{star}")
    if asked := _asked(about.objectives):
        notes.append(f"good, met: completed with {asked}, of all requests")
    if any(row.outcomes.censored for row in rows):
        notes.append("cut off: in flight at the end")
    if stuck := [f"{row.n_stuck} under {row.strategy}" for row in rows if row.n_stuck]:
        notes.append(f"of these stuck, for nothing was left to happen (a deadlock): {', '.join(stuck)}")
    if about.answers:
        notes.append(
            f"perplexity, right: tokens as {about.answers} answered them, times those of {about.model}"
        )
    if beyond := [f"{row.n_beyond} under {row.strategy}" for row in rows if row.n_beyond]:
        notes.append(
            f"answers that met worse than was measured, and count as the worst measured: {', '.join(beyond)}"
        )
    if about.is_closed and len(rows) > 1:
        notes.append("users wait for answers, so a faster strategy is asked sooner")
    if about.warmup_s:
        notes.append(f"warm-up of {_duration(about.warmup_s)} left out")
    if any(_is_partial(row, estimate) for row in rows for estimate in row.estimates.values()):
        notes.append("†: undefined in some replications, mean of the others")
    if not _shared_origins(rows):
        notes.append("compute times: M measured, S scaled from a measured device, A analytic")
    if n_left_out:
        columns = "1 column" if n_left_out == 1 else f"{n_left_out} columns"
        notes.append(f"{columns} left out at this width, --json has all")
    return "; ".join(notes) + "."


def _asked(objectives: Objectives | None) -> str:
    if objectives is None:
        return ""
    limits = {"TTFT": objectives.ttft_s, "TPOT": objectives.tpot_s, "E2E": objectives.e2e_s}
    return ", ".join(f"{name} ≤ {_duration(limit)}" for name, limit in limits.items() if limit is not None)


def _duration(length_s: float) -> str:
    if length_s >= 60 and length_s % 60 == 0:
        return f"{length_s / 60:g} min"
    scale, unit = next((entry for entry in TIME_UNITS if length_s >= entry[0]), TIME_UNITS[-1])
    return f"{length_s / scale:g} {unit}"


def time_unit(rows: Sequence[Row], *names: str) -> tuple[float, str]:
    """Choose one unit for a whole column, so that rows compare at a glance: that of its largest number."""
    found = [estimate.mean for row in rows for name in names if (estimate := row.estimates[name]) is not None]
    largest_s = max(found, default=1.0)
    return next((entry for entry in TIME_UNITS if largest_s >= entry[0]), TIME_UNITS[-1])


def _decimals(value: float) -> int:
    """Digits after the point that give three significant ones, from 0 to 4."""
    if value == 0 or not math.isfinite(value):
        return 0
    return min(4, max(0, 2 - math.floor(math.log10(abs(value)))))


def _number(value: float) -> str:
    return f"{value:,.{_decimals(value)}f}"


def _is_partial(row: Row, estimate: Estimate | None) -> bool:
    return estimate is not None and estimate.n < len(row.replications)


def _mark(row: Row, estimate: Estimate) -> str:
    return "†" if _is_partial(row, estimate) else ""


def _plain(row: Row, name: str, scale: float = 1.0) -> Text:
    estimate = row.estimates[name]
    return Text(UNDEFINED if estimate is None else _number(estimate.mean / scale) + _mark(row, estimate))


def _pair(row: Row, first: str, second: str, scale: float = 1.0) -> Text:
    one, two = row.estimates[first], row.estimates[second]
    if one is None or two is None:
        return Text(UNDEFINED)
    return Text(f"{_number(one.mean / scale)}/{_number(two.mean / scale)}{_mark(row, one)}")


def estimate_text(row: Row, estimate: Estimate | None, scale: float = 1.0) -> Text:
    """Write one of a row's estimates with its interval; † where some replications lack it."""
    if estimate is None:
        return Text(UNDEFINED)
    mean = estimate.mean / scale
    text = _number(mean)
    if estimate.half_width is not None:
        text += f" ±{estimate.half_width / scale:,.{_decimals(mean)}f}"
    return Text(text + _mark(row, estimate))


def _difference(row: Row) -> Text:
    difference = row.differences.get(HEADLINE)
    if difference is None or difference.relative is None:
        return Text(UNDEFINED, style="dim")
    percent, text = 100 * difference.relative, f"{100 * difference.relative:+.1f}"
    if difference.half_width is not None and difference.mean:
        text += f" ±{abs(difference.half_width / difference.mean * percent):.1f}"
    if not difference.excludes_zero:
        return Text(f"{text}  " if difference.half_width is not None else text)
    return Text(f"{text} *", style="green" if difference.mean < 0 else "red")


def _attainment(row: Row) -> Text:
    met = row.estimates["attainment"]
    return Text(UNDEFINED if met is None else f"{100 * met.mean:.0f}")


def _outcomes(outcomes: Outcomes) -> Text:
    return Text.assemble(
        f"{outcomes.completed}",
        "/",
        (f"{outcomes.failed}", "red" if outcomes.failed else ""),
        "/",
        (f"{outcomes.censored}", "yellow" if outcomes.censored else ""),
    )


def _about_json(about: About) -> dict[str, Json]:
    objectives = about.objectives
    return {
        "scenario": about.scenario,
        "model": about.model,
        "n_devices": about.n_devices,
        "seed": about.seed,
        "warmup_s": about.warmup_s,
        "horizon_s": about.horizon_s,
        "answers": about.answers,
        "objectives": None
        if objectives is None
        else {"ttft_s": objectives.ttft_s, "tpot_s": objectives.tpot_s, "e2e_s": objectives.e2e_s},
    }


def _row_json(row: Row) -> dict[str, Json]:
    return {
        "strategy": row.strategy,
        "replications": list(row.replications),
        "origins": list(row.origins),
        "outcomes": {
            "offered": row.outcomes.offered,
            "completed": row.outcomes.completed,
            "failed": row.outcomes.failed,
            "censored": row.outcomes.censored,
            "stuck": row.n_stuck,
            "beyond_measured": row.n_beyond,
        },
        "metrics": _estimates_json(row.estimates),
        "differences": _estimates_json(row.differences),
        "utilisation": _estimates_json(row.utilisation),
    }


def _estimates_json(estimates: Mapping[str, Estimate | None]) -> dict[str, Json]:
    return {
        name: None if estimate is None else _estimate_json(estimate) for name, estimate in estimates.items()
    }


def _estimate_json(estimate: Estimate) -> dict[str, Json]:
    low, high = estimate.interval or (None, None)
    numbers: dict[str, Json] = {
        "n": estimate.n,
        "mean": _finite(estimate.mean),
        "low": _finite(low),
        "high": _finite(high),
    }
    if isinstance(estimate, Difference):
        numbers["relative"] = _finite(estimate.relative)
        numbers["excludes_zero"] = estimate.excludes_zero
    return numbers


def _finite(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else value
