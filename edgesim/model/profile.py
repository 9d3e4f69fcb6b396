"""Profiles: measured times of a model's components on a real machine, with an error estimate.

A profile is a table of measured points and their measurement conditions, stored in one Parquet file. Some
points are excluded from the interpolation grid (test points); comparing their measured times with those
interpolated from the other points gives the profile's error.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from edgesim.errors import InputError, ProfileError
from edgesim.files import UnreadableFileError, json_value
from edgesim.model.architecture import Architecture
from edgesim.model.ceilings import Ceilings
from edgesim.model.communication import Communication
from edgesim.model.parquet_file import read_parquet
from edgesim.model.parts import Component, FloatArray, Tokens
from edgesim.model.profile_checks import checked_ceilings, conditions_problem, points_problem
from edgesim.model.surface import GridPoint, Surface
from edgesim.model.surface_timing import MARGIN, SurfaceKey, SurfaceTiming
from edgesim.model.timing import ComponentTiming, Origin, Phase, Timing, charged, phase_of

__all__ = [
    "MARGIN",
    "SCHEMA_VERSION",
    "ComponentTiming",
    "HeldOutDeviation",
    "Origin",
    "Phase",
    "Point",
    "Profile",
    "SummaryRow",
    "SurfaceKey",
    "SurfaceTiming",
    "Timing",
    "charged",
    "phase_of",
]


SCHEMA_VERSION = 2
_USELESS_P95 = 1.0  # relative error beyond which interpolated times carry no information


_METADATA_KEY = b"edgesim.profile"


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One measured time of one component.

    `median_s` is the median over the undisturbed repeats (their selection is documented with the
    measurement), `spread_s` half the inter-quartile range over all `n_repeats`. A point with `held_out` is
    not used for interpolation; `predicted_s` is then its time interpolated from the other points.
    """

    component: Component
    phase: Phase
    batch: int
    n_new: int
    n_context: int
    median_s: float
    spread_s: float
    n_repeats: int
    held_out: bool = False
    predicted_s: float | None = None
    n_shards: int = 1
    """Number of equal tensor shards, of which this is the time of one; 1: the whole component."""

    @property
    def of(self) -> SurfaceKey:
        """Key of the surface to which the point belongs."""
        return SurfaceKey(self.component, self.phase, self.n_shards)

    @property
    def at(self) -> GridPoint:
        """Grid coordinates: batch, new tokens, context."""
        return self.batch, self.n_new, self.n_context


class HeldOutDeviation(NamedTuple):
    """Relative interpolation errors over the test points (`Point.held_out`) of all components."""

    median: float
    p95: float


class SummaryRow(NamedTuple):
    """Summary of the points of a component in one phase at one batch size, for display."""

    component: Component
    phase: Phase
    batch: int
    n_tokens: tuple[int, int]
    """Smallest and largest number of tokens: new tokens in prefill, context in decode."""
    median_s: tuple[float, float]
    """Median times at these two [s]."""
    spread: float
    """Median of the relative spreads."""
    n_repeats: int
    """Smallest number of repeats of any point."""
    n_shards: int = 1


