"""Warning about a profile that was measured on a machine under load."""

from __future__ import annotations

from edgesim.model.profile import Profile

__all__ = ["NOISY_P95", "noise"]

NOISY_P95 = 0.15
"""Upper limit of the 95th percentile of the held-out error on an idle machine."""


def noise(profile: Profile) -> str | None:
    """Return a warning with the error of a noisy profile and a remedy; None for an accurate profile."""
    p95 = profile.held_out_error.p95
    if p95 <= NOISY_P95:
        return None
    return (
        f"this profile has errors of up to {p95:.0%} at held-out points, and so have times scaled from it. "
        f"During its measurement, other programs used {profile.host.get('other_load_cores', 0.0):.1f} cores. "
        "Close them"
    )
