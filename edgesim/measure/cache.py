"""Cache of profiles on disk, each under a digest of everything that determines it."""

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
"""Environment variable with the folder for profiles, instead of the user's cache folder."""

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
    """Return the cached profile for exactly these conditions, or measure and cache it.

    A cached profile is found without importing torch. An unreadable file is measured again; so is a profile
    too inaccurate to use (:attr:`Profile.is_useless`), since another program may have kept the machine busy.
    If a fresh measurement is that inaccurate, it is repeated once and the best profile is kept. `progress`
    reports each repetition.

    Parameters
    ----------
    architecture, threads, device, grid, budget_s, progress
        As for :func:`edgesim.measure.timing.measure_profile`; the grid is cut to the architecture's longest
        context. The budget is not part of the digest: a cached profile serves any budget.
    refresh
        Measure even if a profile is cached, and replace it.
    force
        Accept an inaccurate profile.
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
    from edgesim.measure.timing import measure_profile  # loads torch, which takes seconds

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
    except OSError as error:  # the profile can still be returned
        warnings.warn(
            f"the profile cannot be kept in {path.parent} ({error.strerror or error}), so that it will be "
            f"measured again; set {CACHE_VARIABLE} to another folder, or save it with "
            "'edgesim profile MODEL -o FILE'",
            stacklevel=2,
        )
    return profile


def _how_far_off(profile: Profile) -> str:
    return f"held-out points were missed by up to {profile.held_out_error.p95:.0%}, as on a busy machine"


def cache_folder() -> Path:
    """Return the folder of cached profiles: from :data:`CACHE_VARIABLE`, else in the user's cache folder."""
    named = os.environ.get(CACHE_VARIABLE)
    return (Path(named) if named else platformdirs.user_cache_path("edgesim")) / "profiles"


def profile_path(architecture: Architecture, *, threads: int, device: str, grid: Grid) -> Path:
    """Return the path of a profile's file, named by a digest of everything that its times depend on.

    These are the architecture with its number format, threads and device, the grid, the machine, the versions
    of Python, torch and transformers, and the version of the profile's schema.
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
    """Read a cached profile; None if there is none.

    Raises
    ------
    ProfileError
        If the file exists but is not a readable profile.
    """
    try:
        is_there = path.exists()
    except OSError:  # no permission to search a folder, or a file in place of one
        is_there = False
    return Profile.load(path) if is_there else None


def _keep(profile: Profile, path: Path) -> None:
    """Write the file under a temporary name, then rename it: other processes never see a partial file."""
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
