"""Provenance of a figure's numbers, for the metadata of its file."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, cast

__all__ = ["Provenance"]


@dataclass(frozen=True, slots=True)
class Provenance:
    """The traces or sweeps from which a figure was drawn.

    Attributes
    ----------
    sources
        For each trace or sweep: name of the folder, scenario, digest, seed, and the version of edgesim that
        wrote it.
    """

    sources: tuple[Mapping[str, str | int], ...]

    @classmethod
    def of(cls, records: Iterable[tuple[Path, Mapping[str, object]]]) -> Provenance:
        """Read the provenance from ``run.json`` or ``sweep.json`` of folders; missing facts are left out."""
        return cls(tuple(_source(path, cast("Mapping[str, Any]", record)) for path, record in records))

    def sentence(self) -> str:
        """Summarise the provenance in one sentence."""
        said = [
            f"{source.get('folder')}: {source.get('scenario', '?')} "
            f"(digest {str(source.get('digest', '?'))[:16]}, seed {source.get('seed', '?')}, "
            f"edgesim {source.get('written_by', '?')})"
            for source in self.sources
        ]
        return f"Drawn by edgesim {_version()} from {'; '.join(said)}"

    def as_json(self) -> str:
        """Write the provenance as JSON, in ASCII, since the metadata of some formats allows nothing else."""
        return json.dumps({"drawn_by": f"edgesim {_version()}", "sources": list(self.sources)})


def _source(path: Path, record: Mapping[str, Any]) -> dict[str, str | int]:
    stated: dict[str, str | int] = {"folder": path.resolve().name}
    scenario, versions = record.get("scenario"), record.get("versions")
    digest = scenario.get("digest") if isinstance(scenario, dict) else record.get("digest")
    written_by = versions.get("edgesim") if isinstance(versions, dict) else None
    facts = {
        "scenario": record.get("name"),
        "digest": digest,
        "seed": record.get("seed"),
        "written_by": written_by,
    }
    return stated | {name: value for name, value in facts.items() if isinstance(value, str | int)}


def _version() -> str:
    try:
        return version("edgesim")
    except PackageNotFoundError:  # imported from a source folder without installation
        return "of a folder"
