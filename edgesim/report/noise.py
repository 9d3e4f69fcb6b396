"""What is to be said of a profile that was measured on a machine too busy to be trusted."""

from __future__ import annotations

from edgesim.model.profile import Profile

__all__ = ["NOISY_P95", "noise"]

NOISY_P95 = 0.15
"""Held-out error on a quiet machine stays below."""


def noise(profile: Profile) -> str | None:
    """Say how far off a noisy profile is, and what to do; None of one that is sound."""
    p95 = profile.held_out_error.p95
    if p95 <= NOISY_P95:
        return None
    return (
        f"this profile misses held-out points by up to {p95:.0%}, and times scaled from it are off likewise. "
        f"While it was measured, other programs kept {profile.host.get('other_load_cores', 0.0):.1f} cores "
        "busy. Close them"
    )
