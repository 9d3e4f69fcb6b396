"""Recorded tracks: where terminals were and when they were there.

A track is recorded from its first point to its last. What it belongs to is absent before and after, and in
gaps: a vehicle that has not entered the area yet, or has left it, asks nothing and answers nothing. A file
whose points all have one instant is a list of places, at which things stay.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from statistics import median

from edgesim.errors import RecordingError
from edgesim.radio.motion.mobility import Place
from edgesim.radio.motion.outages import ScheduledOutages
from edgesim.radio.motion.track_files import Recording, read_recording
from edgesim.units import LONGEST_RUN_S

__all__ = ["USUAL_STEPS", "RecordedTrack", "read_tracks"]

USUAL_STEPS = 10.0
"""Usual (median) steps of a track that may pass between two of its points; more are a gap. Recorders miss a
few samples in a row, and ten are an absence."""


class RecordedTrack:
    """A track through recorded points: straight and even between two, at rest before and after them all.

    Parameters
    ----------
    points
        Instants [s], rising, and coordinates [m].
    starts_at_s
        Which instant of the recording is time zero.
    gaps
        Numbers of the points after which it is away until the next.
    is_always_there
        Whether it is there before its first point and after its last, too, and in all gaps.

    Attributes
    ----------
    absences
        When it is away, counted from time zero on.
    """

    def __init__(
        self,
        points: Iterable[tuple[float, float, float]],
        *,
        starts_at_s: float = 0.0,
        gaps: Iterable[int] = (),
        is_always_there: bool = False,
    ) -> None:
        kept = list(points)
        if not kept:
            raise RecordingError("recorded track: no points; expected one or more")
        self._times_s = [at_s - starts_at_s for at_s, _, _ in kept]
        self._places_m: list[Place] = [(x_m, y_m) for _, x_m, y_m in kept]
        if any(b <= a for a, b in zip(self._times_s, self._times_s[1:], strict=False)):
            raise RecordingError(
                "recorded track: its instants do not rise; expected each after the one before"
            )
        away_s = [(0.0, self._times_s[0]), (self._times_s[-1], math.inf)]
        away_s += [(self._times_s[number], self._times_s[number + 1]) for number in gaps]
        ahead_s = [(max(0.0, left_s), back_s) for left_s, back_s in away_s if back_s > 0.0]
        self.absences = ScheduledOutages(
            (left_s, back_s) for left_s, back_s in ahead_s if left_s < back_s and not is_always_there
        )

    @property
    def moves(self) -> bool:
        """Whether two of its points differ."""
        return len(set(self._places_m)) > 1

    @property
    def ends_at_s(self) -> float:
        """When the last point is reached [s]."""
        return self._times_s[-1]

    @property
    def usual_step_s(self) -> float:
        """Median time from a point to the next; 0 of a single point [s]."""
        return median(b - a for a, b in pairwise(self._times_s)) if len(self._times_s) > 1 else 0.0

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


def read_tracks(
    path: Path,
    *,
    starts_at_s: float = 0.0,
    is_always_there: bool = False,
    longest_step_s: float | None = None,
) -> Mapping[str, RecordedTrack]:
    """Read every track of a file, by id, in the file's order.

    Parameters
    ----------
    path
        See :mod:`edgesim.radio.motion.track_files`.
    starts_at_s
        Which instant of the recording is time zero.
    is_always_there
        Whether things rest at their first and last points outside the recorded time, and count as there in
        gaps.
    longest_step_s
        Longest time between two points over which a way is joined; by default :data:`USUAL_STEPS` usual steps
        of the track, and in floating car data, which name every step, no step without it.

    Raises
    ------
    RecordingError
        With the line that is wrong.
    """
    recording = _read_once(path, _stamp(path))
    first_s = min(points[0][0] for points in recording.points.values())
    last_s = max(points[-1][0] for points in recording.points.values())
    if first_s - starts_at_s > LONGEST_RUN_S or last_s - first_s > LONGEST_RUN_S:
        raise RecordingError(
            f"{path}: its instants go from {first_s:g} to {last_s:g} s, time zero is at {starts_at_s:g} s; "
            f"a run lasts {LONGEST_RUN_S:g} s: say which instant is time zero with 'starts_at', such as "
            f"'{first_s:.10g} s', or correct the row that is far from the others"
        )
    is_list_of_places = len({at_s for points in recording.points.values() for at_s, _, _ in points}) == 1
    return {
        id_: RecordedTrack(
            points,
            starts_at_s=starts_at_s,
            gaps=_gaps(points, recording, longest_step_s),
            is_always_there=is_always_there or is_list_of_places,
        )
        for id_, points in recording.points.items()
    }


def _stamp(path: Path) -> tuple[int, int] | None:
    """When a file was changed, and its size; None where there is none."""
    try:
        found = path.stat()
    except (OSError, ValueError):  # not there, or no name of a file: which is said where it is read
        return None
    return found.st_mtime_ns, found.st_size


@lru_cache(maxsize=2)
def _read_once(path: Path, stamp: tuple[int, int] | None) -> Recording:
    """Read a file that is asked for in every replication, and by each check of a scenario."""
    del stamp  # makes a changed file another
    return read_recording(path)


def _gaps(
    points: Sequence[tuple[float, float, float]], recording: Recording, longest_step_s: float | None
) -> list[int]:
    """Numbers of the points after which a track breaks off."""
    times_s = [at_s for at_s, _, _ in points]
    steps_s = [later_s - at_s for at_s, later_s in pairwise(times_s)]
    if not steps_s:
        return []
    limit_s = USUAL_STEPS * median(steps_s) if longest_step_s is None else longest_step_s
    gaps = [number for number, step_s in enumerate(steps_s) if step_s > limit_s]
    if recording.steps_s is None or longest_step_s is not None:
        return gaps
    missed = [
        number
        for number, (at_s, later_s) in enumerate(pairwise(times_s))
        if bisect_left(recording.steps_s, later_s) - bisect_right(recording.steps_s, at_s) > 0
    ]
    return sorted({*gaps, *missed})
