"""What writers of timelines share, whatever the format: parts as they come."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import BinaryIO

from edgesim.report.perfetto.tracks import Part, Slices, Track, Values

__all__ = ["TimelineWriter"]


class TimelineWriter(ABC):
    """Writes a timeline, part by part.

    Parameters
    ----------
    file
        Takes the bytes.
    title
        Of the whole.
    names, details
        All names of slices, and of what stands beside them.
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
        """Write what ends the file."""

    @abstractmethod
    def _track(self, track: Track) -> None: ...

    @abstractmethod
    def _slices(self, slices: Slices) -> None: ...

    @abstractmethod
    def _values(self, values: Values) -> None: ...
