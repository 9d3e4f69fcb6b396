"""The comparison of strategies as a compact table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from edgesim.report.columns import Column, fitting, table_of
from edgesim.report.comparison_json import as_json
from edgesim.report.notes import (
    CUT_OFF,
    GROWING,
    MUCH_CUT_OFF,
    About,
    definitions,
    headline,
    shared_origins,
)
from edgesim.report.numbers import (
    AT_LEAST,
    BY_ARRIVALS,
    UNDEFINED,
    change_text,
    estimate_text,
    limit_text,
    mean_text,
    pair_text,
    share_text,
    time_unit,
)
from edgesim.report.same_requests import SameRequestsTable
from edgesim.statistics.comparison import Comparison, Row

__all__ = ["About", "ComparisonTable", "as_json", "comparison_columns"]

HEADLINE = "e2e_mean_s"  # the metric whose ratio to that of the first strategy is shown


@dataclass(frozen=True, slots=True)
class ComparisonTable:
    """A rich renderable: a headline, a table with one row per strategy, and the definitions below it.

    If the available width is too small, the least important columns are left out, and their number is stated;
    columns are not squeezed until unreadable. The comparison of the same requests follows in a separate
    table.
    """

    comparison: Comparison
    about: About

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Render for the available width."""
        columns = comparison_columns(self.comparison)
        shown = fitting(columns, console, options)
        yield Text(headline(self.comparison, self.about), style="bold")
        yield table_of(shown)
        yield Text(definitions(self.comparison, self.about, shown, len(columns) - len(shown)), style="dim")
        if any(row.same_requests is not None for row in self.comparison.rows):
            yield Text()
            yield SameRequestsTable(self.comparison)


def comparison_columns(comparison: Comparison) -> list[Column]:
    """Return the columns of the table that have a value in at least one row."""
    rows = comparison.rows
    ttft_scale, ttft_unit = time_unit(rows, "ttft_p50_s", "ttft_p95_s")
    tpot_scale, tpot_unit = time_unit(rows, "tpot_p50_s")
    e2e_scale, e2e_unit = time_unit(rows, HEADLINE)

    def column(rank: int, head: str, cell: Callable[[Row], Text | str]) -> Column:
        cells = (cell(row) for row in rows)
        return Column(head, tuple(Text(c) if isinstance(c, str) else c for c in cells), rank)

    columns = [
        Column("strategy", tuple(_name(row) for row in rows), 0, justify_left=True),
        column(
            3,
            f"TTFT {ttft_unit}\np50/p95",
            lambda row: pair_text(row, "ttft_p50_s", "ttft_p95_s", ttft_scale),
        ),
        column(5, f"TPOT {tpot_unit}\np50", lambda row: mean_text(row, "tpot_p50_s", tpot_scale)),
        column(0, f"E2E {e2e_unit}\nmean", lambda row: estimate_text(row, HEADLINE, e2e_scale)),
        column(0, "Δ E2E %\nvs first", _change),
        column(6, "tokens\n/s", lambda row: mean_text(row, "output_tokens_per_s")),
        column(8, "good\n/s", lambda row: mean_text(row, "goodput_per_s")),
        column(4, "met\n%", _attainment),
        column(7, "J/token\nactive", lambda row: mean_text(row, "active_j_per_token")),
        column(5, "J/token\nasker", lambda row: mean_text(row, "asker_j_per_token")),
        column(9, "J/token\nall", lambda row: mean_text(row, "total_j_per_token")),
        column(6, "perple-\nxity", lambda row: mean_text(row, "perplexity")),
        column(1, "right\n%", lambda row: mean_text(row, "accuracy", 0.01)),
        column(2, "done/failed\n/cut off", _outcomes),
    ]
    if not shared_origins(rows):
        columns.append(column(1, "times", lambda row: "+".join(o[0].upper() for o in row.origins)))
    return [column for column in columns if column.rank == 0 or _says_something(column)]


def _says_something(column: Column) -> bool:
    return any(cell.plain not in ("", UNDEFINED, BY_ARRIVALS) for cell in column.cells)


def _name(row: Row) -> Text:
    mark = (f" {GROWING}", "bold red") if row.is_saturated else ""
    return Text.assemble((row.strategy, "bold"), mark)


def _change(row: Row) -> Text:
    limit = row.ratio_limits.get(HEADLINE)
    if limit is not None:
        return limit_text(limit)
    return change_text(row.differences.get(HEADLINE), unit="s")


def _attainment(row: Row) -> str:
    met = row.estimates["attainment"]
    if met is not None:
        return share_text(met.mean)
    at_least = row.bounds.get("attainment")
    return UNDEFINED if at_least is None else f"{AT_LEAST}{100 * at_least:.0f}"


def _outcomes(row: Row) -> Text:
    outcomes = row.outcomes
    is_much = outcomes.cut_off_share > MUCH_CUT_OFF
    return Text.assemble(
        (f"{CUT_OFF} " if is_much else "", "yellow"),
        f"{outcomes.completed}",
        "/",
        (f"{outcomes.failed}", "red" if outcomes.failed else ""),
        "/",
        (f"{outcomes.censored}", "yellow" if outcomes.censored else ""),
    )
