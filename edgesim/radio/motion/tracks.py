"""Recorded tracks: positions of terminals over time, and the times at which they are present.

A track is recorded from its first point to its last. Its terminal is absent before and after, and in gaps: a
vehicle that has not entered the area yet, or has left it, sends no requests and serves none. A file
whose points all have one instant is a list of fixed places.
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
"""Longest time between two points of a track, in usual (median) steps; a longer one is a gap. Recorders
miss a few samples in a row; ten mean an absence."""


class RecordedTrack:
    """A track through recorded points: linear between points, at rest before the first and after the last.

    Parameters
    ----------
    points
        Rising instants [s] and coordinates [m].
    starts_at_s
        Instant of the recording that becomes time zero.
    gaps
        Numbers of the points after which the terminal is absent until the next point.
    is_always_there
        Whether the terminal is also present before its first point, after its last, and in all gaps.

    Attributes
    ----------
    absences
        Times of absence, counted from time zero.
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
        """Whether any two points differ."""
        return len(set(self._places_m)) > 1

    @property
    def ends_at_s(self) -> float:
        """Instant of the last point [s]."""
        return self._times_s[-1]

    @property
    def usual_step_s(self) -> float:
        """Median time from a point to the next [s]; 0 for a single point."""
        return median(b - a for a, b in pairwise(self._times_s)) if len(self._times_s) > 1 else 0.0

    def position(self, at_s: float) -> Place:
        """Return the coordinates at an instant [m]."""
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
        """Return the speed at an instant [m/s]; 0 before the first point and after the last."""
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
    """Read all tracks of a file, by id, in the file's order.

    Parameters
    ----------
    path
        See :mod:`edgesim.radio.motion.track_files`.
    starts_at_s
        Instant of the recording that becomes time zero.
    is_always_there
        Whether terminals rest at their first and last points outside the recorded time, and count as
        present in gaps.
    longest_step_s
        Longest time between two points that are connected. By default :data:`USUAL_STEPS` usual steps
        of the track; in floating car data, which list every step, a missing step is a gap, too.

    Raises
    ------
    RecordingError
        With the number of the wrong line.
    """
    recording = _read_once(path, _stamp(path))
    first_s = min(points[0][0] for points in recording.points.values())
    last_s = max(points[-1][0] for points in recording.points.values())
    if first_s - starts_at_s > LONGEST_RUN_S or last_s - first_s > LONGEST_RUN_S:
        raise RecordingError(
            f"{path}: its instants go from {first_s:g} to {last_s:g} s, time zero is at {starts_at_s:g} s; "
            f"a run lasts {LONGEST_RUN_S:g} s: state which instant is time zero with 'starts_at', such as "
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
    """Return a file's modification time and size; None if it does not exist."""
    try:
        found = path.stat()
    except (OSError, ValueError):  # missing, or not a file name: reported when the file is read
        return None
    return found.st_mtime_ns, found.st_size


@lru_cache(maxsize=2)
def _read_once(path: Path, stamp: tuple[int, int] | None) -> Recording:
    """Read a file once for all replications and checks of a scenario."""
    del stamp  # part of the cache key: a changed file is read again
    return read_recording(path)


def _gaps(
    points: Sequence[tuple[float, float, float]], recording: Recording, longest_step_s: float | None
) -> list[int]:
    """Return the numbers of the points after which a track is interrupted."""
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
