"""Recorded tracks: where terminals were, from CSV files or SUMO's floating car data.

CSV has the columns ``t`` [s], ``id``, ``x`` and ``y`` [m]. Floating car data (FCD) is what the traffic
simulator SUMO writes with ``--fcd-output``: an XML document of ``timestep`` elements with a ``time``, and
within each a ``vehicle`` (or ``person``, or ``container``) with ``id``, ``x`` and ``y``. Coordinates count
as metres in the plane; files written with geographic coordinates (``--fcd-output.geo``) have degrees, and are
not what is expected here.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from xml.parsers import expat

from edgesim.errors import RecordingError
from edgesim.radio.mobility import Place
from edgesim.radio.recording_file import number_in, opened, refuse, rows_of

__all__ = ["RecordedTrack", "read_sumo", "read_track_csv", "read_tracks"]

Points = dict[str, list[tuple[float, float, float]]]
"""By id: instants [s] and coordinates [m], in the file's order."""

_THINGS = frozenset({"vehicle", "person", "container"})
_CHUNK_CHARS = 1 << 16


class RecordedTrack:
    """A track through recorded points: straight and even between two, at rest before and after them all.

    Parameters
    ----------
    points
        Instants [s], rising, and coordinates [m].
    starts_at_s
        Which instant of the recording is time zero.
    """

    def __init__(self, points: Iterable[tuple[float, float, float]], *, starts_at_s: float = 0.0) -> None:
        kept = list(points)
        if not kept:
            raise RecordingError("recorded track: no points; expected one or more")
        self._times_s = [at_s - starts_at_s for at_s, _, _ in kept]
        self._places_m: list[Place] = [(x_m, y_m) for _, x_m, y_m in kept]
        if any(b <= a for a, b in zip(self._times_s, self._times_s[1:], strict=False)):
            raise RecordingError(
                "recorded track: its instants do not rise; expected each after the one before"
            )

    @property
    def moves(self) -> bool:
        """Whether two of its points differ."""
        return len(set(self._places_m)) > 1

    @property
    def ends_at_s(self) -> float:
        """When the last point is reached [s]."""
        return self._times_s[-1]

    def position(self, at_s: float) -> Place:
        """Coordinates at an instant [m]."""
        number = bisect_right(self._times_s, at_s)
        if number == 0:
            return self._places_m[0]
        if number == len(self._times_s):
            return self._places_m[-1]
        from_s, to_s = self._times_s[number - 1], self._times_s[number]
        (x_m, y_m), (to_x_m, to_y_m) = self._places_m[number - 1], self._places_m[number]
        done = (at_s - from_s) / (to_s - from_s)
        return (x_m + done * (to_x_m - x_m), y_m + done * (to_y_m - y_m))

    def speed(self, at_s: float) -> float:
        """Speed at an instant [m/s]; 0 before the first point and after the last."""
        number = bisect_right(self._times_s, at_s)
        if not 0 < number < len(self._times_s):
            return 0.0
        way_m = math.dist(self._places_m[number - 1], self._places_m[number])
        return way_m / (self._times_s[number] - self._times_s[number - 1])


def read_tracks(path: Path, *, starts_at_s: float = 0.0) -> Mapping[str, RecordedTrack]:
    """Read every track of a file, by id: floating car data where it is called ``.xml``, else CSV.

    Either may be packed (``.gz``).

    Parameters
    ----------
    starts_at_s
        Which instant of the recording is time zero.

    Raises
    ------
    RecordingError
        With the line that is wrong.
    """
    suffixes = [suffix.lower() for suffix in path.suffixes if suffix.lower() != ".gz"]
    points = read_sumo(path) if suffixes[-1:] == [".xml"] else read_track_csv(path)
    return {id_: RecordedTrack(told, starts_at_s=starts_at_s) for id_, told in points.items()}


def read_track_csv(path: Path) -> Points:
    """Read the points of a CSV file with the columns t, id, x and y."""
    points: Points = defaultdict(list)
    for line, row in rows_of(path, ("t", "id", "x", "y")):
        at_s, x_m, y_m = (number_in(path, line, row, column) for column in ("t", "x", "y"))
        _add(points, path, line, row["id"].strip(), (at_s, x_m, y_m))
    return _all(points, path)


def read_sumo(path: Path) -> Points:
    """Read the points of SUMO's floating car data.

    Documents that declare a type or entities are refused, so that none can make a small file expand into a
    large one; the document is read in pieces and not kept.
    """
    points: Points = defaultdict(list)
    parser = expat.ParserCreate()
    at_s: float | None = None

    def begin(name: str, attributes: dict[str, str]) -> None:
        nonlocal at_s
        line = parser.CurrentLineNumber
        if name == "timestep":
            _demand(path, line, name, attributes, ("time",))
            at_s = number_in(path, line, attributes, "time")
        elif name in _THINGS and at_s is not None:
            _demand(path, line, name, attributes, ("id", "x", "y"))
            x_m, y_m = (number_in(path, line, attributes, column) for column in ("x", "y"))
            _add(points, path, line, attributes["id"], (at_s, x_m, y_m))

    def declare(*_: object) -> None:
        refuse(
            path,
            parser.CurrentLineNumber,
            "a document type or an entity is declared; expected SUMO's plain document, without any",
        )

    parser.StartElementHandler = begin
    parser.StartDoctypeDeclHandler = declare
    parser.EntityDeclHandler = declare
    try:
        with opened(path) as text:
            while chunk := text.read(_CHUNK_CHARS):
                parser.Parse(chunk, False)
            parser.Parse("", True)
    except expat.ExpatError as error:
        refuse(path, error.lineno, f"no XML: {expat.ErrorString(error.code)}")
    return _all(points, path)


def _demand(path: Path, line: int, name: str, attributes: Mapping[str, str], wanted: tuple[str, ...]) -> None:
    missing = [attribute for attribute in wanted if attribute not in attributes]
    if missing:
        refuse(path, line, f"a {name} without {', '.join(missing)}; expected SUMO's floating car data")


def _add(points: Points, path: Path, line: int, id_: str, point: tuple[float, float, float]) -> None:
    before = points[id_][-1:]
    if before and point[0] <= before[0][0]:
        refuse(
            path,
            line,
            f"{id_!r} is at t = {point[0]:g} after t = {before[0][0]:g}; expected its instants to rise",
        )
    points[id_].append(point)


def _all(points: Points, path: Path) -> Points:
    if not points:
        raise RecordingError(f"{path}: no points; expected one or more")
    return dict(points)
