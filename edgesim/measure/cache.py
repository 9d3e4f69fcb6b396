"""Profiles kept between runs, each under a digest of all that determines it."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs

from edgesim.errors import ProfileError
from edgesim.measure.grid import Grid
from edgesim.measure.host import host_identity, software_versions
from edgesim.model.architecture import Architecture
from edgesim.model.profile import SCHEMA_VERSION, Profile

if TYPE_CHECKING:
    from edgesim.measure.timing import Progress

__all__ = [
    "CACHE_VARIABLE",
    "DEFAULT_BUDGET_S",
    "cache_folder",
    "cached_profile",
    "ensure_profile",
    "profile_path",
]

CACHE_VARIABLE = "EDGESIM_CACHE_DIR"
"""Names the environment variable that says where profiles are kept, instead of the user's cache folder."""

DEFAULT_BUDGET_S = 60.0


def ensure_profile(
    architecture: Architecture,
    *,
    threads: int,
    device: str = "cpu",
    grid: Grid,
    budget_s: float = DEFAULT_BUDGET_S,
    progress: Progress | None = None,
    refresh: bool = False,
    force: bool = False,
) -> Profile:
    """Return the profile kept for exactly these conditions, or measure and keep it.

    Finding it does not import torch. A kept file that cannot be read is measured anew; so is one that says
    next to nothing (:attr:`Profile.is_useless`), as another program may have kept the machine busy. One that
    has just been measured and is of that kind is measured a second time, and the better of both is kept.
    `progress` says so.

    Parameters
    ----------
    architecture, threads, device, grid, budget_s, progress
        As for :func:`edgesim.measure.timing.measure_profile`; the grid is cut to the architecture's longest
        text. The budget has no part in the digest: a profile once measured is good for any.
    refresh
        Measure even though one is kept, and replace it.
    force
        Take one that says next to nothing as it is.
    """
    grid = grid.within(architecture)
    path = profile_path(architecture, threads=threads, device=device, grid=grid)
    kept = None
    if not refresh:
        try:
            kept = cached_profile(path)
        except ProfileError as error:
            if progress:
                progress(0.0, budget_s, f"measuring again: {error}")
        if kept and (force or not kept.is_useless):
            return kept
        if kept and progress:
            progress(0.0, budget_s, f"measuring again: {_how_far_off(kept)}")
    from edgesim.measure.timing import measure_profile  # loads torch: seconds that a kept profile saves

    def measured() -> Profile:
        return measure_profile(
            architecture, threads=threads, device=device, grid=grid, budget_s=budget_s, progress=progress
        )

    profile = measured()
    if profile.is_useless and not force:
        if progress:
            progress(0.0, budget_s, f"measuring once more: {_how_far_off(profile)}")
        candidates = filter(None, (kept, profile, measured()))
        profile = min(candidates, key=lambda one: one.held_out_error.p95)
    try:
        _keep(profile, path)
    except OSError as error:  # the profile is at hand all the same
        warnings.warn(
            f"the profile cannot be kept in {path.parent} ({error.strerror or error}), so that it will be "
            f"measured again; name another folder in {CACHE_VARIABLE}, or save it with "
            "'edgesim profile MODEL -o FILE'",
            stacklevel=2,
        )
    return profile


def _how_far_off(profile: Profile) -> str:
    return f"held-out points were missed by up to {profile.held_out_error.p95:.0%}, as on a busy machine"


def cache_folder() -> Path:
    """Where profiles are kept: the user's cache folder, or what :data:`CACHE_VARIABLE` names."""
    named = os.environ.get(CACHE_VARIABLE)
    return (Path(named) if named else platformdirs.user_cache_path("edgesim")) / "profiles"


def profile_path(architecture: Architecture, *, threads: int, device: str, grid: Grid) -> Path:
    """Name the file of a profile by everything that its times depend on.

    That is the architecture with its number format, threads and device, the grid, the machine, the versions
    of what computes, and the version of the profile's own form.
    """
    determines = {
        "architecture": architecture.digest,
        "device": device,
        "grid": dict(grid.facts()),
        "host": host_identity(device),
        "schema_version": SCHEMA_VERSION,
        "threads": threads,
        "versions": dict(software_versions()),
    }
    digest = hashlib.sha256(json.dumps(determines, sort_keys=True).encode()).hexdigest()
    return cache_folder() / f"{_file_name(architecture.name)}-{digest[:16]}.parquet"


def cached_profile(path: Path) -> Profile | None:
    """Read a kept profile; None where none is kept.

    Raises
    ------
    ProfileError
        If the file is there, but is no profile that can be read.
    """
    try:
        is_there = path.exists()
    except OSError:  # a folder that may not be searched, or a file in the place of one
        is_there = False
    return Profile.load(path) if is_there else None


def _keep(profile: Profile, path: Path) -> None:
    """Write the file under a temporary name first: another process sees it whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, suffix=".partial")
    os.close(handle)
    partial = Path(name)
    try:
        profile.save(partial)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _file_name(name: str) -> str:
    return "".join(character if character.isalnum() or character in "-._" else "_" for character in name)
