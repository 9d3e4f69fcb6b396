"""Policies that come with edgesim, each with the command that remakes it in its record."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType

from edgesim.errors import InputError
from edgesim.nearest import suggest
from edgesim.planning.splitting.policy import Policy

__all__ = ["SHIPPED", "policy_file", "shipped_policies", "shipped_trained_on"]

SHIPPED = "shipped:"
"""Begins the name of a policy that ships, where a file could stand."""


def shipped_policies() -> Mapping[str, Path]:
    """Files by name; no file is opened."""
    # As with the catalogue of models, packages are installed as folders: Path has no other way in.
    folder = Path(str(files("edgesim").joinpath("data", "policies")))
    return MappingProxyType({file.stem: file for file in sorted(folder.glob("*.safetensors"))})


def policy_file(named: str) -> Path:
    """Find the file of a policy: of one that ships by ``shipped:NAME``, else the path itself.

    Raises
    ------
    InputError
        If none of that name ships, or no such file is there.
    """
    if named.startswith(SHIPPED):
        name, known = named.removeprefix(SHIPPED), shipped_policies()
        if name not in known:
            there = suggest(name, known) if known else "none ships"
            raise InputError(f"no policy {name!r} ships; {there} (edgesim list policies)")
        return known[name]
    path = Path(named)
    if not path.is_file():
        raise InputError(f"no policy file {path}")
    return path


def shipped_trained_on(digest: str) -> Path | None:
    """Find one that was trained on exactly this."""
    return next((file for file in shipped_policies().values() if _trained_on(file) == digest), None)


def _trained_on(file: Path) -> str:
    return Policy.load(file).record.trained_on
