"""Scenario section of device mobility."""

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
LEAST_STEP_S = 1e-3  # least time between two changes of velocity: each is one step of the simulated track


class AreaEntry(Section):
    """An axis-parallel rectangle in the plane."""

    corner_m: tuple[Metres, Metres] = Field(default=(0.0, 0.0), alias="corner")
    """Lower left corner."""
    size_m: tuple[Metres, Metres] = Field(alias="size")
    """Width and height; one of them may be 0, which gives a line."""

    @model_validator(mode="after")
    def _has_room(self) -> AreaEntry:
        if min(self.size_m) < 0 or not any(self.size_m):
            refuse(f"expected a width and a height of 0 or more, not both 0, got {list(self.size_m)} m")
        return self

    def value(self) -> Area:
        """Return the area for the mobility models."""
        (x_m, y_m), (width_m, height_m) = self.corner_m, self.size_m
        return Area(x_m, y_m, x_m + width_m, y_m + height_m)


class RandomWaypointEntry(Section):
    """Random-waypoint model, in its steady state from time zero on."""

    area: AreaEntry
    """Area of the waypoints."""
    speed_m_per_s: tuple[PositiveMetresPerSecond, PositiveMetresPerSecond] = Field(alias="speed")
    """Lowest and highest speed, such as [1 m/s, 2 m/s]; with a lowest speed of 0 the mean speed would decay
    indefinitely."""
    pause_s: tuple[Seconds, Seconds] = Field(default=(0.0, 0.0), alias="pause")
    """Shortest and longest pause at a waypoint."""

    @model_validator(mode="after")
    def _in_order(self) -> RandomWaypointEntry:
        if self.speed_m_per_s[0] > self.speed_m_per_s[1] or self.pause_s[0] > self.pause_s[1]:
            refuse("expected the smaller value first in 'speed' and in 'pause'")
        return self

    @model_validator(mode="after")
    def _ways_can_be_counted(self) -> Self:
        way_s = max(self.area.size_m) / max(self.speed_m_per_s) if max(self.speed_m_per_s) > 0 else 0.0
        if 0.0 < way_s + max(self.pause_s) < LEAST_STEP_S:
            refuse(f"it crosses its area in {way_s:g} s; expected {LEAST_STEP_S:g} s or more; reduce 'speed'")
        return self


class GaussMarkovEntry(Section):
    """Gauss-Markov model: a velocity that is correlated from step to step."""

    area: AreaEntry
    """Area of the movement, with reflection at its edges."""
    speed_m_per_s: MetresPerSecond = Field(alias="speed")
    """Mean speed."""
    memory: Share = 0.75
    """Correlation of the velocity from step to step: 0 is none, 1 keeps the velocity indefinitely."""
    step_s: PositiveSeconds = Field(default=1.0, alias="step")
    """Time between changes of the velocity."""

    @model_validator(mode="after")
    def _steps_can_be_counted(self) -> Self:
        if self.step_s < LEAST_STEP_S:
            refuse(f"'step' is {self.step_s:g} s; expected {LEAST_STEP_S:g} s or more")
        return self


class TrackEntry(Section):
    """A recorded track: CSV with columns t, id, x, y (seconds, metres), or SUMO's floating car data (XML).

    The format is detected from the contents. Tracks named like the devices are assigned to these devices, in
    any order; if no track is, devices are assigned the tracks in the order of the file. Outside its recorded
    time, and in gaps, a device is absent: it is down as in a failure, and generates no requests.
    """

    file: str
    """Path, relative to the scenario's folder."""
    id: str | None = None
    """Name of the track in the file, for a single device."""
    starts_at_s: Seconds = Field(default=0.0, alias="starts_at")
    """Instant of the recording that is time zero."""
    outside: Literal["absent", "parked"] = "absent"
    """State before the first point of a track, after its last and in gaps: `absent` (down), or `parked` at
    its position."""
    gap_s: PositiveSeconds | None = Field(default=None, alias="gap")
    """Longest time between two points that is interpolated; longer ones are gaps. By default 10 median time
    steps of the track; in floating car data, any timestep of the file without the device is a gap."""


class MobilityChoice(Choice):
    """One mobility model."""

    example: ClassVar[str] = "{random-waypoint: {area: {size: [200 m, 100 m]}, speed: [1 m/s, 2 m/s]}}"

    random_waypoint: RandomWaypointEntry | None = Field(default=None, alias="random-waypoint")
    """Random-waypoint model."""
    gauss_markov: GaussMarkovEntry | None = Field(default=None, alias="gauss-markov")
    """Gauss-Markov model."""
    track: TrackEntry | None = None
    """Recorded tracks."""

    @property
    def speed_m_per_s(self) -> float | None:
        """Typical speed [m/s]; None for a recording."""
        if self.random_waypoint is not None:
            return sum(self.random_waypoint.speed_m_per_s) / 2
        return None if self.gauss_markov is None else self.gauss_markov.speed_m_per_s

    @property
    def area(self) -> tuple[float, float, float, float] | None:
        """Left, lower, right and upper edge of the area of movement [m]; None for a recording."""
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
        """Return the track of every device of a group.

        Parameters
        ----------
        others
            Names of all devices; a recorded track named like a device of another group is left to that
            device.

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
                f"{path}: no track '{self.track.id}'; it has {shown}{', ...' * (len(found) > 5)}"
            )
        names = _assigned(path, ids, list(found), others) if self.track.id is None else [self.track.id]
        if len(names) < len(ids):
            raise RecordingError(
                f"{path}: {len(names)} track{'s' * (len(names) != 1)} for {len(ids)} devices; "
                "add tracks, or reduce the group's 'count'"
            )
        return {id_: found[name] for id_, name in zip(ids, names, strict=False)}


def _assigned(path: Path, ids: Sequence[str], found: Sequence[str], others: Collection[str]) -> list[str]:
    """Return the names of the tracks assigned to the devices.

    These are the devices' own names, or else the tracks named like no device, in the order of the file.
    """
    missing = [id_ for id_ in ids if id_ not in found]
    if not missing:
        return list(ids)
    if len(missing) < len(ids):
        named = next(id_ for id_ in ids if id_ in found)
        raise RecordingError(
            f"{path}: has a track '{named}', named like the device, but none named '{missing[0]}'; name "
            "tracks after all devices of a group, or after none to assign them in the order of the file"
        )
    return [name for name in found if name not in others]
