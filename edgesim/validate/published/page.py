"""Tables of the findings, for a terminal and for the documentation."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edgesim.errors import InputError
from edgesim.validate.published.findings import Findings, Row
from edgesim.validate.published.group_row import GroupRow
from edgesim.validate.published.testbeds import Run

__all__ = [
    "GROUP_HEADINGS",
    "HEADINGS",
    "TESTBED_HEADINGS",
    "cells",
    "cells_of_group",
    "cells_of_testbed",
    "markdown",
    "replaced",
    "summary",
]

HEADINGS = (
    "device",
    "model",
    "runtime",
    "published",
    "fitted",
    "predicted from the others",
    "error",
    "90 % interval",
)

TESTBED_HEADINGS = (
    "scenario",
    "strategy",
    "what",
    "published",
    "simulated",
    "error",
    "90 % interval",
    "role",
)

GROUP_HEADINGS = ("group", "model", "nodes", "published", "predicted", "error", "95 % interval", "role")

BEGIN, END = "<!-- begin: edgesim validate published -->", "<!-- end: edgesim validate published -->"


def cells(row: Row) -> tuple[str, ...]:
    """Return the table cells of one row, in the source's unit."""
    entry, low_high = row.entry, row.interval
    predicted = entry.in_unit(row.predicted.median_s)
    missed = "" if row.predicted.holds else ", missed"
    mode = f" ({entry.power_mode})" if entry.power_mode else ""
    return (
        entry.device + mode,
        entry.label,
        entry.runtime,
        f"{entry.value:g} {entry.unit}",
        _number(entry.in_unit(row.fitted_s)),
        _number(predicted),
        f"{predicted / entry.value - 1:+.0%}",
        f"{_number(low_high[0])} to {_number(low_high[1])}{missed}",
    )


def _number(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def summary(found: Findings) -> list[str]:
    """Return sentences that summarise the rows."""
    n = len(found.rows)
    better = 1 - found.score / found.one_share_score
    return [
        f"{found.n_inside} of {n} published rates lie in the 90 % intervals that the other {n - 1} predict; "
        f"{n - found.n_wide} of {n} intervals are no wider than 1.5 times (engine and board are known) or "
        f"3 times (elsewhere); the median error is {found.median_error:.0%}.",
        f"Interval score: {found.score:.2f}; of one share of peak for all: {found.one_share_score:.2f} "
        f"({better:.0%} better). The fit has {found.n_parameters} parameters, each with a prior, and "
        f"{n} rates.",
    ]


def cells_of_testbed(run: Run) -> tuple[str, ...]:
    """Return the table cells of a testbed's row, in the source's unit."""
    entry = run.entry
    return (
        entry.scenario,
        entry.strategy,
        entry.label,
        f"{entry.value:g} {entry.metric}",
        "refused" if run.simulated is None else _number(run.simulated),
        "–" if run.error is None else f"{run.error:+.1%}",
        "–" if run.middle_90 is None else f"{_number(run.middle_90[0])} to {_number(run.middle_90[1])}",
        "fitted" if entry.fitted else "predicted",
    )


def cells_of_group(row: GroupRow) -> tuple[str, ...]:
    """Return the table cells of a group's row, fitted to one and two nodes only."""
    return (
        row.device,
        row.model,
        str(row.n_nodes),
        "–" if row.published is None else f"{row.published:g} {row.unit}",
        f"{_number(row.predicted)} {row.unit}",
        "–" if row.error is None else f"{row.error:+.1%}",
        f"{_number(row.low)} to {_number(row.high)}",
        row.role,
    )


def markdown(found: Findings, testbeds: Sequence[Run], groups: Sequence[GroupRow]) -> str:
    """Return all tables as Markdown for the documentation."""
    devices = _table((*HEADINGS, "source"), [(*cells(row), row.entry.source) for row in found.rows])
    testbed_rows = [(*cells_of_testbed(run), run.entry.source) for run in testbeds]
    return "\n\n".join(
        [
            "### Single devices",
            devices,
            "\n".join(summary(found)),
            "### Testbeds",
            _table((*TESTBED_HEADINGS, "source"), testbed_rows),
            "### Groups, fitted to one and two nodes",
            _table(GROUP_HEADINGS, [cells_of_group(row) for row in groups]),
        ]
    )


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def replaced(page: Path, text: str) -> str:
    """Return the text of a page with the part between its two markers replaced.

    Raises
    ------
    InputError
        If the page cannot be read, or lacks the markers.
    """
    try:
        whole = page.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"{page}: cannot be read: {error}; give a Markdown page with the markers {BEGIN}"
        ) from None
    before, begun, rest = whole.partition(BEGIN)
    _, ended, after = rest.partition(END)
    if not (begun and ended):
        raise InputError(f"{page}: no lines {BEGIN} and {END}; add them where the tables should be inserted")
    return f"{before}{BEGIN}\n\n{text}\n\n{END}{after}"
