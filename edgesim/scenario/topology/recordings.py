"""From what a scenario says of a recorded link to the rates of its two ways."""

from __future__ import annotations

from pathlib import Path

from edgesim.errors import RecordingError
from edgesim.files import user_path
from edgesim.radio.motion.rate_files import read_rates
from edgesim.radio.motion.recorded import RecordedRate
from edgesim.scenario.schema.by_way import ByWay, ways
from edgesim.scenario.schema.topology import RecordedEntry

__all__ = ["recorded_rates"]


def recorded_rates(entry: RecordedEntry, folder: Path) -> ByWay[RecordedRate]:
    """Read the rates of a recorded link's two ways.

    Raises
    ------
    RecordingError
        If a file cannot be read, or says both ways where it is asked for one.
    """
    paths = ways(entry.file).map(lambda file: user_path(folder, file))
    if paths.is_one:
        return ByWay(*read_rates(paths.up, unit=entry.unit))
    found = []
    for path in paths:
        up, down = read_rates(path, unit=entry.unit)
        if up is not down:
            raise RecordingError(f"{path}: has a rate for each way; name it alone, as 'file: {path.name}'")
        found.append(up)
    return ByWay(*found)
