"""Base class of timeline writers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import BinaryIO

from edgesim.report.perfetto.tracks import Part, Slices, Track, Values

__all__ = ["TimelineWriter"]


class TimelineWriter(ABC):
    """Base class of writers that write a timeline part by part.

    Parameters
    ----------
    file
        Binary output file.
    title
        Title of the timeline.
    names, details
        All names of slices, and of the numbers attached to slices.
    """

    @abstractmethod
    def __init__(self, file: BinaryIO, title: str, names: Sequence[str], details: Sequence[str]) -> None: ...

    def write(self, part: Part) -> None:
        """Write the next part."""
        if isinstance(part, Track):
            self._track(part)
        elif isinstance(part, Slices):
            self._slices(part)
        else:
            self._values(part)

    @abstractmethod
    def close(self) -> None:
        """Write the end of the file."""

    @abstractmethod
    def _track(self, track: Track) -> None: ...

    @abstractmethod
    def _slices(self, slices: Slices) -> None: ...

    @abstractmethod
    def _values(self, values: Values) -> None: ...
