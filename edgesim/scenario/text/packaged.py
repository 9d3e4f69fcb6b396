"""Scenario files shipped with edgesim."""

from __future__ import annotations

from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import PurePath

__all__ = ["packaged_scenarios"]


def packaged_scenarios() -> dict[str, Traversable]:
    """Return the shipped scenario files by name (``smart_city``).

    In a wheel they are inside the package; in a checkout they are in a folder beside it.
    """
    package = files("edgesim")
    for folder in (package / "data" / "scenarios", package / ".." / "scenarios"):
        if folder.is_dir():
            found = {PurePath(f.name).stem: f for f in folder.iterdir() if f.name.endswith(".yaml")}
            return dict(sorted(found.items()))
    return {}
