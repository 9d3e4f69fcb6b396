"""Columns of a table, or of a part of one, as numpy arrays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

__all__ = ["ABSENT", "UNKNOWN", "BoolArray", "FloatArray", "IntArray", "Rows"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

ABSENT, UNKNOWN = -1, -2
"""Index of a missing value, and of a value that is not in the table it refers to."""


class Rows:
    """Rows of a table; each column is converted to an array on first access.

    Parameters
    ----------
    name
        Name of the table.
    first
        Number of rows in earlier parts of the table.

    Attributes
    ----------
    table
        The Arrow table as read.
    """

    def __init__(self, name: str, table: pa.Table, first: int = 0) -> None:
        self.name, self.first = name, first
        self.table = table
        self._found: dict[str, Any] = {}

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def column(self, name: str) -> pa.ChunkedArray:
        """Return a column as stored."""
        return self.table.column(name)

    def floats(self, name: str) -> FloatArray:
        """Return a column's numbers as floats, with NaN for nulls."""
        found = self._found.get(name)
        if found is None:
            found = self._found[name] = self.column(name).cast(pa.float64()).to_numpy()
        return found  # type: ignore[no-any-return]

    def ints(self, name: str) -> IntArray:
        """Return a column's integers, with :data:`ABSENT` for nulls."""
        found = self._found.get(name)
        if found is None:
            column = self.column(name)
            found = self._found[name] = column.fill_null(ABSENT).to_numpy().astype(np.int64, copy=False)
        return found  # type: ignore[no-any-return]

    def is_true(self, name: str) -> BoolArray:
        """Return where a Boolean column is true."""
        return self.column(name).fill_null(False).to_numpy()  # type: ignore[no-any-return]

    def is_null(self, name: str) -> BoolArray:
        """Return where a column is null."""
        key = f"{name} is null"
        if key not in self._found:
            column = self.column(name)
            if column.null_count:
                self._found[key] = column.is_null().to_numpy()
            else:
                self._found[key] = np.zeros(len(self), dtype=bool)
        return self._found[key]  # type: ignore[no-any-return]

    def names(self, name: str) -> tuple[IntArray, list[str]]:
        """Return a column's names as indices (:data:`ABSENT` for null) into a list of names, and the list."""
        key = f"{name} in names"
        if key not in self._found:
            column = self.column(name)
            whole = column.unify_dictionaries().combine_chunks()
            if isinstance(whole, pa.ChunkedArray):  # no chunks, or chunks that pyarrow did not combine
                whole = pa.concat_arrays(whole.chunks) if whole.num_chunks else None
            if whole is None:
                self._found[key] = (np.zeros(0, dtype=np.int64), [])
            else:
                places = whole.indices.fill_null(ABSENT).to_numpy(zero_copy_only=False)
                self._found[key] = (places.astype(np.int64), whole.dictionary.to_pylist())
        return self._found[key]  # type: ignore[no-any-return]

    def places(self, name: str, known: Mapping[str, int]) -> IntArray:
        """Return a column's names as indices in `known`, with :data:`UNKNOWN` for other names."""
        places, names = self.names(name)
        return np.array([*(known.get(one, UNKNOWN) for one in names), ABSENT], dtype=np.int64)[places]

    def named(self, column: str, *names: str) -> BoolArray:
        """Return where a column has one of the given names."""
        key = f"{column} is {names}"
        if key not in self._found:
            places, found = self.names(column)
            self._found[key] = np.array([*(one in names for one in found), False])[places]
        return self._found[key]  # type: ignore[no-any-return]

    def keep(self, key: str, value: Any) -> Any:
        """Cache a value computed from these rows, and return it."""
        self._found[key] = value
        return value

    def kept(self, key: str) -> Any:
        """Return a cached value, or None."""
        return self._found.get(key)

    def value(self, column: str, row: int) -> Any:
        """Return the value of a column in a row."""
        return self.column(column)[row].as_py()

    def whose(self, row: int) -> str:
        """Return text that identifies a row: its number, and its request or device."""
        place = f"row {self.first + row}"
        if self.name == "spans":
            request = self.value("request_id", row)
            of = "" if request is None else f" of request {request}"
            return f"{place} ({self.value('kind', row)}{of} on {self.value('device', row)})"
        key = "request_id" if self.name == "requests" else "device"
        return f"{place} ({key.removesuffix('_id')} {self.value(key, row)})"
