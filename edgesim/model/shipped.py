"""Profiles shipped with edgesim, measured once on named machines.

They allow runs without measuring, and examples with the same results everywhere. For the machine on which
they were measured they are measurements; for all others, a starting point for scaling.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from functools import cache
from importlib.resources import as_file, files
from importlib.resources.abc import Traversable
from pathlib import Path
from types import MappingProxyType

from edgesim.errors import ProfileError
from edgesim.model.architecture import Architecture
from edgesim.model.profile import Profile
from edgesim.model.timing import Phase
from edgesim.nearest import suggest

__all__ = ["INDEX_FILE", "Shipped", "load_shipped", "shipped_for", "shipped_profiles", "write_index"]

INDEX_FILE = "index.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shipped:
    """Index entry of one shipped profile.

    Attributes
    ----------
    name
        Name in scenarios, and of its file.
    model, dtype, architecture
        The measured model's name, its number format, and the digest of both.
    measured_on, device, threads, measured_at, versions
        Measurement conditions: processor or GPU, device type, threads, time, and software versions.
    max_prompt, max_context
        Longest prompt and longest context measured.
    batches, prefill_batches, shards
        Batch sizes measured in decode and in prefill, and numbers of tensor shards.
    median_error, p95_error
        The profile's relative error at its test points, median and 95 % quantile.
    kind
        Device kind of the measured machine; empty if not stated.
    """

    name: str
    model: str
    dtype: str
    architecture: str
    measured_on: str
    device: str
    threads: int
    measured_at: str
    versions: Mapping[str, str]
    max_prompt: int
    max_context: int
    batches: tuple[int, ...]
    prefill_batches: tuple[int, ...]
    shards: tuple[int, ...]
    median_error: float
    p95_error: float
    kind: str

    @classmethod
    def of(cls, name: str, profile: Profile) -> Shipped:
        """Create the index entry of a profile."""
        prefills = [point for point in profile.points if point.phase is Phase.PREFILL]
        decodes = [point for point in profile.points if point.phase is Phase.DECODE]
        of_blocks = [point for point in prefills if point.component.value == "block"]
        return cls(
            name=name,
            model=profile.architecture.name,
            dtype=profile.architecture.dtype,
            architecture=profile.architecture.digest,
            measured_on=str(profile.host.get("gpu") or profile.host["cpu"]),
            device=profile.device,
            threads=profile.threads,
            measured_at=profile.measured_at,
            versions=dict(profile.versions),
            max_prompt=max(point.n_new for point in prefills),
            max_context=max((point.n_context for point in decodes), default=0),
            batches=tuple(sorted({point.batch for point in decodes})),
            prefill_batches=tuple(sorted({point.batch for point in of_blocks})),
            shards=tuple(profile.shards),
            median_error=round(profile.held_out_error.median, 4),
            p95_error=round(profile.held_out_error.p95, 4),
            kind=profile.kind,
        )


@cache
def shipped_profiles() -> Mapping[str, Shipped]:
    """Return all shipped profiles by name, in the order of the index, without opening any profile."""
    index = _folder() / INDEX_FILE
    rows = json.loads(index.read_text(encoding="utf-8")) if index.is_file() else []
    return MappingProxyType({row["name"]: _row(row) for row in rows})


def load_shipped(name: str) -> Profile:
    """Read a shipped profile.

    Raises
    ------
    ProfileError
        If there is no shipped profile of that name; the message suggests the nearest name.
    """
    known = shipped_profiles()
    if name not in known:
        raise ProfileError(f"no shipped profile '{name}'; {suggest(name, known)} (edgesim list profiles)")
    with as_file(_folder() / f"{name}.parquet") as file:
        return Profile.load(file)


def shipped_for(architecture: Architecture) -> tuple[Shipped, ...]:
    """Return the shipped profiles of a model in its number format, for any storage of its weights."""
    digest = architecture.plain.digest
    return tuple(shipped for shipped in shipped_profiles().values() if shipped.architecture == digest)


def write_index(folder: Path) -> tuple[Shipped, ...]:
    """Write the index of a folder of profiles and return its entries."""
    rows = tuple(Shipped.of(file.stem, Profile.load(file)) for file in sorted(folder.glob("*.parquet")))
    text = json.dumps([asdict(row) for row in rows], indent=1, ensure_ascii=False) + "\n"
    (folder / INDEX_FILE).write_text(text, encoding="utf-8")
    return rows


def _folder() -> Traversable:
    return files("edgesim").joinpath("data", "profiles")


def _row(row: Mapping[str, object]) -> Shipped:
    values = {field.name: row[field.name] for field in fields(Shipped)}
    return Shipped(**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()})  # type: ignore[arg-type]
