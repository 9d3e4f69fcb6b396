"""Interface of traces that can be checked against the laws."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Protocol

import pyarrow as pa

__all__ = ["Readable"]


class Readable(Protocol):
    """Protocol of a trace that the laws read, implemented by :class:`edgesim.trace.reader.Trace`."""

    @property
    def run(self) -> Mapping[str, object]:
        """Contents of ``run.json``."""
        ...

    @property
    def strategies(self) -> tuple[str, ...]:
        """Labels of the strategies that have tables."""
        ...

    def replications(self, strategy: str) -> tuple[int, ...]:
        """Return the complete replications of a strategy."""
        ...

    def replications_with(self, table: str, strategy: str) -> tuple[int, ...]:
        """Return the replications of a strategy for which a table exists."""
        ...

    def has_spans(self, strategy: str, replication: int) -> bool:
        """Whether the trace contains spans of this run."""
        ...

    def parts(self, table: str, strategy: str, replication: int) -> Iterator[pa.Table]:
        """Yield a table of one run as stored, one part at a time."""
        ...