@dataclass(frozen=True, kw_only=True)
class Profile:
    """Measured times of one architecture's components on one machine, with the measurement conditions.

    Attributes
    ----------
    architecture
        The measured model and its number format.
    device, threads
        ``cpu`` or ``cuda``; threads of each operation (on a GPU: of its host).
    ceilings
        Performance ceilings of the machine, measured at the same time.
    host, versions
        Facts about the machine; versions of the software used.
    measured_at
        UTC, ISO 8601.
    grid
        The requested measurement grid.
    points
        The measurements, including test points.
    kind
        Device kind of the machine, as stated for the measurement; empty if not stated.
    communication
        Costs of messages and sums between two processes of the machine; None if not measured.
    """

    architecture: Architecture
    device: str
    threads: int
    ceilings: Ceilings
    host: Mapping[str, Any]
    versions: Mapping[str, str]
    measured_at: str
    grid: Mapping[str, Any]
    points: tuple[Point, ...]
    kind: str = ""
    communication: Communication | None = None

    # --- reading -----------------------------------------------------------------------------------------

    @cached_property
    def shards(self) -> Mapping[int, Architecture]:
        """Measured tensor shards, by number of shards per model; 1 is the model itself."""
        measured = sorted({1, *(point.n_shards for point in self.points)})
        return MappingProxyType({n: self.architecture.shard(n) for n in measured})

    @cached_property
    def surfaces(self) -> Mapping[SurfaceKey, Surface]:
        """Surface of each component, phase and shard, without the test points."""
        found: dict[SurfaceKey, dict[GridPoint, float]] = defaultdict(dict)
        for point in self.points:
            if not point.held_out:
                found[point.of][point.at] = point.median_s
        return MappingProxyType({key: Surface.through(values) for key, values in found.items()})

    def timing(self) -> SurfaceTiming:
        """Return the timing of the measured machine itself."""
        return SurfaceTiming(self.surfaces, "measured", self.architecture)

    def component_seconds(
        self, component: Component, *, batch: int, n_new: Tokens, n_context: Tokens, n_shards: int = 1
    ) -> FloatArray:
        """Interpolated time of one call of a component [s]; raises as :meth:`Timing.seconds`."""
        return self.timing().component_seconds(
            component, batch=batch, n_new=n_new, n_context=n_context, n_shards=n_shards
        )

    def stamped(self, kind: str) -> Profile:
        """Return the profile with this device kind."""
        return replace(self, kind=kind)

    def with_communication(self, communication: Communication) -> Profile:
        """Return the profile with measured costs of messages and sums."""
        return replace(self, communication=communication)

    @property
    def where(self) -> str:
        """Description of the machine: its kind, and the GPU or the processor with its threads."""
        on = self.host.get("gpu") or f"{self.host.get('cpu', 'an unnamed processor')}, {self.threads} threads"
        return f"{self.kind} ({on})" if self.kind else str(on)

    def __str__(self) -> str:
        """Describe the profile by model, number format and machine."""
        return f"a profile of {self.architecture.name} in {self.architecture.dtype}, measured on {self.where}"

    def facts(self) -> dict[str, Any]:
        """Return the origin of the times, for the record of a run."""
        error = self.held_out_error
        return {
            "digest": self.digest,
            "measured_at": self.measured_at,
            "host": dict(self.host),
            "device": self.device,
            "threads": self.threads,
            "held_out_error": {"median": error.median, "p95": error.p95},
            **({"kind": self.kind} if self.kind else {}),
        }

    @property
    def is_useless(self) -> bool:
        """Whether interpolated times are useless: the 95 % quantile of their errors exceeds 100 %."""
        return self.held_out_error.p95 > _USELESS_P95

    @property
    def held_out_error(self) -> HeldOutDeviation:
        """Interpolation errors at the test points, relative to their measured times.

        Raises
        ------
        ProfileError
            If there are no test points.
        """
        errors = [
            abs(point.predicted_s / point.median_s - 1)
            for point in self.points
            if point.predicted_s is not None
        ]
        if not errors:
            raise ProfileError(
                f"the profile of {self.architecture.name} has no test points outside its grid, so its error "
                "is unknown; measure it again with a grid that has some"
            )
        return HeldOutDeviation(float(np.median(errors)), float(np.quantile(errors, 0.95)))

    def summary(self) -> list[SummaryRow]:
        """Return a row per component, phase, batch size and shard, in the order of a forward pass."""
        groups: dict[tuple[SurfaceKey, int], list[Point]] = defaultdict(list)
        for point in sorted(self.points, key=lambda point: (point.n_new, point.n_context)):
            groups[point.of, point.batch].append(point)
        phases, components = list(Phase), list(Component)

        def rank(group: tuple[SurfaceKey, int]) -> tuple[int, ...]:
            (component, phase, n_shards), batch = group
            return n_shards, phases.index(phase), batch, components.index(component)

        return [_summarise(*group, groups[group]) for group in sorted(groups, key=rank)]

    # --- the file ----------------------------------------------------------------------------------------

    @cached_property
    def digest(self) -> str:
        """Digest of the conditions and points (SHA-256, hexadecimal)."""
        content = {"conditions": self._conditions(), "points": [asdict(point) for point in self.points]}
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    def table(self) -> pa.Table:
        """Return the points as an Arrow table, one row each, with the conditions in its metadata."""
        rows = [asdict(point) for point in self.points]
        columns = {name: [row[name] for row in rows] for name in _POINT_SCHEMA.names}
        metadata = {_METADATA_KEY: json.dumps(self._conditions(), sort_keys=True).encode()}
        return pa.table(columns, schema=_POINT_SCHEMA.with_metadata(metadata))

    def save(self, path: Path) -> None:
        """Write the profile as one Parquet file."""
        pq.write_table(self.table(), path)

    @classmethod
    def load(cls, path: Path) -> Profile:
        """Read a profile from its Parquet file, without importing the software that measured it.

        Raises
        ------
        ProfileError
            If there is no such file, it is not a profile of this schema version, or a point or condition is
            invalid (:mod:`edgesim.model.profile_checks`).
        """
        remedy = "give a file written by `edgesim profile MODEL -o FILE`"
        try:
            table = read_parquet(path)
        except UnreadableFileError as error:
            raise ProfileError(f"cannot read a profile from {path}: {error}; {remedy}") from None
        text = (table.schema.metadata or {}).get(_METADATA_KEY)
        if text is None:
            raise ProfileError(f"{path} is a Parquet file, but not a profile; {remedy}")
        again = "measure it again (edgesim profile MODEL -o FILE)"
        try:
            conditions = json_value(text)
        except UnreadableFileError as error:
            raise ProfileError(f"{path}: a damaged profile, its conditions are {error}; {again}") from None
        if not isinstance(conditions, dict):
            raise ProfileError(f"{path}: a damaged profile, its conditions are not an object; {again}")
        version = conditions.pop("schema_version", None)
        if version != SCHEMA_VERSION or not set(_POINT_SCHEMA.names) <= set(table.column_names):
            raise ProfileError(
                f"{path} is a profile of schema version {version!r:.40}; this edgesim reads version "
                f"{SCHEMA_VERSION}. Measure it again"
            )
        try:
            return _assembled(cls, conditions, table.select(_POINT_SCHEMA.names).to_pylist())
        except (ValueError, InputError) as error:
            raise ProfileError(f"{path}: a damaged profile: {error}; {again}") from None

    def _conditions(self) -> dict[str, Any]:
        return {
            "schema_version": SCHEMA_VERSION,
            "architecture": {
                "name": self.architecture.name,
                "dtype": self.architecture.dtype,
                "config": self.architecture.config,
            },
            "device": self.device,
            "threads": self.threads,
            "ceilings": asdict(self.ceilings),
            "host": dict(self.host),
            "versions": dict(self.versions),
            "measured_at": self.measured_at,
            "grid": dict(self.grid),
            **({"kind": self.kind} if self.kind else {}),
            **({} if self.communication is None else {"communication": self.communication.facts()}),
        }


