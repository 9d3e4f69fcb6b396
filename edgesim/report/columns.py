"""Tables that fit the available width by leaving out the least important columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.box import SIMPLE_HEAD
from rich.console import Console, ConsoleOptions
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

__all__ = ["Column", "fitting", "table_of"]


@dataclass(frozen=True, slots=True)
class Column:
    """A column with all its cells. The highest rank is dropped first; rank 0 is never dropped."""

    head: str
    cells: tuple[Text, ...]
    rank: int
    justify_left: bool = False


def fitting(columns: Sequence[Column], console: Console, options: ConsoleOptions) -> list[Column]:
    """Drop columns, the highest rank first, until the table fits the available width."""
    shown = list(columns)
    unlimited = options.update(width=10_000)
    while Measurement.get(console, unlimited, table_of(shown)).maximum > options.max_width:
        expendable = [column for column in shown if column.rank]
        if not expendable:
            break
        shown.remove(max(expendable, key=lambda column: column.rank))
    return shown


def table_of(columns: Sequence[Column]) -> Table:
    """Create a rich table from columns."""
    table = Table(box=SIMPLE_HEAD, padding=(0, 1), collapse_padding=True, pad_edge=False, header_style="")
    for column in columns:
        justify = "left" if column.justify_left else "right"
        table.add_column(column.head, justify=justify, vertical="bottom", overflow="fold")  # type: ignore[arg-type]
    for cells in zip(*(column.cells for column in columns), strict=True):
        table.add_row(*cells)
    return table
