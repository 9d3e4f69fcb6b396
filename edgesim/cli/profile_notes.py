"""Notes on a measured profile: a description in one line, and a warning about noise."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgesim.cli.terminal import Console

if TYPE_CHECKING:
    from edgesim.model.profile import Profile

__all__ = ["profile_line", "warn_of_noise"]


def profile_line(profile: Profile) -> str:
    error = profile.held_out_error
    return (
        f"{profile.architecture.name} ({profile.architecture.dtype}) on {profile.where}, "
        f"{profile.measured_at}; held-out error {error.median:.1%} (median), "
        f"{error.p95:.1%} (p95)"
    )


def warn_of_noise(notes: Console, profile: Profile) -> None:
    """Print a warning if a profile was measured on a machine too busy for reliable results."""
    from edgesim.report.noise import noise

    if said := noise(profile):
        notes.print(f"warning: {said}, and measure again with --refresh", style="yellow", markup=False)