_POINT_SCHEMA = pa.schema(
    [
        pa.field("component", pa.string(), nullable=False),
        pa.field("phase", pa.string(), nullable=False),
        pa.field("batch", pa.int64(), nullable=False),
        pa.field("n_new", pa.int64(), nullable=False),
        pa.field("n_context", pa.int64(), nullable=False),
        pa.field("median_s", pa.float64(), nullable=False),
        pa.field("spread_s", pa.float64(), nullable=False),
        pa.field("n_repeats", pa.int64(), nullable=False),
        pa.field("held_out", pa.bool_(), nullable=False),
        pa.field("predicted_s", pa.float64()),
        pa.field("n_shards", pa.int64(), nullable=False),
    ]
)


def _assembled(
    cls: type[Profile], conditions: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]
) -> Profile:
    """Create a profile from the unchecked contents of a file.

    Raises
    ------
    ValueError, InputError
        Naming the invalid value.
    """
    if (problem := conditions_problem(conditions)) is not None:
        raise ValueError(problem)
    model = conditions["architecture"]
    config = json_value(model["config"])
    if not isinstance(config, dict):
        raise ValueError(f"its architecture's config is {config!r:.40}; expected an object")  # noqa: TRY004
    architecture = Architecture.from_config(config, name=model["name"], dtype=model["dtype"])
    if (problem := points_problem(rows, is_causal=architecture.is_causal)) is not None:
        raise ValueError(problem)
    profile = cls(
        architecture=architecture,
        ceilings=checked_ceilings(conditions["ceilings"]),
        points=tuple(map(_point, rows)),
        **{key: conditions[key] for key in ("device", "threads", "host", "versions", "measured_at", "grid")},
        kind=conditions.get("kind", ""),
        communication=None
        if (stated := conditions.get("communication")) is None
        else Communication.of(stated),
    )
    _ = profile.shards  # raises if the model cannot be divided into one of these numbers of shards
    return profile


def _point(row: Mapping[str, Any]) -> Point:
    values = {field.name: row[field.name] for field in fields(Point)}
    return Point(**values | {"component": Component(row["component"]), "phase": Phase(row["phase"])})


def _summarise(of: SurfaceKey, batch: int, points: Sequence[Point]) -> SummaryRow:
    n_tokens = [point.n_context if of.phase is Phase.DECODE else point.n_new for point in points]
    return SummaryRow(
        of.component,
        of.phase,
        batch,
        (n_tokens[0], n_tokens[-1]),
        (points[0].median_s, points[-1].median_s),
        float(np.median([point.spread_s / point.median_s for point in points])),
        min(point.n_repeats for point in points),
        of.n_shards,
    )
