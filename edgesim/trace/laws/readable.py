"""What the laws ask of a trace: they are held to anything that can be read like this."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Protocol

import pyarrow as pa

__all__ = ["Readable"]


class Readable(Protocol):
    """A trace as the laws read it; :class:`edgesim.trace.reader.Trace` is one."""

    @property
    def run(self) -> Mapping[str, object]:
        """What ``run.json`` says."""
        ...

    @property
    def strategies(self) -> tuple[str, ...]:
        """Labels of the strategies that have anything on disk."""
        ...

    def replications(self, strategy: str) -> tuple[int, ...]:
        """Replications of one strategy that are whole."""
        ...

    def replications_with(self, table: str, strategy: str) -> tuple[int, ...]:
        """Replications of one strategy of which a table is there."""
        ...

    def has_spans(self, strategy: str, replication: int) -> bool:
        """Whether spans of this run are there."""
        ...

    def parts(self, table: str, strategy: str, replication: int) -> Iterator[pa.Table]:
        """A table of one run as it is on disk, a part at a time."""
        ...
