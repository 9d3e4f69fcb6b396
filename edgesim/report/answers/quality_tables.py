"""Tables of measured answers: perplexity over the levels of each impairment, and early exits."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from edgesim.model.answers.exit_records import ExitRecords
from edgesim.model.answers.impaired_answers import CLEAN, QualityRow, QualityTable

__all__ = [
    "ExitRow",
    "ExitsTable",
    "Measured",
    "QualityReport",
    "as_rows",
    "by_kind",
    "column_name",
    "level_name",
    "plain_table",
]

_BARS = "▁▂▃▄▅▆▇█"
_PARTS = " ▏▎▍▌▋▊▉"
_THRESHOLDS = (0.3, 0.5, 0.7, 0.9)
_TITLES = {
    "noise": "noise on every all-reduce; level: normalised mean square error",
    "device-noise": "noise on each device's part of every all-reduce; level: normalised error of a part",
    "quantised": "values of every all-reduce rounded; level: bits",
    "erasure": "elements of the hidden state lost; level: probability",
    "erasure-rescaled": "elements lost, the others scaled by 1/(1 - p); level: probability",
    "packet-erasure": "packets of 64 elements lost; level: probability",
    "faded-noise-m1": "noise over Rayleigh fading on every all-reduce; level: its error at the mean gain",
    "faded-noise-m2": "noise over Nakagami fading with m = 2 on every all-reduce; level: the same",
}


class Measured(Protocol):
    """Interface of :class:`edgesim.measure.quality_cache.MeasuredAnswers`."""

    @property
    def table(self) -> QualityTable: ...
    @property
    def exits(self) -> ExitRecords: ...


class ExitRow(Protocol):
    """Interface of :class:`edgesim.measure.exits.ExitQuality`: one exit."""

    @property
    def block(self) -> int: ...
    @property
    def temperature(self) -> float: ...
    @property
    def bits_per_byte(self) -> float: ...
    @property
    def nll(self) -> float: ...
    @property
    def accuracy(self) -> float: ...
    @property
    def calibration_error(self) -> float: ...


@dataclass(frozen=True, slots=True)
class QualityReport:
    """A rich renderable: clean answers, one table per kind of impairment, and two of early exits."""

    measured: Measured

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Render the headline, the tables and a note on the measurement."""
        table = self.measured.table
        clean, stated = table.clean, table.provenance
        n_tokens = next(row.n_tokens for row in table.rows if row.name == CLEAN)
        yield Text(
            f"{stated.get('model', 'a model')} on {stated.get('text', 'a text')}: perplexity "
            f"{clean.perplexity:.2f} ± {clean.perplexity_se:.2f}, right {clean.accuracy:.1%} ± "
            f"{clean.accuracy_se:.1%} of {n_tokens:,} tokens (± one standard error over windows)",
            style="bold",
        )
        for name, rows in by_kind(table).items():
            yield Text(f"\nPerplexity with {_TITLES.get(name, name)}")
            yield _kind_table(rows)
        if self.measured.exits.nll is not None:
            yield Text("\nEvery exit, if all tokens exited there (± one standard error)")
            yield _exits_table(self.measured.exits)
        yield Text("\nExit at the first exit with at least this confidence")
        yield _leaving_table(self.measured.exits)
        yield Text(_note(stated), style="dim")


@dataclass(frozen=True, slots=True)
class ExitsTable:
    """A rich renderable: quality of every exit on held-out text."""

    rows: Sequence[ExitRow]
    title: str

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Render the title and one row per exit."""
        yield Text(self.title, style="bold")
        table = plain_table(
            "after block", "bits/byte", "perplexity", "right", "calibration error", "temperature"
        )
        for row in self.rows:
            table.add_row(
                str(row.block),
                f"{row.bits_per_byte:.3f}",
                f"{math.exp(row.nll):.2f}",
                f"{row.accuracy:.1%}",
                f"{row.calibration_error:.3f}",
                f"{row.temperature:.3f}",
            )
        yield table


def by_kind(table: QualityTable) -> dict[str, list[QualityRow]]:
    """Group the rows by kind of impairment, in the table's order; clean answers are left out."""
    found: dict[str, list[QualityRow]] = defaultdict(list)
    for row in table.rows:
        if row.name != CLEAN:
            found[row.name].append(row)
    return dict(found)


def column_name(row: QualityRow) -> str:
    """Return the heading that distinguishes a row from others of its kind and level."""
    if row.block is not None:
        return f"after {row.block}"
    if row.n_devices is not None:
        return f"{row.n_devices} device{'s' * (row.n_devices > 1)}"
    return "perplexity"


def level_name(level: float) -> str:
    """Format a level; ∞ from 1000 on."""
    return f"{level:.2g}" if level < 1000 else "∞"


