"""Rates of the two directions of a recorded link."""

from __future__ import annotations

from pathlib import Path

from edgesim.errors import RecordingError
from edgesim.files import user_path
from edgesim.radio.motion.rate_files import read_rates
from edgesim.radio.motion.recorded import RecordedRate
from edgesim.scenario.schema.by_way import ByDirection, ways
from edgesim.scenario.schema.topology import RecordedEntry

__all__ = ["recorded_rates"]


def recorded_rates(entry: RecordedEntry, folder: Path) -> ByDirection[RecordedRate]:
    """Return the recorded rates of a link's two directions.

    Raises
    ------
    RecordingError
        If a file cannot be read, or contains both directions where one is expected.
    """
    paths = ways(entry.file).map(lambda file: user_path(folder, file))
    if paths.is_one:
        return ByDirection(*read_rates(paths.up, unit=entry.unit))
    found = []
    for path in paths:
        up, down = read_rates(path, unit=entry.unit)
        if up is not down:
            raise RecordingError(
                f"{path}: has rates for both directions; name it alone, as 'file: {path.name}'"
            )
        found.append(up)
    return ByDirection(*found)
