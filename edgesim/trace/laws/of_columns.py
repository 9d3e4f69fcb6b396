"""Laws of single columns from the schema: type, nulls, bounds and permitted names."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from edgesim.trace.laws.law import Law
from edgesim.trace.laws.rows import Rows
from edgesim.trace.schema import ALL_TABLES, TABLES, Column

__all__ = ["OWN", "of_columns", "of_types"]


def _own(table: str, column: str) -> Law:
    return Law(f"{table}.{column}", "a value that the schema permits")


OWN: dict[tuple[str, str], Law] = {
    (table, column.name): _own(table, column.name) for table, columns in TABLES.items() for column in columns
}
"""Schema laws by table and column, for the tables that every trace has."""


def _there(name: str, table: pa.Table) -> list[Column]:
    """Return the schema's columns that were read; the reader has checked that requested columns exist."""
    return [column for column in ALL_TABLES[name] if column.name in table.column_names]


def of_types(name: str, table: pa.Table) -> Iterator[str]:
    """Check the types of all columns; if any is wrong, no other law can be checked."""
    for column in _there(name, table):
        found, is_name = table.schema.field(column.name).type, pa.types.is_dictionary(column.type)
        if is_name:
            fits = pa.types.is_dictionary(found) and pa.types.is_string(found.value_type)
        else:
            fits = found == column.type
        if not fits:
            expected = "names" if is_name else column.type
            yield _own(name, column.name).sentence("all rows", f"values of type {found}", f"{expected}")


def of_columns(rows: Rows) -> Iterator[str]:
    """Check every column's nulls, bounds and names against the schema."""
    for column in _there(rows.name, rows.table):
        law = _own(rows.name, column.name)
        if not column.nullable:
            yield from _as(law, "a value").broken(rows, rows.is_null(column.name))
        if pa.types.is_dictionary(column.type):
            yield from _names(law, column, rows)
        elif not pa.types.is_boolean(column.type):
            yield from _numbers(law, column, rows)


def _names(law: Law, column: Column, rows: Rows) -> Iterator[str]:
    places, names = rows.names(column.name)
    known = None if column.among is None else {one.value for one in column.among}
    wrong = [name is None or (not name if known is None else name not in known) for name in names]
    if any(wrong):
        says = "a name" if known is None else f"one of {', '.join(sorted(known))}"
        yield from _as(law, says).broken(rows, np.array([*wrong, False])[places])


def _numbers(law: Law, column: Column, rows: Rows) -> Iterator[str]:
    is_float = pa.types.is_floating(column.type)
    values = rows.floats(column.name) if is_float else rows.ints(column.name)
    is_there = ~rows.is_null(column.name)
    if is_float:
        yield from _as(law, "a finite number").broken(rows, is_there & ~np.isfinite(values))
    below = is_there & (values < column.at_least)
    yield from _as(law, f"{column.at_least:g} or more").broken(rows, below)
    if column.at_most < math.inf:
        above = is_there & (values > column.at_most)
        yield from _as(law, f"{column.at_most:g} or less").broken(rows, above)


def _as(law: Law, says: str) -> Law:
    return Law(law.column, says)
