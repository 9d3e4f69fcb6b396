"""A table, or a part of one, as arrays by column."""

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
"""Place of a name or number that is not there, and of one that nothing else knows."""


class Rows:
    """Rows of a table; each column is converted when it is first asked for.

    Parameters
    ----------
    name
        The table's.
    first
        Rows of the table in earlier parts.

    Attributes
    ----------
    table
        As it was read.
    """

    def __init__(self, name: str, table: pa.Table, first: int = 0) -> None:
        self.name, self.first = name, first
        self.table = table
        self._found: dict[str, Any] = {}

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def column(self, name: str) -> pa.ChunkedArray:
        """A column as it is."""
        return self.table.column(name)

    def floats(self, name: str) -> FloatArray:
        """A column's numbers; not a number where there is none."""
        found = self._found.get(name)
        if found is None:
            found = self._found[name] = self.column(name).cast(pa.float64()).to_numpy()
        return found  # type: ignore[no-any-return]

    def ints(self, name: str) -> IntArray:
        """A column's whole numbers; :data:`ABSENT` where there is none."""
        found = self._found.get(name)
        if found is None:
            column = self.column(name)
            found = self._found[name] = column.fill_null(ABSENT).to_numpy().astype(np.int64, copy=False)
        return found  # type: ignore[no-any-return]

    def is_true(self, name: str) -> BoolArray:
        """Where a column of yes and no says yes."""
        return self.column(name).fill_null(False).to_numpy()  # type: ignore[no-any-return]

    def is_null(self, name: str) -> BoolArray:
        """Where a column has no value."""
        key = f"{name} is null"
        if key not in self._found:
            column = self.column(name)
            if column.null_count:
                self._found[key] = column.is_null().to_numpy()
            else:
                self._found[key] = np.zeros(len(self), dtype=bool)
        return self._found[key]  # type: ignore[no-any-return]

    def names(self, name: str) -> tuple[IntArray, list[str]]:
        """A column's names, as places (:data:`ABSENT` of none) in a list of those that occur."""
        key = f"{name} in names"
        if key not in self._found:
            column = self.column(name)
            whole = column.unify_dictionaries().combine_chunks()
            if isinstance(whole, pa.ChunkedArray):  # of none, or of several that pyarrow keeps apart
                whole = pa.concat_arrays(whole.chunks) if whole.num_chunks else None
            if whole is None:
                self._found[key] = (np.zeros(0, dtype=np.int64), [])
            else:
                places = whole.indices.fill_null(ABSENT).to_numpy(zero_copy_only=False)
                self._found[key] = (places.astype(np.int64), whole.dictionary.to_pylist())
        return self._found[key]  # type: ignore[no-any-return]

    def places(self, name: str, known: Mapping[str, int]) -> IntArray:
        """A column's names as places among known ones; :data:`UNKNOWN` of any other."""
        places, names = self.names(name)
        return np.array([*(known.get(one, UNKNOWN) for one in names), ABSENT], dtype=np.int64)[places]

    def named(self, column: str, *names: str) -> BoolArray:
        """Where a column has one of these names."""
        key = f"{column} is {names}"
        if key not in self._found:
            places, found = self.names(column)
            self._found[key] = np.array([*(one in names for one in found), False])[places]
        return self._found[key]  # type: ignore[no-any-return]

    def keep(self, key: str, value: Any) -> Any:
        """Keep what was worked out about these rows."""
        self._found[key] = value
        return value

    def kept(self, key: str) -> Any:
        """What was kept; None if nothing was."""
        return self._found.get(key)

    def value(self, column: str, row: int) -> Any:
        """One value."""
        return self.column(column)[row].as_py()

    def whose(self, row: int) -> str:
        """Which row it is, in words."""
        place = f"row {self.first + row}"
        if self.name == "spans":
            request = self.value("request_id", row)
            of = "" if request is None else f" of request {request}"
            return f"{place} ({self.value('kind', row)}{of} on {self.value('device', row)})"
        key = "request_id" if self.name == "requests" else "device"
        return f"{place} ({key.removesuffix('_id')} {self.value(key, row)})"