def as_rows(measured: Measured) -> dict[str, Any]:
    """Return plain values for JSON: all points, every exit, and the results at confidence thresholds."""
    return {
        "provenance": dict(measured.table.provenance),
        "rows": [
            {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in asdict(row).items()}
            | {"perplexity": math.exp(row.nll)}
            for row in measured.table.rows
        ],
        "exits": [_exit_values(measured.exits, block) for block in measured.exits.blocks],
        "leaving": [
            {
                "confidence": threshold,
                "shares": shares.tolist(),
                "accuracy": right,
                "nll": nll,
                "mean_block": block,
            }
            for threshold, shares, right, nll, block in _leaving(measured.exits)
        ],
    }


def _exit_values(records: ExitRecords, block: int) -> dict[str, Any]:
    """Return the quality of one exit if all tokens exited there; losses only if they were recorded."""
    values: dict[str, Any] = {"block": block, "calibration_error": records.calibration_error(block)}
    if records.nll is not None:
        stated = records.at_exit(block)
        values |= {"nll": stated.nll, "nll_se": stated.nll_se, "perplexity": stated.perplexity}
        values |= {"accuracy": stated.accuracy, "accuracy_se": stated.accuracy_se}
    return {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in values.items()}


def _kind_table(rows: Sequence[QualityRow]) -> Table:
    columns = list(dict.fromkeys(column_name(row) for row in rows))
    levels = list(dict.fromkeys(row.level for row in rows))
    found = {(row.level, column_name(row)): row for row in rows}
    table = plain_table("level", *columns)
    for level in levels:
        cells = [found.get((level, column)) for column in columns]
        table.add_row(level_name(level), *("–" if cell is None else _perplexity(cell) for cell in cells))
    ordered = [[found[level, column] for level in levels if (level, column) in found] for column in columns]
    highest = max(row.nll_rise for row in rows)
    table.add_row("", *(_bars([row.nll_rise for row in own], highest) for own in ordered), style="cyan")
    return table


def _perplexity(row: QualityRow) -> str:
    value = math.exp(row.nll)
    return f"{value:.2f}" if value < 100 else f"{value:.3g}" if value < 1e5 else f"{value:.1e}"


def _bars(rises: Sequence[float], highest: float) -> str:
    top = len(_BARS) - 1
    shares = [max(0.0, rise) / highest if highest > 0 else 0.0 for rise in rises]
    return "".join(_BARS[min(top, round(share * top))] for share in shares)


def _exits_table(records: ExitRecords) -> RenderableType:
    table = plain_table("after block", "perplexity", "right", "calibration error", "")
    every = {block: records.at_exit(block) for block in records.blocks}
    best = max(stated.accuracy for stated in every.values())
    for block, stated in every.items():
        table.add_row(
            str(block),
            f"{stated.perplexity:.2f} ± {stated.perplexity_se:.2f}",
            f"{stated.accuracy:.1%} ± {stated.accuracy_se:.1%}",
            f"{records.calibration_error(block):.3f}",
            _bar(stated.accuracy / best if best > 0 else 0.0),
        )
    return table


def _bar(share: float) -> Text:
    """Draw a bar of at most ten columns, with a resolution of an eighth of a column."""
    whole, rest = divmod(round(10 * len(_PARTS) * share), len(_PARTS))
    return Text(("█" * whole + _PARTS[rest]).ljust(11), style="cyan")


def _leaving(records: ExitRecords) -> Iterator[tuple[float, Any, float, float | None, float]]:
    n_inner = len(records.blocks) - 1
    for threshold in (0.0, *_THRESHOLDS, 1.1):
        at = [threshold] * n_inner
        nll = None if records.nll is None else records.mean_nll(at)
        yield threshold, records.shares(at), records.accuracy(at), nll, records.mean_block(at)


def _leaving_table(records: ExitRecords) -> RenderableType:
    table = plain_table(
        "confidence",
        *(f"exit after {block}" for block in records.blocks),
        "mean blocks",
        "perplexity",
        "right",
    )
    for threshold, shares, right, nll, block in _leaving(records):
        table.add_row(
            "never" if threshold > 1 else f"{threshold:g}",
            *(f"{share:.1%}" for share in np.asarray(shares)),
            f"{block:.2f}",
            "–" if nll is None else f"{math.exp(nll):.2f}",
            f"{right:.1%}",
        )
    return table


def _note(stated: Any) -> str:
    if "measured_at" not in stated:
        return ""
    versions = ", ".join(f"{name} {version}" for name, version in dict(stated.get("versions", {})).items())
    return f"measured {stated['measured_at'][:10]} ({versions}); bars: rise of the loss"


def plain_table(*headings: str) -> Table:
    """Create an empty table with bold, right-aligned headings and no rules between rows."""
    table = Table(box=SIMPLE_HEAD, padding=(0, 1), collapse_padding=True, pad_edge=False, header_style="bold")
    for heading in headings:
        table.add_column(heading, justify="right")
    return table
