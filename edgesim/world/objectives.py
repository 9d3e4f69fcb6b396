"""Service objectives, as a value."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Objectives"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Objectives:
    """Service objectives a request must meet, all of them, to count as goodput; None is not asked."""

    ttft_s: float | None = None
    tpot_s: float | None = None
    e2e_s: float | None = None
