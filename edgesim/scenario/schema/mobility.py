"""How devices move, as a scenario says it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from edgesim.errors import RecordingError
from edgesim.fields import Metres, MetresPerSecond, PositiveMetresPerSecond, PositiveSeconds, Seconds, refuse
from edgesim.files import user_path
from edgesim.radio.motion.mobility import Area, GaussMarkov, RandomWaypoint, Track
from edgesim.radio.motion.tracks import read_tracks
from edgesim.rng import key_of
from edgesim.scenario.text.section import Choice, Section

__all__ = ["AreaEntry", "GaussMarkovEntry", "MobilityChoice", "RandomWaypointEntry", "TrackEntry"]

Share = Annotated[float, Field(ge=0, le=1)]
LEAST_STEP_S = 1e-3  # between two changes of a way: each is one of the steps by which it is followed


class AreaEntry(Section):
    """An upright rectangle of the plane."""

    corner_m: tuple[Metres, Metres] = Field(default=(0.0, 0.0), alias="corner")
    """Its lower left corner."""
    size_m: tuple[Metres, Metres] = Field(alias="size")
    """Its width and height; one of them may be 0, which leaves a line."""

    @model_validator(mode="after")
    def _has_room(self) -> AreaEntry:
        if min(self.size_m) < 0 or not any(self.size_m):
            refuse(f"expected a width and a height of 0 or more, not both 0, got {list(self.size_m)} m")
        return self

    def value(self) -> Area:
        """Return the area as mobility models know it."""
        (x_m, y_m), (width_m, height_m) = self.corner_m, self.size_m
        return Area(x_m, y_m, x_m + width_m, y_m + height_m)


class RandomWaypointEntry(Section):
    """Straight ways to random points, in the steady state from time zero on."""

    area: AreaEntry
    """Where the points lie."""
    speed_m_per_s: tuple[PositiveMetresPerSecond, PositiveMetresPerSecond] = Field(alias="speed")
    """Least and greatest speed, such as [1 m/s, 2 m/s]; with a least speed of 0 the mean speed
    would decay for ever."""
    pause_s: tuple[Seconds, Seconds] = Field(default=(0.0, 0.0), alias="pause")
    """Shortest and longest rest between two ways."""

    @model_validator(mode="after")
    def _in_order(self) -> RandomWaypointEntry:
        if self.speed_m_per_s[0] > self.speed_m_per_s[1] or self.pause_s[0] > self.pause_s[1]:
            refuse("expected the smaller value first in 'speed' and in 'pause'")
        return self

    @model_validator(mode="after")
    def _ways_can_be_counted(self) -> Self:
        way_s = max(self.area.size_m) / max(self.speed_m_per_s) if max(self.speed_m_per_s) > 0 else 0.0
        if 0.0 < way_s + max(self.pause_s) < LEAST_STEP_S:
            refuse(f"it crosses its area in {way_s:g} s; expected {LEAST_STEP_S:g} s or more: slow it down")
        return self


class GaussMarkovEntry(Section):
    """A velocity that remembers itself from step to step."""

    area: AreaEntry
    """Where it stays; at the edge the way is reflected."""
    speed_m_per_s: MetresPerSecond = Field(alias="speed")
    """Mean speed."""
    memory: Share = 0.75
    """0 forgets a velocity after a step, 1 keeps it for ever."""
    step_s: PositiveSeconds = Field(default=1.0, alias="step")
    """Time between changes of the velocity."""

    @model_validator(mode="after")
    def _steps_can_be_counted(self) -> Self:
        if self.step_s < LEAST_STEP_S:
            refuse(f"a step of {self.step_s:g} s; expected {LEAST_STEP_S:g} s or more: nothing turns sooner")
        return self


class TrackEntry(Section):
    """A recorded way: CSV with columns t, id, x, y (seconds, metres), or SUMO's floating car data (XML).

    The contents tell the format. Tracks that are called as the devices go to those devices, in whatever order
    the file has them; where none is, devices take the tracks in the order of the file. Outside its recorded
    time, and in gaps, a device is absent: it is down as by a failure, and no requests arise there.
    """

    file: str
    """Path, from the folder of the scenario."""
    id: str | None = None
    """Which track of the file; for a single device."""
    starts_at_s: Seconds = Field(default=0.0, alias="starts_at")
    """Which instant of the recording is time zero."""
    outside: Literal["absent", "parked"] = "absent"
    """Before the first point of a track, after its last and in gaps: `absent` (down), or `parked` there."""
    gap_s: PositiveSeconds | None = Field(default=None, alias="gap")
    """Longest time between two points over which the way is joined; longer ones are gaps. By default 10 usual
    (median) steps of the track, and in floating car data any timestep of the file without it."""


class MobilityChoice(Choice):
    """One way of moving."""

    example: ClassVar[str] = "{random-waypoint: {area: {size: [200 m, 100 m]}, speed: [1 m/s, 2 m/s]}}"

    random_waypoint: RandomWaypointEntry | None = Field(default=None, alias="random-waypoint")
    """Straight ways to random points."""
    gauss_markov: GaussMarkovEntry | None = Field(default=None, alias="gauss-markov")
    """A velocity that remembers itself."""
    track: TrackEntry | None = None
    """A recorded way."""

    @property
    def speed_m_per_s(self) -> float | None:
        """A typical speed; None where only the recording tells."""
        if self.random_waypoint is not None:
            return sum(self.random_waypoint.speed_m_per_s) / 2
        return None if self.gauss_markov is None else self.gauss_markov.speed_m_per_s

    @property
    def area(self) -> tuple[float, float, float, float] | None:
        """Left, low, right and high edge of where it stays [m]; None where only the recording tells."""
        entry = self.random_waypoint or self.gauss_markov
        if entry is None:
            return None
        (x_m, y_m), (width_m, height_m) = entry.area.corner_m, entry.area.size_m
        return x_m, y_m, x_m + width_m, y_m + height_m

    def tracks(
        self,
        ids: tuple[str, ...],
        *,
        seed: int,
        replication: int,
        folder: Path,
        others: Collection[str] = (),
    ) -> dict[str, Track]:
        """Make the track of every device of a group.

        Parameters
        ----------
        others
            All names of devices; a recorded track that is called as one of another group is left to it.

        Raises
        ------
        InputError
            If a recording cannot be read, or has too few tracks.
        """
        if self.track is not None:
            return self._recorded(ids, folder, others)
        return {id_: self._drawn(key_of(seed, replication, id_, "track")) for id_ in ids}

    def _drawn(self, key: int) -> Track:
        if self.random_waypoint is not None:
            way = self.random_waypoint
            return RandomWaypoint(key, way.area.value(), way.speed_m_per_s, way.pause_s)
        assert self.gauss_markov is not None
        entry = self.gauss_markov
        return GaussMarkov(key, entry.area.value(), entry.speed_m_per_s, entry.memory, entry.step_s)

    def _recorded(self, ids: tuple[str, ...], folder: Path, others: Collection[str]) -> dict[str, Track]:
        assert self.track is not None
        path = user_path(folder, self.track.file)
        found = read_tracks(
            path,
            starts_at_s=self.track.starts_at_s,
            is_always_there=self.track.outside == "parked",
            longest_step_s=self.track.gap_s,
        )
        if self.track.id is not None and self.track.id not in found:
            shown = ", ".join(list(found)[:5])
            raise RecordingError(
                f"{path}: no track '{self.track.id}'; it holds {shown}{', ...' * (len(found) > 5)}"
            )
        names = _dealt_out(path, ids, list(found), others) if self.track.id is None else [self.track.id]
        if len(names) < len(ids):
            raise RecordingError(
                f"{path}: {len(names)} track{'s' * (len(names) != 1)} for {len(ids)} devices; "
                "give each its own, or make the group smaller"
            )
        return {id_: found[name] for id_, name in zip(ids, names, strict=False)}


def _dealt_out(path: Path, ids: Sequence[str], found: Sequence[str], others: Collection[str]) -> list[str]:
    """Which tracks go to the devices: those of their names, else those of no device's name, in order."""
    missing = [id_ for id_ in ids if id_ not in found]
    if not missing:
        return list(ids)
    if len(missing) < len(ids):
        named = next(id_ for id_ in ids if id_ in found)
        raise RecordingError(
            f"{path}: has a track called '{named}', as the device, and none called '{missing[0]}'; name "
            "tracks after all devices of a group, or after none, which deals them out in the file's order"
        )
    return [name for name in found if name not in others]
