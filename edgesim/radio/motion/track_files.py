"""Files of recorded tracks, recognised by their contents: CSV, and SUMO's floating car data.

CSV has the columns ``t`` [s], ``id``, ``x`` and ``y`` [m]; column names may include units (``t_ms``,
``x_km``). Floating car data (FCD) is what the traffic simulator SUMO writes with ``--fcd-output``: an XML
document of ``timestep`` elements with a ``time``, each of which contains ``vehicle`` (``person``,
``container``) elements with ``id``, ``x`` and ``y``. Coordinates are metres in the plane; degrees of
longitude and latitude (``--fcd-output.geo``) are refused.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from xml.parsers import expat

from edgesim.errors import RecordingError
from edgesim.nearest import suggest
from edgesim.radio.motion.recording_file import header_of, number_in, opened, refuse, rows_of, start_of
from edgesim.units import DISTANCE

__all__ = ["Recording", "read_recording"]

EXPECTED = "expected CSV with the columns t, id, x, y (seconds, metres), or SUMO's floating car data (XML)"

_Points = dict[str, list[tuple[float, float, float]]]

_THINGS = frozenset({"vehicle", "person", "container"})
_CHUNK_CHARS = 1 << 16
_MOST_TAG_BYTES = 1 << 22
_TIMES = {"t": 1.0, "t_s": 1.0, "t_ms": 1e-3}
_PLACES = {"": 1.0, "_m": 1.0, "_km": 1e3}
_DEGREES = frozenset({"lon", "lat", "longitude", "latitude", "lng"})

# A degree is about 1.1e5 m (or 6e4 m along a circle of latitude at 57°). If the speeds imply a thousand
# times the distance between coordinates, these are not metres; no measurement error is that large.
_SPEEDOMETER_RATIO = 1e3
_LEAST_WAY_M = 10.0


@dataclass(frozen=True)
class Recording:
    """Contents of a file of tracks.

    Attributes
    ----------
    points
        By id: rising instants [s] and coordinates [m], in the file's order.
    steps_s
        All instants of the recording [s], in order, including those without any point; None if the format
        does not list them.
    """

    points: Mapping[str, Sequence[tuple[float, float, float]]]
    steps_s: Sequence[float] | None = None


def read_recording(path: Path) -> Recording:
    """Read all tracks of a file.

    Raises
    ------
    RecordingError
        With the number of the wrong line.
    """
    start = start_of(path)
    if start[:1] in ("{", "["):
        refuse(path, 1, f"found {start[:40]!r}; {EXPECTED}")
    return _sumo(path) if start.startswith("<") else _csv(path)


def _csv(path: Path) -> Recording:
    header = header_of(path)
    columns = _columns(path, header)
    points: _Points = defaultdict(list)
    for line, row in rows_of(path, ("id", *(name for name, _ in columns))):
        at_s, x_m, y_m = (number_in(path, line, row, name) * factor for name, factor in columns)
        _add(points, path, line, row["id"].strip(), (at_s, x_m, y_m))
    return Recording(_all(points, path))


def _columns(path: Path, header: Sequence[str]) -> list[tuple[str, float]]:
    """Return the columns of instants and coordinates, each with its factor to seconds or metres."""
    degrees = [name for name in header if name.casefold() in _DEGREES]
    if degrees:
        refuse(
            path,
            1,
            f"the column {degrees[0]!r} has degrees; expected x and y in metres: project them to a plane",
        )
    found = []
    for what, units in (
        ("t", _TIMES),
        ("x", {f"x{suffix}": factor for suffix, factor in _PLACES.items()}),
        ("y", {f"y{suffix}": factor for suffix, factor in _PLACES.items()}),
    ):
        names = [name for name in header if name.casefold() in units]
        if len(names) > 1:
            refuse(path, 1, f"two columns of {what}, {names[0]!r} and {names[1]!r}; leave one out")
        if not names:
            refuse(path, 1, f"no column {what!r} in the header; {suggest(what, header)}; {EXPECTED}")
        found.append((names[0], units[names[0].casefold()]))
    return found


def _sumo(path: Path) -> Recording:
    """Read SUMO's floating car data.

    Documents that declare a type or entities are refused, so that a small file cannot expand into a
    large one. The document is parsed in chunks and not stored.
    """
    points: _Points = defaultdict(list)
    steps_s: list[float] = []
    driven_m_by_id: dict[str, float] = defaultdict(float)
    parser = expat.ParserCreate()

    def begin(name: str, attributes: dict[str, str]) -> None:
        line = parser.CurrentLineNumber
        if name == "timestep":
            _demand(path, line, name, attributes, ("time",))
            at_s = number_in(path, line, attributes, "time")
            if steps_s and at_s < steps_s[-1]:
                refuse(path, line, f"a timestep at {at_s:g} after {steps_s[-1]:g}; expected rising instants")
            steps_s.append(at_s)
        elif name in _THINGS and steps_s:
            _demand(path, line, name, attributes, ("id", "x", "y"))
            x_m, y_m = (number_in(path, line, attributes, column) for column in ("x", "y"))
            known = points[attributes["id"]][-1:]
            if known and "speed" in attributes:
                speed_m_per_s = abs(number_in(path, line, attributes, "speed"))
                driven_m_by_id[attributes["id"]] += speed_m_per_s * (steps_s[-1] - known[0][0])
            _add(points, path, line, attributes["id"], (steps_s[-1], x_m, y_m))

    def declare(*_: object) -> None:
        refuse(
            path,
            parser.CurrentLineNumber,
            "a document type or an entity is declared; expected SUMO's plain document, without any",
        )

    parser.StartElementHandler = begin
    parser.StartDoctypeDeclHandler = declare
    parser.EntityDeclHandler = declare
    n_bytes = 0
    try:
        with opened(path) as text:
            while chunk := text.read(_CHUNK_CHARS):
                parser.Parse(chunk, False)
                n_bytes += len(chunk.encode())
                # The parser consumes characters between tags at once; only an unfinished tag is buffered.
                if n_bytes - parser.CurrentByteIndex > _MOST_TAG_BYTES:
                    refuse(path, parser.CurrentLineNumber, f"a tag of more than {_MOST_TAG_BYTES} bytes")
            parser.Parse("", True)
    except expat.ExpatError as error:
        refuse(path, error.lineno, f"not XML: {expat.ErrorString(error.code)}")
    found = _all(points, path)
    _refuse_degrees(path, found, driven_m_by_id)
    return Recording(found, steps_s)


def _refuse_degrees(path: Path, points: _Points, driven_m_by_id: Mapping[str, float]) -> None:
    """Refuse coordinates that contradict the vehicles' recorded speeds."""
    driven_m = sum(driven_m_by_id.values())
    if any(abs(x_m) > 180 or abs(y_m) > 90 for track in points.values() for _, x_m, y_m in track):
        return
    moved_m = sum(
        math.dist(before[1:], after[1:]) for track in points.values() for before, after in pairwise(track)
    )
    if driven_m > _LEAST_WAY_M and 0.0 < moved_m * _SPEEDOMETER_RATIO < driven_m:
        raise RecordingError(
            f"{path}: by their speeds its vehicles drive {driven_m:.3g} m, by their coordinates "
            f"{moved_m:.3g} m: these are degrees; expected metres: write the file without --fcd-output.geo"
        )


def _demand(path: Path, line: int, name: str, attributes: Mapping[str, str], wanted: tuple[str, ...]) -> None:
    missing = [attribute for attribute in wanted if attribute not in attributes]
    if missing:
        refuse(path, line, f"a {name} without {', '.join(missing)}; expected SUMO's floating car data")


def _add(points: _Points, path: Path, line: int, id_: str, point: tuple[float, float, float]) -> None:
    if not id_:
        refuse(path, line, "an empty id; expected a name for each track")
    if not all(DISTANCE.holds(each_m) for each_m in point[1:]):
        refuse(
            path,
            line,
            f"{id_!r} is at {point[1]:g}, {point[2]:g} m; expected {DISTANCE.range_text} from the origin",
        )
    before = points[id_][-1:]
    if before and point[0] <= before[0][0]:
        refuse(
            path,
            line,
            f"{id_!r} is at t = {point[0]:g} after t = {before[0][0]:g}; expected its instants to rise",
        )
    points[id_].append(point)


def _all(points: _Points, path: Path) -> _Points:
    if not points:
        raise RecordingError(f"{path}: no points; {EXPECTED}, with one point or more")
    return dict(points)
