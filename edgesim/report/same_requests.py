"""Table of the paired comparison of the same requests under two strategies."""

from __future__ import annotations

from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from edgesim.report.columns import Column, fitting, table_of
from edgesim.report.numbers import UNDEFINED, change_text, share_text
from edgesim.statistics.comparison import Comparison
from edgesim.statistics.pairs import ENOUGH, SameRequests

__all__ = ["SameRequestsTable", "same_requests_columns", "same_requests_note"]


@dataclass(frozen=True, slots=True)
class SameRequestsTable:
    """A rich renderable: one row per strategy except the first, comparing its requests with the first's."""

    comparison: Comparison

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Render the rows of strategies whose requests were paired."""
        columns = same_requests_columns(self.comparison)
        yield Text(f"The same requests, one by one, against {self.comparison.rows[0].strategy}", style="bold")
        yield table_of(fitting(columns, console, options))
        yield Text(same_requests_note(self.comparison), style="dim")


def same_requests_columns(comparison: Comparison) -> list[Column]:
    """Return the table's columns, with one row per strategy whose requests were paired."""
    rows = [(row.strategy, row.same_requests) for row in comparison.rows if row.same_requests]
    names = tuple(Text(strategy, style="bold") for strategy, _ in rows)
    paired = [same for _, same in rows]
    return [
        Column("strategy", names, 0, justify_left=True),
        Column("pairs/\nrequests", tuple(Text(f"{p.n_pairs}/{p.n_requests}") for p in paired), 0),
        Column("Δ TTFT %\nper request", tuple(_change(p, "ttft_s") for p in paired), 2),
        Column("Δ E2E %\nper request", tuple(_change(p, "e2e_s") for p in paired), 0),
        Column("E2E shorter\n% of pairs", tuple(_shorter(p) for p in paired), 1),
    ]


def same_requests_note(comparison: Comparison) -> str:
    """Define the columns."""
    notes = [
        "Δ: geometric mean of the ratio of a request's two times",
        "intervals over replications, since requests of one run are not independent",
    ]
    if any(row.same_requests and not row.same_requests.is_enough for row in comparison.rows):
        notes.append(
            f"{UNDEFINED}: no verdict, since under {ENOUGH:.0%} of the requests were completed under both"
        )
    return f"{'; '.join(notes)}."


def _change(same: SameRequests, latency: str) -> Text:
    return change_text(same.differences.get(latency) if same.is_enough else None, unit="s")


def _shorter(same: SameRequests) -> Text:
    shorter = same.sooner.get("e2e_s")
    return Text(UNDEFINED if shorter is None or not same.is_enough else share_text(shorter.mean))
