"""Policies shipped with edgesim; each one's record contains the command that reproduces it."""

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
"""Prefix of the name of a shipped policy, used in place of a file path."""


def shipped_policies() -> Mapping[str, Path]:
    """Return the shipped policies' files by name, without opening them."""
    # As for the catalogue of models, packages are assumed to be installed as folders, which Path requires.
    folder = Path(str(files("edgesim").joinpath("data", "policies")))
    return MappingProxyType({file.stem: file for file in sorted(folder.glob("*.safetensors"))})


def policy_file(named: str) -> Path:
    """Return the file of a policy: a shipped one for ``shipped:NAME``, else the path itself.

    Raises
    ------
    InputError
        If no policy of that name is shipped, or there is no such file.
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
    """Return the shipped policy that was trained on exactly this digest, or None."""
    return next((file for file in shipped_policies().values() if _trained_on(file) == digest), None)


def _trained_on(file: Path) -> str:
    return Policy.load(file).record.trained_on
