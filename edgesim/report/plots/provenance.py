"""Where a figure's numbers come from, for the file's metadata."""

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
    """What a figure was drawn from.

    Attributes
    ----------
    sources
        Of each trace or sweep: the folder's name, scenario, digest, seed, and the edgesim that wrote it.
    """

    sources: tuple[Mapping[str, str | int], ...]

    @classmethod
    def of(cls, records: Iterable[tuple[Path, Mapping[str, object]]]) -> Provenance:
        """Take it from folders and their ``run.json`` or ``sweep.json``; what one lacks is left out."""
        return cls(tuple(_source(path, cast("Mapping[str, Any]", record)) for path, record in records))

    def sentence(self) -> str:
        """One line for people."""
        said = [
            f"{source.get('folder')}: {source.get('scenario', '?')} "
            f"(digest {str(source.get('digest', '?'))[:16]}, seed {source.get('seed', '?')}, "
            f"edgesim {source.get('written_by', '?')})"
            for source in self.sources
        ]
        return f"Drawn by edgesim {_version()} from {'; '.join(said)}"

    def as_json(self) -> str:
        """Everything, for programs; in ASCII, as metadata of some formats is."""
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
    except PackageNotFoundError:  # from a folder that was never installed
        return "of a folder"
