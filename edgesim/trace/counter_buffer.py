"""Buffer in which a run records counters over time, and which converts them to tables in bulk."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from edgesim.trace.schema import CounterName, arrow_schema

__all__ = ["Counter", "CounterBuffer"]

_PART_ROWS = 100_000
_ROW = np.dtype([("code", "<i4"), ("at_s", "<f8"), ("value", "<f8")])
_pack = struct.Struct("<idd").pack


class Counter(NamedTuple):
    """A counter: its name, and its device or radio link direction (from the device to the peer)."""

    name: CounterName
    device: str
    peer: str | None = None


class CounterBuffer:
    """Collects values of counters and writes them as parts of the table ``counters``.

    Parameters
    ----------
    write
        Called with each part.
    """

    def __init__(self, write: Callable[[pa.Table], None]) -> None:
        self._write = write
        self._rows = bytearray()
        self._counters: list[Counter] = []

    def code_of(self, counter: Counter) -> int:
        """Register a counter, and return its integer code for :meth:`add`; call once per counter."""
        self._counters.append(counter)
        return len(self._counters) - 1

    def add(self, code: int, at_s: float, value: float) -> None:
        """Record a value; if not finite, it becomes null. Instants must not decrease."""
        self._rows += _pack(code, at_s, value)
        if len(self._rows) >= _PART_ROWS * _ROW.itemsize:
            self.flush()

    def flush(self) -> None:
        """Write the collected values as one part."""
        rows = np.frombuffer(bytes(self._rows), dtype=_ROW)
        self._rows.clear()
        if not len(rows):
            return
        value, code = rows["value"].copy(), rows["code"]
        columns = {
            "device": _names([counter.device for counter in self._counters], code),
            "peer": _names([counter.peer for counter in self._counters], code),
            "name": _names([counter.name.value for counter in self._counters], code),
            "at_s": rows["at_s"].copy(),
            "value": pa.array(value, mask=~np.isfinite(value)),
        }
        self._write(pa.table(columns, schema=arrow_schema("counters")))


def _names(names: Sequence[str | None], code: npt.NDArray[np.int32]) -> pa.Array:
    """Return each row's name as dictionary-encoded strings, given its code and the names by code."""
    distinct = [name for name in dict.fromkeys(names) if name is not None]
    place = {name: index for index, name in enumerate(distinct)}
    index = np.array([-1 if name is None else place[name] for name in names], dtype=np.int32)[code]
    return pa.DictionaryArray.from_arrays(pa.array(index, mask=index < 0), pa.array(distinct, pa.string()))
